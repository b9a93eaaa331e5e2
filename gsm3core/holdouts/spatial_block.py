"""Spatial block holdout: K folds of equal-area blocks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from gsm3core.config import HoldoutConfig
from gsm3core.errors import ConfigError
from gsm3core.holdouts.base import Fold, SiteInfo, assign_folds, spatial_days

_EARTH_RADIUS_KM = 6371.0
_TRUE_LATITUDE = np.radians(30.0)


class SpatialBlock:
    """Assign equal-area blocks of sites to K folds.

    Parameters
    ----------
    config
        ``block_km`` (side length of a block), ``folds``, ``seed``, and ``train``: the days used for training and test.

    Notes
    -----
    In random folds test sites have training sites nearby; block folds remove this spatial autocorrelation (Roberts et
    al. 2017, doi:10.1111/ecog.02881). Blocks are squares of a cylindrical equal-area projection with true latitude
    30 degrees. A satellite cell belongs to the block that contains the centroid of its sites.
    """

    def __init__(self, config: HoldoutConfig) -> None:
        self.config = config

    def folds(self, sites: SiteInfo) -> Iterator[Fold]:
        """Yield ``fold_1`` to ``fold_K``.

        Raises
        ------
        ConfigError
            If there are fewer blocks than folds.
        """
        block = self.blocks(sites)
        n_blocks = len(np.unique(block))
        if n_blocks < self.config.folds:
            raise ConfigError(
                f"holdout.block_km is {self.config.block_km:g}: the sites lie in {n_blocks} blocks of that size, fewer than "
                f"holdout.folds ({self.config.folds}). Lower holdout.block_km or holdout.folds."
            )
        fold = assign_folds(block, sites.has_insitu, self.config.folds, self.config.seed)
        days = spatial_days(sites, self.config.train)
        for k in range(self.config.folds):
            test = fold == k
            yield Fold(
                name=f"fold_{k + 1}", train_sites=~test, test_sites=test, train_days=days, test_days=days
            )

    def blocks(self, sites: SiteInfo) -> NDArray[np.int64]:
        """Return the block number of each site."""
        _, of_group = np.unique(sites.group, return_inverse=True)
        members = np.bincount(of_group)
        x = _EARTH_RADIUS_KM * np.cos(_TRUE_LATITUDE) * np.radians(sites.lon)
        y = _EARTH_RADIUS_KM * np.sin(np.radians(sites.lat)) / np.cos(_TRUE_LATITUDE)
        column, row = (
            np.floor((np.bincount(of_group, weights=z) / members)[of_group] / self.config.block_km)
            for z in (x, y)
        )
        _, block = np.unique(np.stack([column, row]), axis=1, return_inverse=True)
        return np.asarray(block, np.int64).ravel()
