"""Temporal holdout: training and test on different periods at the same sites."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from gsm3core.config import HoldoutConfig, Period
from gsm3core.errors import ConfigError
from gsm3core.holdouts.base import Fold, SiteInfo, period_mask

_YEAR = 365


class Temporal:
    """Train on one period and test on another, at every site.

    Parameters
    ----------
    config
        ``train`` and ``test`` periods. By default the first year is for test and the rest for training, as in the paper
        (test 2015-04-01..2016-03-31, train 2016-04-01..2020-12-31; Liu et al., GSM3 v1.0, section 2.4).
    """

    def __init__(self, config: HoldoutConfig) -> None:
        self.config = config

    def folds(self, sites: SiteInfo) -> Iterator[Fold]:
        """Yield the one fold.

        Raises
        ------
        ConfigError
            If a period is empty, only one is given, or the record is too short for the default ones.
        """
        train, test = self._periods(sites.days)
        everywhere = np.ones(len(sites.region), bool)
        yield Fold(
            name="temporal",
            train_sites=everywhere,
            test_sites=everywhere.copy(),
            train_days=period_mask(sites.days, train, "train"),
            test_days=period_mask(sites.days, test, "test"),
        )

    def _periods(self, days: pd.DatetimeIndex) -> tuple[Period, Period]:
        train, test = self.config.train, self.config.test
        if train and test:
            return train, test
        if train or test:
            raise ConfigError("A temporal holdout needs both holdout.train and holdout.test, or neither.")
        if len(days) < 2 * _YEAR:
            raise ConfigError(
                f"The dataset has {len(days)} days ({days[0].date()} to {days[-1].date()}): too short for the default "
                "temporal holdout (first year for test, the rest for training). Set holdout.train and holdout.test."
            )
        cut = days[0] + pd.DateOffset(years=1)
        return (
            Period(start=cut.date(), end=days[-1].date()),
            Period(start=days[0].date(), end=(cut - pd.Timedelta(days=1)).date()),
        )
