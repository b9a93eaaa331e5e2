"""A dataset at real places: near borders of regions, and in no region of the paper."""

from __future__ import annotations

import numpy as np
import xarray as xr

from gsm3core.geography.site_coordinates import describe_coordinates
from support.small_world import make_dataset

# name: latitude, longitude
PLACES = {
    "Detroit": (42.40, -83.10), "Kansas": (38.5, -98.0), "Iowa": (42.0, -93.5), "Oregon": (44.0, -120.5), "Texas": (31.0, -99.5),
    "El Paso": (31.80, -106.40), "Windsor": (42.25, -82.95), "Manitoba": (49.9, -97.5), "Saskatchewan": (51.4, -106.5),
    "Ciudad Juarez": (31.55, -106.40), "Durango": (24.0, -104.6), "Juneau": (58.36, -134.55), "Yakutat": (59.52, -139.67),
    "Fairbanks": (64.85, -147.8), "Whitehorse": (60.72, -135.05), "Hilo": (19.65, -155.15), "Nakuru": (-0.30, 36.07),
    "Machakos": (-1.52, 37.27), "Lodwar": (3.12, 35.60), "Lusaka": (-15.35, 28.40), "Cordoba": (-31.4, -64.2),
    "Madrid": (40.4, -3.8), "Toulouse": (43.6, 1.4), "Tunis": (36.75, 10.05), "Niamey": (13.5, 2.2), "Pretoria": (-25.7, 28.2),
    "Canberra": (-35.3, 149.0), "Ulaanbaatar": (47.9, 106.7),
}  # fmt: skip


def dataset_at(
    places: dict[str, tuple[float, float]] = PLACES, n_days: int = 60, seed: int = 0
) -> xr.Dataset:
    """Return the small dataset with one site at each place, and the regions of the catalogue."""
    ds = make_dataset(n_sites=len(places), n_days=n_days, seed=seed)
    ds = ds.assign_coords(
        site=list(places), station=("site", list(places)),
        lat=("site", np.array([p[0] for p in places.values()])), lon=("site", np.array([p[1] for p in places.values()])),
    )  # fmt: skip
    return describe_coordinates(ds)
