"""Counts of training, test and left-out sites: a record of a run, and sentences for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gsm3core import vocabulary as v
from gsm3core.config import HoldoutConfig
from gsm3core.holdouts.base import Fold, SiteInfo

_OUTSIDE = {
    "fold": f"tested as a fold of their own, {v.NO_REGION}",
    "exclude": "neither training nor test sites",
    "train": "training sites in every fold, never tested",
}


def division_of(sites: SiteInfo, folds: Sequence[Fold], config: HoldoutConfig) -> dict[str, Any]:
    """Return the counts of sites in each fold, ready for JSON.

    Returns
    -------
    dict
        ``folds``: name -> ``training``, ``test`` and ``left_out`` (reason -> count). For the cross-continental holdout also
        ``regions``, ``outside``, ``buffer_km`` and ``sites`` (region -> count, with sites in no region under ``Other``).
    """
    counts = {
        fold.name: {
            "training": int(fold.train_sites.sum()),
            "test": int(fold.test_sites.sum()),
            "left_out": {reason: int(mask.sum()) for reason, mask in fold.left_out.items()},
        }
        for fold in folds
    }
    if config.name != "cross_continental":
        return {"folds": counts}
    order = [*sites.regions, v.NO_REGION]
    names, number = np.unique(sites.region, return_counts=True)
    by_region = dict(zip(names.tolist(), number.tolist(), strict=True))
    return {
        "regions": config.regions,
        "outside": config.outside,
        "buffer_km": config.buffer_km,
        "sites": {name: by_region[name] for name in order if name in by_region},
        "folds": counts,
    }


def division_lines(division: Mapping[str, Any]) -> list[str]:
    """Return sentences on regions, sites in no region and left-out sites; none if a holdout has none of them.

    Parameters
    ----------
    division
        As :func:`division_of` returns it.
    """
    lines = []
    if "regions" in division:
        outside = division["sites"].get(v.NO_REGION, 0)
        inside = ", ".join(
            f"{name.replace('_', ' ')} {n}" for name, n in division["sites"].items() if name != v.NO_REGION
        )
        lines = [
            f"Regions: {division['regions']}. Sites: {inside or 'none'}.",
            f"Sites in no region: {outside}" + (f", {_OUTSIDE[division['outside']]}." if outside else "."),
        ]
    for name, fold in division["folds"].items():
        left_out = ", ".join(f"{n} {reason}" for reason, n in fold["left_out"].items())
        if left_out:
            lines.append(f"Fold {name.replace('_', ' ')}, in neither training nor test: {left_out}.")
    return lines
