"""The demonstration dataset: a simulated SiteDataset with known, planted effects, for tests and machines without data.

A seeded daily weather generator drives a two-layer soil-water bucket at every site, once at the sensor and once for the
satellite cell around it. In-situ data and products are these two with errors of documented size. The coastline that
ships with the project is the only input.

>>> from gsm3core.demo import Scenario, demo_dataset, demo_world
>>> ds = demo_dataset(n_sites=60, end="2016-03-31")
>>> world = demo_world(n_sites=60, end="2016-03-31", planted=Scenario(aspect_effect=False))
>>> world.truth["sm_point"].dims
('site', 'time')

:class:`Scenario` holds the planted effects and their sizes, :data:`PRODUCT_ERRORS` the errors of each product.
"""

from gsm3core.demo.scenario import (
    DRY_TAPER,
    FORCING_ERRORS,
    IN_SITU_ERROR,
    PRODUCT_ERRORS,
    InSituError,
    ProductError,
    Scenario,
)
from gsm3core.demo.world import DemoWorld, demo_dataset, demo_truth, demo_world

__all__ = [
    "DRY_TAPER",
    "FORCING_ERRORS",
    "IN_SITU_ERROR",
    "PRODUCT_ERRORS",
    "DemoWorld",
    "InSituError",
    "ProductError",
    "Scenario",
    "demo_dataset",
    "demo_truth",
    "demo_world",
]
