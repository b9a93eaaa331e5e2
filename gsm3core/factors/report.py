"""Text output of the factor analysis for the command line: fits, importance, strata and expected skill."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core.factors.importance import IMPURITY, NOISE
from gsm3core.factors.skill import SkillModel


def importance_text(found: xr.Dataset, *, max_factors: int = 12) -> str:
    """Return the fits and the ranking of :func:`gsm3core.factor_importance` as text.

    Parameters
    ----------
    found
        Result of :func:`gsm3core.factor_importance`.
    max_factors
        Number of factors shown per ranking; the noise column is always shown.
    """
    confidence = f"{found.attrs['confidence']:.0%}"
    parts = [
        f"{found.attrs['metric']} at {found.attrs['sites']} sites, sites weighted by sampling error: "
        f"{found.attrs['weighted']}.",
        found.attrs["note"],
        f"\nSkill of the fits at held-out sites (correlation with {confidence} interval, resampled by "
        f"{found.attrs['clusters']}; R2; Moran's I of the residuals with p)",
        fits(found).to_string(),
        "Correlation of one 80/20 split, as in the paper (range over all splits): "
        + "; ".join(
            f"{m} {found['split_correlation'].sel(fitted=m):.2f} ({found['split_lowest'].sel(fitted=m):.2f} to "
            f"{found['split_highest'].sel(fitted=m):.2f})"
            for m in found["fitted"].values
        ),
    ]
    for measure in found["measure"].values:
        for model in found["model"].values:
            if measure == IMPURITY and found["importance"].sel(measure=measure, model=model).isnull().all():
                continue
            where = (
                "at training sites"
                if measure == IMPURITY
                else f"at held-out sites ({found.attrs['held_out']})"
            )
            parts.append(f"\n{measure}, {model}, {where}: {confidence} interval; * above random noise")
            ranked = ranking(found, str(measure), str(model))
            shown = (ranked["factor"] != NOISE).cumsum() <= max_factors
            parts.append(ranked[shown | (ranked["factor"] == NOISE)].to_string(index=False))
    if dropped := json.loads(found.attrs["dropped"]):
        parts.append("\nExcluded factors: " + "; ".join(f"{n} ({why})" for n, why in dropped.items()) + ".")
    return "\n".join(parts)


def ranking(found: xr.Dataset, measure: str, model: str) -> pd.DataFrame:
    """Return factors by decreasing importance, with interval, group and whether they exceed random noise."""
    one = found.sel(measure=measure, model=model)
    rows = pd.DataFrame(
        {
            "factor": one["factor"].values,
            "importance": one["importance"].values.round(4),
            "lower": one["lower"].values.round(4),
            "upper": one["upper"].values.round(4),
            "": np.where(one["above_noise"].values, "*", ""),
            "group": one["group"].values,
        }
    )
    return rows.sort_values("importance", ascending=False, kind="stable")


def fits(found: xr.Dataset) -> pd.DataFrame:
    """Return the skill of the fits, one row per model and one column per cross-validation scheme."""

    def cell(scheme: str, model: str) -> str:
        one = found.sel(scheme=scheme, fitted=model)
        if bool(one["cv_correlation"].isnull()):
            return "-"
        moran = "" if bool(one["moran_i"].isnull()) else f"; {one['moran_i']:.2f} (p {one['moran_p']:.3f})"
        return (
            f"{one['cv_correlation']:.2f} ({one['cv_correlation_lower']:.2f} to {one['cv_correlation_upper']:.2f}); "
            f"{one['cv_r2']:.2f}{moran}"
        )

    schemes = [str(s) for s in found["scheme"].values]
    return pd.DataFrame(
        {s: [cell(s, str(m)) for m in found["fitted"].values] for s in schemes},
        index=list(found["fitted"].values),
    )


def strata_text(strata: xr.Dataset) -> str:
    """Return the boxes and tests of :func:`gsm3core.factors.skill_strata` as text."""
    first, second, metric = strata.attrs["first"], strata.attrs["second"], strata.attrs["metric"]
    parts = [f"{metric} by {first} (p {float(strata['first_p']):.4f}, {strata['first_test'].item()})"]
    parts.append(_boxes(strata, "first_", "first_bin", first))
    for name in strata["stratum"].values if second else ():
        one = strata.sel(stratum=name)
        parts.append(
            f"\n{metric} by {second}, {name} (p {float(one['second_p']):.4f}, {one['second_test'].item()})"
        )
        parts.append(_boxes(one, "second_", "second_bin", second))
        parts.append(
            f"outermost bins minus the others: {float(one['outer_difference']):+.3f} "
            f"({float(one['outer_difference_lower']):+.3f} to {float(one['outer_difference_upper']):+.3f}), "
            f"p {float(one['outer_p']):.4f}, Holm-corrected {float(one['outer_p_holm']):.4f}"
        )
    parts.append(
        f"\nIntervals of the medians resample by {strata.attrs['resampled']}. {strata.attrs['note']}"
    )
    return "\n".join(parts)


def skill_text(model: SkillModel) -> str:
    """Return the cross-validated accuracy of :func:`gsm3core.factors.fit_skill` and its area of applicability as text."""
    area = model.applicability
    inside = float((area.training_index <= area.threshold).mean())
    return (
        f"Expected {model.table.metric} at held-out sites ({model.scheme}): correlation {model.correlation:.2f}; "
        f"the {model.coverage:.0%} interval covers {model.covered_raw:.1%} of them before and {model.covered:.1%} after "
        f"the conformal correction ({model.correction:+.3f} at both ends).\nArea of applicability: dissimilarity up to "
        f"{area.threshold:.3f}, with {inside:.1%} of the sites inside relative to other folds."
    )


def _boxes(strata: xr.Dataset, prefix: str, dim: str, name: str) -> str:
    numbers = ("median", "lower", "upper", "q25", "q75")
    rows = pd.DataFrame({n: strata[prefix + n].values.round(3) for n in numbers})
    rows.insert(0, name, strata[dim].values)
    for n in ("sites", "clusters"):
        rows[n] = strata[prefix + n].values.astype(int)
    return rows.to_string(index=False)
