"""Random spatial holdout: K-fold cross-validation over sites."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gsm3core.config import HoldoutConfig
from gsm3core.errors import ConfigError
from gsm3core.holdouts.base import Fold, SiteInfo, assign_folds, spatial_days


class RandomSpatial:
    """Assign shuffled satellite cells to K folds; each site is tested once.

    Parameters
    ----------
    config
        ``folds`` (5 in the paper), ``seed``, and ``train``: the days used for training and test.

    Notes
    -----
    Liu et al., GSM3 v1.0, section 2.4. Every fold tests about the same number of sites with and without in-situ record.
    """

    def __init__(self, config: HoldoutConfig) -> None:
        self.config = config

    def folds(self, sites: SiteInfo) -> Iterator[Fold]:
        """Yield ``fold_1`` to ``fold_K``.

        Raises
        ------
        ConfigError
            If there are fewer groups of sites than folds.
        """
        n_groups = len(np.unique(sites.group))
        if n_groups < self.config.folds:
            km = self.config.group_km
            joined, lower = (
                (f" (joined within holdout.group_km = {km:g})", " or holdout.group_km") if km else ("", "")
            )
            raise ConfigError(
                f"holdout.folds is {self.config.folds}, but the dataset has only {n_groups} separate satellite cells{joined}. "
                f"Lower holdout.folds{lower}, or use more sites."
            )
        fold = assign_folds(sites.group, sites.has_insitu, self.config.folds, self.config.seed)
        days = spatial_days(sites, self.config.train)
        for k in range(self.config.folds):
            test = fold == k
            yield Fold(
                name=f"fold_{k + 1}", train_sites=~test, test_sites=test, train_days=days, test_days=days
            )
