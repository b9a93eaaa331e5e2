"""Preview of an experiment's folds before it is launched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from app.services.cache import ResultCache
from app.services.site_table import site_table_of
from app.services.store import Store
from gsm3core import vocabulary as v
from gsm3core.config import ExperimentConfig
from gsm3core.errors import ConfigError, DatasetError
from gsm3core.experiment.folds import divide
from gsm3core.experiment.footprint import footprint_notes
from gsm3core.holdouts.base import NO_REGION, Fold
from gsm3core.scaling import fold_attributes, input_names

_PREVIEWS: ResultCache[FoldPreview] = ResultCache(16)
TEST_SITE, TRAINING_SITE, UNUSED_SITE = "test site", "training site", "not used in this fold"


@dataclass(frozen=True, eq=False)
class FoldPreview:
    """Folds of an experiment on a dataset.

    Parameters
    ----------
    dataset
        Name of the dataset.
    sites
        All sites, see :func:`app.services.site_table.site_table_of`.
    folds
        Empty if the dataset cannot be divided as configured.
    problem
        Why the configuration is not valid for the dataset, and what to do.
    division
        Counts of sites, see :func:`gsm3core.holdouts.division.division_of`; empty without folds.
    notes
        Sentences on the attributes of the first fold, and on training sites within a footprint of a test site.
    """

    dataset: str
    sites: pd.DataFrame
    days: pd.DatetimeIndex
    folds: tuple[Fold, ...]
    problem: str = ""
    division: Mapping[str, Any] = field(default_factory=lambda: {"folds": {}})
    notes: tuple[str, ...] = ()

    @property
    def splits_days(self) -> bool:
        """Whether the only fold trains and tests at the same sites, on different days."""
        return len(self.folds) == 1 and bool((self.folds[0].train_sites & self.folds[0].test_sites).any())

    def test_fold_names(self) -> list[str]:
        """Return the name of the fold that tests each site; empty if none does, or why no fold uses it."""
        names = np.full(len(self.sites), "", dtype=object)
        excluded = [f.left_out.get(NO_REGION, np.zeros(len(self.sites), bool)) for f in self.folds]
        if excluded:
            names[np.all(excluded, axis=0)] = f"{NO_REGION}, not used"
        for fold in self.folds:
            names[fold.test_sites] = fold.name.replace("_", " ")
        return [str(n) for n in names]

    def roles(self, name: str) -> list[str]:
        """Return the role of each site in one fold."""
        fold = next(f for f in self.folds if f.name == name)
        reasons = np.full(len(self.sites), "", dtype=object)
        for reason, mask in fold.left_out.items():
            reasons[mask] = reason
        return [
            TEST_SITE if tests else TRAINING_SITE if trains else reason or UNUSED_SITE
            for tests, trains, reason in zip(fold.test_sites, fold.train_sites, reasons, strict=True)
        ]

    def date_range(self, days: np.ndarray) -> str:
        """Return the first and last of the days in a mask, as text."""
        selected = self.days[days]
        return f"{selected[0].date()} to {selected[-1].date()}" if len(selected) else "none"


def preview_folds(store: Store, dataset: str, config: ExperimentConfig) -> FoldPreview:
    """Return the folds of an experiment; an invalid configuration is returned as a problem, not raised.

    Raises
    ------
    GSM3Error
        If the dataset cannot be read.
    """
    return _PREVIEWS.cached(
        store.dataset_path(dataset),
        config.holdout.model_dump_json() + config.data.model_dump_json(),
        lambda: _preview_folds(store, dataset, config),
    )


def _preview_folds(store: Store, dataset: str, config: ExperimentConfig) -> FoldPreview:
    ds = store.dataset(dataset)
    sites, days = site_table_of(ds), pd.DatetimeIndex(ds[v.TIME].values)
    folds: tuple[Fold, ...] = ()
    division: dict[str, Any] = {"folds": {}}
    try:
        found, division = divide(ds, config)
        folds = tuple(found)
        input_names(ds, config.data)
        notes = (*fold_attributes(ds, folds[0], config.data)[1].notes, *footprint_notes(ds, folds, config))
    except (ConfigError, DatasetError) as error:
        return FoldPreview(dataset, sites, days, folds, str(error), division)
    return FoldPreview(dataset, sites, days, folds, division=division, notes=notes)
