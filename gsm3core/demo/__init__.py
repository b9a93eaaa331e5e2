"""The demonstration world: a simulated SiteDataset with planted, known structure, for a machine without data.

A seeded daily weather generator drives a two-layer soil-water bucket at every site, once for the point where
the sensor lies and once for the satellite cell around it; instruments and products then see those two with
errors of documented size. Nothing is read from the network; only the coastline that ships with the project.

>>> from gsm3core.demo import Scenario, demo_dataset, demo_world
>>> ds = demo_dataset(n_sites=60, end="2016-03-31")
>>> world = demo_world(n_sites=60, end="2016-03-31", planted=Scenario(aspect_effect=False))
>>> world.truth["sm_point"].dims
('site', 'time')

What is planted, and how large, is :class:`Scenario`; what each product does wrong is :data:`PRODUCT_ERRORS`.
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
