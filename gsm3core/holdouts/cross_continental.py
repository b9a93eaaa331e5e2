"""Cross-continental holdout: one region at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gsm3core import vocabulary as v
from gsm3core.config import HoldoutConfig
from gsm3core.errors import ConfigError
from gsm3core.holdouts.base import NO_REGION, SAME_CELL, Fold, SiteInfo, spatial_days


class CrossContinental:
    """Hold out each region that the dataset has.

    Parameters
    ----------
    config
        ``regions`` (the paper's by default), ``buffer_km``, ``outside``, and ``train``: the days used for training and
        test.

    Notes
    -----
    Liu et al., GSM3 v1.0, section 2.4. Not in training in a fold are the held-out region, the sites within ``buffer_km`` of
    it, and those that share the satellite cell of one of its sites. Sites in no region are a fold of their own, ``Other``,
    or neither train nor test (``outside``).
    """

    def __init__(self, config: HoldoutConfig) -> None:
        self.config = config

    def folds(self, sites: SiteInfo) -> Iterator[Fold]:
        """Yield one fold per region, named after it; the fold of sites in no region is the last.

        Raises
        ------
        ConfigError
            If there are sites of fewer than two folds, or a fold has no training site.
        """
        c = self.config
        outside = sites.region == v.NO_REGION
        excluded = outside & (c.outside == "exclude")
        names = [r for r in sites.regions if (sites.region == r).any()]
        if c.outside == "fold" and outside.any():
            names.append(v.NO_REGION)
        if len(names) < 2 and not (names and c.outside == "train" and outside.any()):
            self._refuse(sites, names)
        days = spatial_days(sites, c.train)
        for region in names:
            buffer = (
                f"within {c.buffer_km:g} km of {'a test site' if region == v.NO_REGION else 'the region'}"
            )
            test = sites.region == region
            near = sites.near.get(region, np.zeros_like(test)) & ~test & ~excluded
            cell = np.isin(sites.group, sites.group[test]) & ~test & ~near & ~excluded
            train = ~(test | near | cell | excluded)
            left_out = {NO_REGION: excluded, buffer: near, SAME_CELL: cell}
            if not train.any():
                reasons = ", ".join(f"{int(m.sum())} {r}" for r, m in left_out.items() if m.any())
                raise ConfigError(
                    f"Fold {region}: no training site is left ({int(test.sum())} test sites, {reasons}). Lower "
                    "holdout.buffer_km or choose other holdout.regions."
                )
            yield Fold(
                name=region,
                train_sites=train,
                test_sites=test,
                train_days=days,
                test_days=days,
                left_out={reason: mask for reason, mask in left_out.items() if mask.any()},
            )

    def _refuse(self, sites: SiteInfo, names: list[str]) -> None:
        has = ", ".join(names) if names else f"{len(sites.region)} sites in no region"
        advice = "Use other holdout.regions (continents covers all land), or holdout.name = 'random_spatial'."
        if self.config.outside == "exclude" and (sites.region == v.NO_REGION).any():
            advice = "Set holdout.outside = 'fold' to use the sites in no region, or other holdout.regions."
        raise ConfigError(
            f"A cross-continental holdout needs sites in at least two regions of {self.config.regions}; this dataset has "
            f"only {has}. {advice}"
        )
