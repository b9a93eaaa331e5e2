"""What an experiment would hold out, worked out before it is launched: the folds of a configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from app.services.cache import ResultCache
from app.services.site_table import site_table_of
from app.services.store import Store
from gsm3core import vocabulary as v
from gsm3core.config import ExperimentConfig
from gsm3core.errors import ConfigError
from gsm3core.experiment.folds import folds_of
from gsm3core.holdouts.base import Fold

_KEPT: ResultCache[FoldPreview] = ResultCache(16)
TESTED, TRAINS, NEITHER = "held out: tests", "trains", "neither trains nor tests"


@dataclass(frozen=True, eq=False)
class FoldPreview:
    """A dataset divided for an experiment.

    Parameters
    ----------
    dataset
        Its name.
    sites
        All its sites, as :func:`app.services.site_table.site_table_of` gives them.
    days
        Its days.
    folds
        None where the configuration does not fit the dataset.
    problem
        Why it does not, and what to do.
    """

    dataset: str
    sites: pd.DataFrame
    days: pd.DatetimeIndex
    folds: tuple[Fold, ...]
    problem: str = ""

    @property
    def by_days(self) -> bool:
        """Whether the same sites train and test, on other days."""
        return len(self.folds) == 1 and bool((self.folds[0].train_sites & self.folds[0].test_sites).any())

    def tested_by(self) -> list[str]:
        """Return the fold that tests each site; empty where none does."""
        names = np.full(len(self.sites), "", dtype=object)
        for fold in self.folds:
            names[fold.test_sites] = fold.name.replace("_", " ")
        return [str(n) for n in names]

    def roles(self, name: str) -> list[str]:
        """Return what each site does in one fold."""
        fold = next(f for f in self.folds if f.name == name)
        return [
            TESTED if tests else TRAINS if trains else NEITHER
            for tests, trains in zip(fold.test_sites, fold.train_sites, strict=True)
        ]

    def span(self, days: np.ndarray) -> str:
        """Return the first and last of some days."""
        chosen = self.days[days]
        return f"{chosen[0].date()} to {chosen[-1].date()}" if len(chosen) else "none"


def divide(store: Store, dataset: str, config: ExperimentConfig) -> FoldPreview:
    """Return how a dataset would be divided; what does not fit is told, not raised.

    Parameters
    ----------
    store
        Reads datasets.
    dataset, config
        Name of the dataset, and the experiment.

    Raises
    ------
    GSM3Error
        If the dataset cannot be read.
    """
    path = store.dataset_path(dataset)
    return _KEPT.get(
        (path, _version(path), config.holdout.model_dump_json()), lambda: _divide(store, dataset, config)
    )


def _divide(store: Store, dataset: str, config: ExperimentConfig) -> FoldPreview:
    ds = store.dataset(dataset)
    sites, days = site_table_of(ds), pd.DatetimeIndex(ds[v.TIME].values)
    try:
        return FoldPreview(dataset, sites, days, tuple(folds_of(ds, config)))
    except ConfigError as error:
        return FoldPreview(dataset, sites, days, (), str(error))


def _version(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0
