"""Division of a dataset for an experiment: folds, and the validation sites of each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.config import ExperimentConfig, HoldoutConfig
from gsm3core.errors import ConfigError
from gsm3core.geography.grids import cell_of
from gsm3core.geography.neighbours import joined_groups
from gsm3core.geography.regions import region_scheme, sites_near
from gsm3core.geography.site_coordinates import site_regions
from gsm3core.holdouts import make_holdout
from gsm3core.holdouts.base import Fold, SiteInfo, assign_fit_sites
from gsm3core.holdouts.division import division_of
from gsm3core.schema import target_names


def folds_of(ds: xr.Dataset, config: ExperimentConfig) -> list[Fold]:
    """Return the folds of an experiment, or only those in ``holdout.only_folds``.

    Raises
    ------
    ConfigError
        If the dataset cannot be divided as configured, or a fold name is unknown.
    """
    return divide(ds, config)[0]


def divide(ds: xr.Dataset, config: ExperimentConfig) -> tuple[list[Fold], dict[str, Any]]:
    """Return the folds of an experiment and the counts of their sites (:func:`gsm3core.holdouts.division.division_of`).

    Raises
    ------
    ConfigError
        As :func:`folds_of`.
    """
    sites = _site_info(ds, config)
    folds = list(make_holdout(config.holdout).folds(sites))
    only = config.holdout.only_folds
    if only is not None:
        names = [f.name for f in folds]
        if unknown := [n for n in only if n not in names]:
            raise ConfigError(
                f"holdout.only_folds names {unknown[0]!r}; expected some of {', '.join(names)}."
            )
        folds = [f for f in folds if f.name in only]
    return assign_fit_sites(folds), division_of(sites, folds, config.holdout)


def _site_info(ds: xr.Dataset, config: ExperimentConfig) -> SiteInfo:
    insitu = (
        ds[v.SM_INSITU].notnull().any(v.TIME).values
        if v.SM_INSITU in ds
        else np.zeros(ds.sizes[v.SITE], bool)
    )
    lat, lon = ds[v.LAT].values.astype(float), ds[v.LON].values.astype(float)
    h = config.holdout
    regions: dict[str, Any] = {"region": ds[v.REGION].values.astype(str)}
    if h.name == "cross_continental":
        region = site_regions(ds, h.regions)
        near = sites_near(lat, lon, region, h.regions, h.buffer_km) if h.buffer_km else {}
        regions = {"region": region, "regions": region_scheme(h.regions).regions, "near": near}
    return SiteInfo(
        site=ds[v.SITE].values.astype(str),
        network=ds[v.NETWORK].values.astype(str) if v.NETWORK in ds.coords else np.full(ds.sizes[v.SITE], ""),
        lat=lat,
        lon=lon,
        **regions,
        group=satellite_groups(ds, h),
        has_insitu=insitu,
        days=pd.DatetimeIndex(ds[v.TIME].values),
        # Only the temporal holdout needs them, and they are read from the whole record.
        target_days={t: ds[t].notnull().any(v.SITE).values for t in target_names(ds)}
        if config.holdout.name == "temporal"
        else {},
        targets=tuple(targets_of(ds, config)),
    )


def satellite_grid(ds: xr.Dataset) -> str:
    """Return the EASE-Grid of ``sm_smap``, from its attribute ``grid`` (``M09`` or ``M36``); 9 km by default."""
    return str(ds[v.SM_SMAP].attrs.get("grid", "M09")) if v.SM_SMAP in ds else "M09"


def group_grid(ds: xr.Dataset, holdout: HoldoutConfig) -> str:
    """Return the grid whose cells hold out their sites together: the configured one, or that of ``sm_smap``."""
    return holdout.group_grid or satellite_grid(ds)


def satellite_groups(ds: xr.Dataset, holdout: HoldoutConfig | None = None) -> NDArray[np.int64]:
    """Return one number per site, the same for sites that are held out together.

    Parameters
    ----------
    holdout
        ``group_grid``: sites of one cell are a group; ``group_km``: groups with sites at most this far apart are joined
        (:func:`gsm3core.geography.neighbours.joined_groups`). By default the cells of ``sm_smap``.
    """
    holdout = holdout or HoldoutConfig()
    lat, lon = ds[v.LAT].values, ds[v.LON].values
    cell = cell_of(lat, lon, group_grid(ds, holdout))
    outside = cell < 0
    group = np.where(outside, -1 - np.arange(len(cell)), cell)
    return joined_groups(lat, lon, group, holdout.group_km) if holdout.group_km else group


def targets_of(ds: xr.Dataset, config: ExperimentConfig) -> list[str]:
    """Return the training targets of an experiment."""
    return list(config.data.targets) if config.data.targets is not None else target_names(ds)


def split_validation_sites(
    ds: xr.Dataset,
    fold: Fold,
    targets: list[str],
    share: float,
    seed: int,
    *,
    trained: NDArray[np.bool_] | None = None,
    holdout: HoldoutConfig | None = None,
) -> tuple[Fold, NDArray[np.bool_]]:
    """Split validation sites from the training sites of a fold; its test sites and days stay as they are.

    Parameters
    ----------
    ds
        Its soil moisture is read at training sites on training days only.
    targets
        Training targets. Validation sites have a record of the one that is predicted (in-situ if there is one).
    share
        Of the satellite cells with that record; at least one cell, and never all.
    trained
        For fine-tuning: ``(site)`` mask of the sites that the parent was trained on. Cells without such a site are
        used first; others only if there are none.
    holdout
        Its groups of sites (:func:`satellite_groups`) are split as wholes.

    Returns
    -------
    Fold
        Without the validation cells in its training sites.
    validation_sites
        ``(site)`` mask of sites with a record. All sites of their cells leave the training sites, so that no training
        target comes from a validation cell.

    Raises
    ------
    ConfigError
        If fewer than two cells have a record.
    """
    target = predicted_target(targets)
    known_ST = ds[target].transpose(v.SITE, v.TIME).notnull().values & fold.train_days
    recorded = fold.train_sites & known_ST.any(axis=1)
    group = satellite_groups(ds, holdout)
    cells = np.unique(group[recorded])
    if len(cells) < 2:
        raise ConfigError(
            f"training.validation_share is {share}, but fold {fold.name} has {len(cells)} satellite cell(s) with {target} among "
            "its training sites; at least 2 are needed, one to train and one to validate. Set it to 0."
        )
    count = min(max(1, round(share * len(cells))), len(cells) - 1)
    new = cells if trained is None else np.setdiff1d(cells, group[trained])
    chosen = np.random.default_rng(seed).permutation(new if len(new) else cells)[:count]
    validation = np.isin(group, chosen)
    return replace(fold, train_sites=fold.train_sites & ~validation), recorded & validation


def predicted_target(targets: list[str]) -> str:
    """Return the target that an experiment predicts: in-situ if it is a training target, else the first."""
    return v.SM_INSITU if v.SM_INSITU in targets else targets[0]
