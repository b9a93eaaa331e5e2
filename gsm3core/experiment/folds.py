"""How a dataset is divided for an experiment: folds, and in each the training sites that are held back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.config import ExperimentConfig
from gsm3core.errors import ConfigError
from gsm3core.geography.grids import cell_of
from gsm3core.holdouts import make_holdout
from gsm3core.holdouts.base import Fold, SiteInfo
from gsm3core.schema import target_names


def folds_of(ds: xr.Dataset, config: ExperimentConfig) -> list[Fold]:
    """Return the folds of an experiment, ``holdout.only_folds`` alone where that is given.

    Raises
    ------
    ConfigError
        If the dataset cannot be divided as configured, or a fold is not known.
    """
    insitu = (
        ds[v.SM_INSITU].notnull().any(v.TIME).values
        if v.SM_INSITU in ds
        else np.zeros(ds.sizes[v.SITE], bool)
    )
    sites = SiteInfo(
        site=ds[v.SITE].values.astype(str),
        network=ds[v.NETWORK].values.astype(str) if v.NETWORK in ds.coords else np.full(ds.sizes[v.SITE], ""),
        lat=ds[v.LAT].values.astype(float),
        lon=ds[v.LON].values.astype(float),
        region=ds[v.REGION].values.astype(str),
        group=satellite_groups(ds),
        has_insitu=insitu,
        days=pd.DatetimeIndex(ds[v.TIME].values),
    )
    folds = list(make_holdout(config.holdout).folds(sites))
    only = config.holdout.only_folds
    if only is not None:
        names = [f.name for f in folds]
        if unknown := [n for n in only if n not in names]:
            raise ConfigError(
                f"holdout.only_folds names {unknown[0]!r}; this holdout has {', '.join(names)}."
            )
        folds = [f for f in folds if f.name in only]
    return folds


def satellite_groups(ds: xr.Dataset) -> NDArray[np.int64]:
    """Return one number per site, the same for sites in one satellite cell.

    The grid is the one that ``sm_smap`` names in its attribute ``grid`` (``M09`` or ``M36``); 9 km by default.
    """
    grid = str(ds[v.SM_SMAP].attrs.get("grid", "M09")) if v.SM_SMAP in ds else "M09"
    cell = cell_of(ds[v.LAT].values, ds[v.LON].values, grid)
    alone = cell < 0
    return np.where(alone, -1 - np.arange(len(cell)), cell)


def targets_of(ds: xr.Dataset, config: ExperimentConfig) -> list[str]:
    """Return the records that an experiment learns from."""
    return list(config.data.targets) if config.data.targets is not None else target_names(ds)


def split_validation_sites(
    ds: xr.Dataset,
    fold: Fold,
    targets: list[str],
    share: float,
    seed: int,
    *,
    learnt: NDArray[np.bool_] | None = None,
) -> tuple[Fold, NDArray[np.bool_]]:
    """Take some training sites out of a fold, to watch its training by; its test sites and days stay as they are.

    Parameters
    ----------
    ds
        Its soil moisture is read at training sites on training days alone.
    fold
        The division.
    targets
        The records that teach. Sites of the one that is predicted (in-situ where there is one) are held back.
    share
        Of the satellite cells with that record; at least one cell, and never all.
    seed
        Which.
    learnt
        Of a fine-tuning: ``(site)`` mask of where its networks have learnt before. Cells without such a site come
        first; only if there are none, others are held back.

    Returns
    -------
    Fold
        Without the held-back sites among those that train.
    held_back
        ``(site)`` mask of sites with a record. Everything in their cells is held back with them, so that no stream
        teaches what they watch.

    Raises
    ------
    ConfigError
        If fewer than two cells have a record.
    """
    target = predicted_target(targets)
    known_ST = ds[target].transpose(v.SITE, v.TIME).notnull().values & fold.train_days
    recorded = fold.train_sites & known_ST.any(axis=1)
    group = satellite_groups(ds)
    cells = np.unique(group[recorded])
    if len(cells) < 2:
        raise ConfigError(
            f"training.validation_share is {share}, but fold {fold.name} has {len(cells)} satellite cell(s) with {target} among "
            "its training sites; holding one back leaves nothing to learn from. Set it to 0."
        )
    count = min(max(1, round(share * len(cells))), len(cells) - 1)
    new = cells if learnt is None else np.setdiff1d(cells, group[learnt])
    chosen = np.random.default_rng(seed).permutation(new if len(new) else cells)[:count]
    apart = np.isin(group, chosen)
    return replace(fold, train_sites=fold.train_sites & ~apart), recorded & apart


def predicted_target(targets: list[str]) -> str:
    """Return the record that an experiment predicts: in-situ where it learns from it, else its first."""
    return v.SM_INSITU if v.SM_INSITU in targets else targets[0]
