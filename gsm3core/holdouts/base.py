"""Holdout and Fold: the training and test sites and days."""

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
    """The information on sites that a holdout may use; never their soil moisture.

    Parameters
    ----------
    site, network, region
        ``(site)`` names.
    lat, lon
        ``(site)`` degrees.
    group
        ``(site)`` numbers; sites of one group (one satellite cell) are always held out together, so that the cell of a
        held-out site is not in training.
    has_insitu
        ``(site)`` whether a site has an in-situ record. Both kinds are distributed evenly over the folds.
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
    """One split into training and test sites and days.

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
    """Splits sites and days into folds; deterministic for given sites and seed."""

    def folds(self, sites: SiteInfo) -> Iterator[Fold]:
        """Yield the folds in a fixed order.

        Raises
        ------
        ConfigError
            If the sites or days cannot be split as configured.
        """
        ...


def period_mask(days: pd.DatetimeIndex, period: Period, what: str) -> Mask:
    """Return the mask of the days in a period.

    Raises
    ------
    ConfigError
        If no day lies in it.
    """
    mask = np.asarray((days >= pd.Timestamp(period.start)) & (days <= pd.Timestamp(period.end)))
    if not mask.any():
        raise ConfigError(
            f"holdout.{what} is {period.start} to {period.end}, but the dataset covers {days[0].date()} to "
            f"{days[-1].date()}. Choose a period within it."
        )
    return mask


def spatial_days(sites: SiteInfo, train: Period | None) -> Mask:
    """Return the mask of the days used in a spatial holdout, for training and test alike; all by default."""
    return np.ones(len(sites.days), bool) if train is None else period_mask(sites.days, train, "train")


def assign_folds(group: NDArray[np.int64], has_insitu: Mask, folds: int, seed: int) -> NDArray[np.int64]:
    """Assign shuffled groups of sites to folds in turn; return each site's fold, 0 to ``folds - 1``.

    Parameters
    ----------
    group
        ``(site)`` numbers; a group is never split.
    has_insitu
        ``(site)``. Groups with an in-situ site are assigned before the others, so that every fold has about as many
        of both kinds.
    """
    groups, of_group = np.unique(group, return_inverse=True)
    with_insitu = np.zeros(len(groups), bool)
    np.logical_or.at(with_insitu, of_group, has_insitu)
    shuffled = np.random.default_rng(seed).permutation(len(groups))
    order = np.concatenate([shuffled[with_insitu[shuffled]], shuffled[~with_insitu[shuffled]]])
    fold_of_group = np.empty(len(groups), np.int64)
    fold_of_group[order] = np.arange(len(groups)) % folds
    return fold_of_group[of_group]
