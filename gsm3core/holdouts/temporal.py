"""Temporal holdout: the same sites, other days."""

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
        ``train`` and ``test`` periods. Without them the first year tests and the rest trains, as in the paper
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
            raise ConfigError("A temporal holdout needs holdout.train and holdout.test, or neither of them.")
        if len(days) < 2 * _YEAR:
            raise ConfigError(
                f"The dataset has {len(days)} days ({days[0].date()} to {days[-1].date()}): too short for the default "
                "temporal holdout, which tests on the first year and trains on the rest. Give holdout.train and holdout.test."
            )
        cut = days[0] + pd.DateOffset(years=1)
        return (
            Period(start=cut.date(), end=days[-1].date()),
            Period(start=days[0].date(), end=(cut - pd.Timedelta(days=1)).date()),
        )
