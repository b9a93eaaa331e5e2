"""Holdout and Fold: which sites and days train, which test, and what keeps them apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gsm3core.config import Period
from gsm3core.errors import ConfigError

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteInfo:
    """What a holdout may know of the sites; never their soil moisture.

    Parameters
    ----------
    region
        ``(site)`` region names.
    group
        ``(site)`` numbers; sites of one group (one satellite cell) are always held out together, so that a
        held-out site's cell does not teach.
    has_insitu
        ``(site)`` whether a site has an in-situ record. Both kinds are spread evenly over the folds.
    lat, lon
        ``(site)`` degrees.
    site, network
        ``(site)`` names.
    days
        ``(time)`` the dataset's days.
    """

    site: NDArray[np.str_]
    network: NDArray[np.str_]
    lat: NDArray[np.float64]
    lon: NDArray[np.float64]
    region: NDArray[np.str_]
    group: NDArray[np.int64]
    has_insitu: Mask
    days: pd.DatetimeIndex


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """One division into training and testing.

    Parameters
    ----------
    name
        Also the name of its folder.
    train_sites, test_sites
        ``(site)`` masks. Disjoint in spatial holdouts, equal in the temporal one.
    train_days, test_days
        ``(time)`` masks. Disjoint in the temporal holdout.
    """

    name: str
    train_sites: Mask
    test_sites: Mask
    train_days: Mask
    test_days: Mask


class Holdout(Protocol):
    """Divides sites and days into folds; the same folds for the same sites and seed."""

    def folds(self, sites: SiteInfo) -> Iterator[Fold]:
        """Yield the folds in a fixed order.

        Raises
        ------
        ConfigError
            If the sites or days cannot be divided as configured.
        """
        ...


def period_mask(days: pd.DatetimeIndex, period: Period, what: str) -> Mask:
    """Return which days lie in a period.

    Raises
    ------
    ConfigError
        If none does.
    """
    mask = np.asarray((days >= pd.Timestamp(period.start)) & (days <= pd.Timestamp(period.end)))
    if not mask.any():
        raise ConfigError(
            f"holdout.{what} is {period.start} to {period.end}, but the dataset has {days[0].date()} to {days[-1].date()}."
        )
    return mask


def spatial_days(sites: SiteInfo, train: Period | None) -> Mask:
    """Return the days that both train and test in a spatial holdout: the period given, or all."""
    return np.ones(len(sites.days), bool) if train is None else period_mask(sites.days, train, "train")


def deal(group: NDArray[np.int64], has_insitu: Mask, folds: int, seed: int) -> NDArray[np.int64]:
    """Deal groups of sites out to folds; return each site's fold, 0 to ``folds - 1``.

    Parameters
    ----------
    group
        ``(site)`` numbers; a group stays together.
    has_insitu
        ``(site)``. Shuffled groups with an in-situ site are dealt first, then the others: every fold tests about as
        many of both.
    folds, seed
        Number of folds, and what shuffles.
    """
    groups, of_group = np.unique(group, return_inverse=True)
    with_insitu = np.zeros(len(groups), bool)
    np.logical_or.at(with_insitu, of_group, has_insitu)
    shuffled = np.random.default_rng(seed).permutation(len(groups))
    order = np.concatenate([shuffled[with_insitu[shuffled]], shuffled[~with_insitu[shuffled]]])
    fold_of_group = np.empty(len(groups), np.int64)
    fold_of_group[order] = np.arange(len(groups)) % folds
    return fold_of_group[of_group]
