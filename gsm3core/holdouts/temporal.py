"""Temporal holdout: training and test on different periods at the same sites."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from gsm3core import vocabulary as v
from gsm3core.config import HoldoutConfig, Period
from gsm3core.errors import ConfigError
from gsm3core.holdouts.base import Fold, SiteInfo, period_mask

_YEAR = 365


class Temporal:
    """Train on one period and test on another, at every site.

    Parameters
    ----------
    config
        ``train`` and ``test`` periods. By default the first year with training targets is for test and the rest for
        training, as in the paper (test 2015-04-01..2016-03-31, train 2016-04-01..2020-12-31; Liu et al., GSM3 v1.0, section
        2.4).

    Notes
    -----
    Days before the first target only spin up the prediction. Where SMAP is a training target, the first year begins with
    SMAP (2015-03-31), also if in-situ records begin before: the model is not tested on years before it.
    """

    def __init__(self, config: HoldoutConfig) -> None:
        self.config = config

    def folds(self, sites: SiteInfo) -> Iterator[Fold]:
        """Yield the one fold.

        Raises
        ------
        ConfigError
            If a period is empty or has no soil moisture, only one is given, or the record is too short for the default
            ones.
        """
        train, test = self._periods(sites)
        everywhere = np.ones(len(sites.region), bool)
        fold = Fold(
            name="temporal",
            train_sites=everywhere,
            test_sites=everywhere.copy(),
            train_days=period_mask(sites.days, train, "train"),
            test_days=period_mask(sites.days, test, "test"),
        )
        known = [days & fold.test_days for days in sites.target_days.values()]
        if known and not np.any(known):
            raise ConfigError(
                f"holdout.test is {test.start} to {test.end}, but no site has soil moisture on these days. The dataset has "
                f"{_coverage(sites)}. Choose test days with soil moisture."
            )
        yield fold

    def _periods(self, sites: SiteInfo) -> tuple[Period, Period]:
        train, test = self.config.train, self.config.test
        if train and test:
            return train, test
        if train or test:
            raise ConfigError("A temporal holdout needs both holdout.train and holdout.test, or neither.")
        days = sites.days[_target_range(sites)]
        if len(days) < 2 * _YEAR:
            what = f"{', '.join(sites.targets)}: " if sites.targets else ""
            raise ConfigError(
                f"The dataset has {len(days)} days with targets ({what}"
                + (f"{days[0].date()} to {days[-1].date()}" if len(days) else "none")
                + "): too short for the default temporal holdout (first year for test, the rest for training). "
                "Set holdout.train and holdout.test."
            )
        cut = days[0] + pd.DateOffset(years=1)
        return (
            Period(start=cut.date(), end=days[-1].date()),
            Period(start=days[0].date(), end=(cut - pd.Timedelta(days=1)).date()),
        )


def _target_range(sites: SiteInfo) -> slice:
    """Return the days from the first to the last with a training target."""
    if not sites.target_days:
        return slice(None)
    targets = {
        n: np.flatnonzero(days) for n, days in sites.target_days.items() if n in sites.targets and days.any()
    }
    if not targets:
        return slice(0)
    first = min(at[0] for at in targets.values())
    if v.SM_SMAP in targets:
        first = targets[v.SM_SMAP][0]
    return slice(first, max(at[-1] for at in targets.values()) + 1)


def _coverage(sites: SiteInfo) -> str:
    """Return the first and last day of each record, as text."""
    ranges = {n: sites.days[days] for n, days in sites.target_days.items()}
    return " and ".join(
        f"{n} from {days[0].date()} to {days[-1].date()}" if len(days) else f"no value of {n}"
        for n, days in ranges.items()
    )
