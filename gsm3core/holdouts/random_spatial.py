"""Random spatial holdout: K folds of sites, each site tested once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from gsm3core.config import HoldoutConfig
from gsm3core.errors import ConfigError
from gsm3core.holdouts.base import Fold, Sites, spatial_days


class RandomSpatial:
    """Shuffle the groups of sites and deal them out to K folds.

    Parameters
    ----------
    config
        ``folds`` (5 in the paper), ``seed``, and ``train``: the days that train and test.

    Notes
    -----
    Liu et al., GSM3 v1.0, section 2.4. Groups (satellite cells) with an in-situ site are dealt first, then the
    others, so that every fold tests about the same number of both.
    """

    def __init__(self, config: HoldoutConfig) -> None:
        self.config = config

    def folds(self, sites: Sites) -> Iterator[Fold]:
        """Yield ``fold_1`` to ``fold_K``.

        Raises
        ------
        ConfigError
            If there are fewer groups of sites than folds.
        """
        of_site = self._assign(sites)
        days = spatial_days(sites, self.config.train)
        for k in range(self.config.folds):
            test = of_site == k
            yield Fold(
                name=f"fold_{k + 1}", train_sites=~test, test_sites=test, train_days=days, test_days=days
            )

    def _assign(self, sites: Sites) -> NDArray[np.int64]:
        groups, of_group = np.unique(sites.group, return_inverse=True)
        if len(groups) < self.config.folds:
            raise ConfigError(
                f"holdout.folds is {self.config.folds}, but the dataset has only {len(groups)} separate satellite cells. "
                "Lower holdout.folds or use more sites."
            )
        with_insitu = np.zeros(len(groups), bool)
        np.logical_or.at(with_insitu, of_group, sites.has_insitu)
        shuffled = np.random.default_rng(self.config.seed).permutation(len(groups))
        order = np.concatenate([shuffled[with_insitu[shuffled]], shuffled[~with_insitu[shuffled]]])
        fold_of_group = np.empty(len(groups), np.int64)
        fold_of_group[order] = np.arange(len(groups)) % self.config.folds
        return fold_of_group[of_group]
