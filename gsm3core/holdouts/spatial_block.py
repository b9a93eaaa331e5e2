"""Spatial block holdout: whole blocks of land at a time, for what random folds hide."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from gsm3core.config import HoldoutConfig
from gsm3core.errors import ConfigError
from gsm3core.holdouts.base import Fold, SiteInfo, deal, spatial_days

_EARTH_RADIUS_KM = 6371.0
_TRUE_LATITUDE = np.radians(30.0)


class SpatialBlock:
    """Cut the land into blocks of equal area and deal them out to K folds.

    Parameters
    ----------
    config
        ``block_km`` (length of a block's side), ``folds``, ``seed``, and ``train``: the days that train and test.

    Notes
    -----
    A random fold tests a site beside its neighbours; a block is tested without them, as ground far from any sensor
    would be (Roberts et al. 2017, doi:10.1111/ecog.02881). Blocks are squares of a cylindrical equal-area map with
    true latitude 30 degrees. A satellite cell belongs to the block that its sites' middle lies in.
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
                f"holdout.block_km is {self.config.block_km:g}: the sites lie in {n_blocks} such blocks, fewer than "
                f"holdout.folds ({self.config.folds}). Take smaller blocks or fewer folds."
            )
        fold = deal(block, sites.has_insitu, self.config.folds, self.config.seed)
        days = spatial_days(sites, self.config.train)
        for k in range(self.config.folds):
            test = fold == k
            yield Fold(
                name=f"fold_{k + 1}", train_sites=~test, test_sites=test, train_days=days, test_days=days
            )

    def blocks(self, sites: SiteInfo) -> NDArray[np.int64]:
        """Return the block of every site, as a number."""
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
