"""Holdout and Fold: the training and test sites and days."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.config import Period
from gsm3core.errors import ConfigError

Mask = NDArray[np.bool_]

SAME_CELL = "in the satellite cell of a test site, or grouped with it"
NO_REGION = "in no region"


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
    target_days
        By soil-moisture record, ``(time)`` mask of the days with a value at some site; read by the temporal holdout.
        Without records, every day counts.
    targets
        The records in ``target_days`` that are training targets.
    regions
        The names in ``region`` in the order of folds, without :data:`gsm3core.vocabulary.NO_REGION`.
    near
        Region -> ``(site)`` mask of the sites of other regions within ``holdout.buffer_km`` of it.
    """

    site: NDArray[np.str_]
    network: NDArray[np.str_]
    lat: NDArray[np.float64]
    lon: NDArray[np.float64]
    region: NDArray[np.str_]
    group: NDArray[np.int64]
    has_insitu: Mask
    days: pd.DatetimeIndex
    target_days: Mapping[str, Mask] = field(default_factory=dict)
    targets: tuple[str, ...] = ()
    regions: tuple[str, ...] = v.REGIONS
    near: Mapping[str, Mask] = field(default_factory=dict)


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
    fit_sites
        ``(site)`` mask: training sites whose training-period scores come from this fold (:func:`assign_fit_sites`); by
        default all training sites.
    left_out
        Reason -> ``(site)`` mask of the sites that neither train nor test for it. Each site has one reason.
    """

    name: str
    train_sites: Mask
    test_sites: Mask
    train_days: Mask
    test_days: Mask
    fit_sites: Mask | None = None
    left_out: Mapping[str, Mask] = field(default_factory=dict)


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


def assign_fit_sites(folds: Sequence[Fold]) -> list[Fold]:
    """Return the folds with ``fit_sites``: every training site belongs to one fold that trained on it.

    Notes
    -----
    In a spatial holdout most sites are trained on by all folds but one. The fold after the one that tests a site is used,
    so that a training score is that of one model, as the test score is, and not of the mean of several.
    """
    trained_FS = np.stack([f.train_sites for f in folds])
    tested_FS = np.stack([f.test_sites for f in folds])
    next_S = np.where(tested_FS.any(axis=0), tested_FS.argmax(axis=0) + 1, 0)
    order_FS = (next_S + np.arange(len(folds))[:, None]) % len(folds)
    trained_in_order_FS = np.take_along_axis(trained_FS, order_FS, axis=0)
    chosen_S = np.take_along_axis(order_FS, trained_in_order_FS.argmax(axis=0)[None], axis=0)[0]
    return [replace(f, fit_sites=f.train_sites & (chosen_S == k)) for k, f in enumerate(folds)]


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
