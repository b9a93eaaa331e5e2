"""Test sites that have a training site within one footprint of the satellite."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.config import ExperimentConfig
from gsm3core.experiment.folds import group_grid, satellite_grid, satellite_groups, targets_of
from gsm3core.geography.grids import cell_of
from gsm3core.geography.neighbours import near_any
from gsm3core.holdouts.base import Fold

# Width of the area that a value of SMAP represents, km, by the grid it is posted on.
FOOTPRINT_KM = {"M09": 33.0, "M36": 36.0}


def sites_within_footprint(
    ds: xr.Dataset, folds: Sequence[Fold], config: ExperimentConfig
) -> tuple[int, int]:
    """Return how many held-out sites have a training site within one footprint of SMAP, and how many there are.

    Parameters
    ----------
    folds
        Of the experiment. Sites that are tested on other days than they train on are not held out.

    Notes
    -----
    A training site has a training target on the fold's training days. SMAP's enhanced product is posted at 9 km, but each
    value represents about 33 km (Chan et al. 2018, doi:10.1016/j.rse.2017.08.025); the standard product, 36 km. Distances
    are geodesic.
    """
    km = FOOTPRINT_KM.get(satellite_grid(ds), 0.0)
    known_TS = [ds[t].transpose(v.TIME, v.SITE).notnull().values for t in targets_of(ds, config) if t in ds]
    lat, lon = ds[v.LAT].values, ds[v.LON].values
    near = held_out = 0
    for fold in folds:
        tested = fold.test_sites & ~fold.train_sites
        if not tested.any():
            continue
        trained = fold.train_sites & np.logical_or.reduce([k[fold.train_days].any(axis=0) for k in known_TS])
        held_out += int(tested.sum())
        near += int(near_any(lat, lon, tested, trained, km).sum())
    return near, held_out


def group_notes(ds: xr.Dataset, config: ExperimentConfig) -> list[str]:
    """Return a sentence on sites of different cells that ``holdout.group_km`` keeps together; none without such sites."""
    holdout = config.holdout
    if holdout.name == "temporal" or not holdout.group_km:
        return []
    cell = cell_of(ds[v.LAT].values, ds[v.LON].values, group_grid(ds, holdout))
    group = satellite_groups(ds, holdout)
    # A site poleward of the grid is a cell of its own.
    cell = np.where(cell < 0, -1 - np.arange(len(cell)), cell)
    pairs = np.unique(np.stack([group, cell]), axis=1)
    joined = np.isin(group, np.flatnonzero(np.bincount(pairs[0]) > 1))
    if not joined.any():
        return []
    return [
        f"{int(joined.sum())} sites in different cells are held out together, because they are within "
        f"{holdout.group_km:g} km of each other (holdout.group_km)."
    ]


def footprint_notes(ds: xr.Dataset, folds: Sequence[Fold], config: ExperimentConfig) -> list[str]:
    """Return a sentence on :func:`sites_within_footprint`; none without SMAP or without held-out sites."""
    grid = satellite_grid(ds)
    if v.SM_SMAP not in ds or grid not in FOOTPRINT_KM:
        return []
    near, held_out = sites_within_footprint(ds, folds, config)
    if not held_out:
        return []
    km = f"{FOOTPRINT_KM[grid]:g}"
    posted = "9" if grid == "M09" else "36"
    note = (
        f"{near} of {held_out} held-out sites have a training site within {km} km, the footprint of SMAP on the {posted} km "
        "grid."
    )
    return [note + (f" holdout.group_km = {km} keeps such sites in one fold." if near else "")]
