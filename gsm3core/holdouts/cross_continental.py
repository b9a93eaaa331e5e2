"""Cross-continental holdout: one region at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gsm3core import vocabulary as v
from gsm3core.config import HoldoutConfig
from gsm3core.errors import ConfigError
from gsm3core.holdouts.base import Fold, SiteInfo, spatial_days


class CrossContinental:
    """Hold out each of the paper's regions that the dataset has.

    Parameters
    ----------
    config
        ``train``: the days used for training and test.

    Notes
    -----
    Liu et al., GSM3 v1.0, section 2.4. Sites outside all regions are always in training and never tested. A site that
    shares its satellite cell with the held-out region is not in training in that fold.
    """

    def __init__(self, config: HoldoutConfig) -> None:
        self.config = config

    def folds(self, sites: SiteInfo) -> Iterator[Fold]:
        """Yield one fold per region, named after it.

        Raises
        ------
        ConfigError
            If all sites lie in one region, which leaves no training sites.
        """
        present = [r for r in v.REGIONS if (sites.region == r).any()]
        if not present or (len(present) == 1 and (sites.region == present[0]).all()):
            raise ConfigError(
                f"A cross-continental holdout needs sites in at least two regions; this dataset has only "
                f"{present[0] if present else 'sites outside all regions'}. Set holdout.name = 'random_spatial'."
            )
        days = spatial_days(sites, self.config.train)
        for region in present:
            test = sites.region == region
            shares_cell = np.isin(sites.group, sites.group[test])
            yield Fold(
                name=region,
                train_sites=~(test | shares_cell),
                test_sites=test,
                train_days=days,
                test_days=days,
            )
