"""What scores are of, in words: the days that are left out, the season, and the scaling of the products."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.evaluation.day_masks import apply_masks, masks_text
from gsm3core.evaluation.reference_scaling import NO_SCALING, scale_to_reference, scaling_text
from gsm3core.metrics.rescaling import Scaling

ALL_SEASONS = "all"


def conditions_text(
    *,
    season: str | None = None,
    scaling: str = NO_SCALING,
    masks: Sequence[str] = (),
    reference: str = "the reference",
) -> str:
    """Return the conditions of scores as part of a sentence; empty for all days without scaling.

    Parameters
    ----------
    season, scaling, masks
        As for :func:`gsm3core.score_run`.
    reference
        Name of the reference.
    """
    parts = ["" if season in (None, ALL_SEASONS) else f"{season} days only", masks_text(masks)]
    parts.append(scaling_text(scaling, reference, one_season=season not in (None, ALL_SEASONS)))
    return ", ".join(part for part in parts if part)


def conditions_of(scores: xr.Dataset, reference: str = "the reference") -> str:
    """Return the conditions that scores or a comparison record in their attributes, as :func:`conditions_text`."""
    attrs = scores.attrs
    return conditions_text(
        season=attrs.get("season"), scaling=attrs.get("scaling", NO_SCALING), masks=recorded_masks(scores),
        reference=reference,
    )  # fmt: skip


def condition_attrs(season: str | None, masks: Sequence[str]) -> dict[str, str]:
    """Return the season and the masks as attributes of scores; without the absent ones."""
    return ({"season": season} if season else {}) | ({"masks": " ".join(masks)} if masks else {})


def with_masked_days(
    scores: xr.Dataset, tested: xr.DataArray, left: xr.DataArray, observed: xr.DataArray, masks: Sequence[str]
) -> xr.Dataset:
    """Return scores with ``n_masked``, the number of paired days that masks remove.

    Parameters
    ----------
    scores
        Of the masked series, ``(product, site)``.
    tested, left, observed
        The series before and after masking ``(product, site, time)``, and the reference.
    """
    paired = np.isfinite(tested) & ~np.isfinite(left) & np.isfinite(observed.transpose(v.SITE, v.TIME).values)
    removed = paired.sum(v.TIME).values
    attrs = {"units": "1", "long_name": f"paired days left out ({', '.join(masks)})"}
    return scores.assign(n_masked=((v.PRODUCT, v.SITE), removed, attrs)).assign_attrs(masks=" ".join(masks))


def prepared_series(
    series: xr.DataArray,
    dataset: xr.Dataset,
    reference: str,
    *,
    scaling: Scaling = NO_SCALING,
    masks: Sequence[str] = (),
) -> xr.DataArray:
    """Return products without the masked days, then scaled to the reference.

    Parameters
    ----------
    series, dataset, reference
        ``(product, site, time)`` on the days that are scored, from
        :func:`gsm3core.evaluation.test_days.tested_series`, and its dataset and reference.
    scaling, masks
        As for :func:`gsm3core.score_run`.
    """
    return scale_to_reference(
        apply_masks(series, dataset, reference, masks), dataset[reference].load(), scaling
    )


def recorded_masks(scores: xr.Dataset) -> tuple[str, ...]:
    """Return the masks that scores record in their attributes."""
    return tuple(str(scores.attrs.get("masks", "")).split())
