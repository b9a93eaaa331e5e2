"""Custom holdout: named sites, networks or a polygon."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import shapely

from gsm3core.config import HoldoutConfig
from gsm3core.errors import ConfigError, did_you_mean
from gsm3core.holdouts.base import SAME_CELL, Fold, Mask, SiteInfo, spatial_days


class Custom:
    """Hold out the named sites in one fold; all others train.

    Parameters
    ----------
    config
        Any combination of ``sites`` (ids), ``networks`` (names) and ``polygon`` (longitude, latitude of its corners),
        and ``train``: the days used for training and test.

    Notes
    -----
    A site that shares its satellite cell with a held-out one is in neither training nor test.
    """

    def __init__(self, config: HoldoutConfig) -> None:
        self.config = config

    def folds(self, sites: SiteInfo) -> Iterator[Fold]:
        """Yield the one fold.

        Raises
        ------
        ConfigError
            If nothing is named, a name is unknown, no site lies in the polygon, or no training site is left.
        """
        test = self._test(sites)
        train = ~np.isin(sites.group, sites.group[test])
        if not train.any():
            raise ConfigError(
                f"The custom holdout holds out all {len(test)} sites and leaves none for training. Hold out fewer."
            )
        days = spatial_days(sites, self.config.train)
        cell = ~(train | test)
        left_out = {SAME_CELL: cell} if cell.any() else {}
        yield Fold(
            name="custom",
            train_sites=train,
            test_sites=test,
            train_days=days,
            test_days=days,
            left_out=left_out,
        )

    def _test(self, sites: SiteInfo) -> Mask:
        c = self.config
        if not (c.sites or c.networks or c.polygon):
            raise ConfigError("A custom holdout needs holdout.sites, holdout.networks or holdout.polygon.")
        test = _match_names(sites.site, c.sites or (), "sites") | _match_names(
            sites.network, c.networks or (), "networks"
        )
        if c.polygon:
            polygon = shapely.Polygon(c.polygon)
            if not polygon.is_valid:
                raise ConfigError(f"holdout.polygon is invalid: {shapely.is_valid_reason(polygon)}.")
            inside = np.asarray(shapely.intersects(polygon, shapely.points(sites.lon, sites.lat)))
            if not inside.any():
                raise ConfigError(
                    "No site lies in holdout.polygon. Its corners are (longitude, latitude) pairs."
                )
            test = test | inside
        return test


def _match_names(have: np.ndarray, wanted: tuple[str, ...], what: str) -> Mask:
    known = set(have.tolist())
    for name in wanted:
        if name not in known:
            raise ConfigError(
                f"holdout.{what} has {name!r}, which is not in the dataset. {did_you_mean(name, known)}"
            )
    return np.isin(have, wanted) if wanted else np.zeros(len(have), bool)
