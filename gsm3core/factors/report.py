"""The factor analysis of a run as text, for the command line: fits, ranking, strata, and what to expect elsewhere."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core.factors.importance import IMPURITY, NOISE
from gsm3core.factors.skill import SkillModel


def importance_text(found: xr.Dataset, *, most: int = 12) -> str:
    """Return the fits and the ranking of :func:`gsm3core.factor_importance` as text.

    Parameters
    ----------
    found
        Its result.
    most
        Factors shown of each ranking; the noise column is always shown, in its place.
    """
    confidence = f"{found.attrs['confidence']:.0%}"
    parts = [
        f"{found.attrs['metric']} at {found.attrs['sites']} sites, sites weighted by sampling error: "
        f"{found.attrs['weighted']}.",
        found.attrs["note"],
        f"\nHow well factors tell the score at sites held out (correlation with {confidence} interval by "
        f"{found.attrs['clusters']}; R2; Moran's I of what is left over, with p)",
        fits(found).to_string(),
        "One 80/20 split, the paper's figure (lowest to highest of all such splits): "
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
            where = "in training" if measure == IMPURITY else f"on sites held out ({found.attrs['held_out']})"
            parts.append(f"\n{measure}, {model}, {where}: {confidence} interval; * above random noise")
            ranked = ranking(found, str(measure), str(model))
            shown = (ranked["factor"] != NOISE).cumsum() <= most
            parts.append(ranked[shown | (ranked["factor"] == NOISE)].to_string(index=False))
    if dropped := json.loads(found.attrs["dropped"]):
        parts.append("\nLeft out: " + "; ".join(f"{n} ({why})" for n, why in dropped.items()) + ".")
    return "\n".join(parts)


def ranking(found: xr.Dataset, measure: str, model: str) -> pd.DataFrame:
    """Return factors by falling importance, with intervals, group and whether they beat the noise."""
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
    """Return one row per model, one column per way of holding out."""

    def cell(scheme: str, model: str) -> str:
        one = found.sel(scheme=scheme, fitted=model)
        if bool(one["cv_correlation"].isnull()):
            return "-"
        left = "" if bool(one["moran_i"].isnull()) else f"; {one['moran_i']:.2f} (p {one['moran_p']:.3f})"
        return (
            f"{one['cv_correlation']:.2f} ({one['cv_correlation_lower']:.2f} to {one['cv_correlation_upper']:.2f}); "
            f"{one['cv_r2']:.2f}{left}"
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
            f"outermost bins less the others: {float(one['outer_difference']):+.3f} "
            f"({float(one['outer_difference_lower']):+.3f} to {float(one['outer_difference_upper']):+.3f}), "
            f"p {float(one['outer_p']):.4f}, corrected for all tests {float(one['outer_p_holm']):.4f}"
        )
    parts.append(f"\nMedians resample {strata.attrs['clusters']}. {strata.attrs['note']}")
    return "\n".join(parts)


def skill_text(model: SkillModel) -> str:
    """Return what the a-priori skill of :func:`gsm3core.factors.fit_skill` is worth, as text."""
    area = model.applicability
    inside = float((area.training_index <= area.threshold).mean())
    return (
        f"Expected {model.table.metric} at sites held out ({model.scheme}): correlation {model.correlation:.2f}; "
        f"{model.coverage:.0%} interval holds {model.covered_raw:.1%} of them as it comes and {model.covered:.1%} "
        f"corrected ({model.correction:+.3f} at both ends).\nApplicable up to a dissimilarity of "
        f"{area.threshold:.3f}: {inside:.1%} of the sites, seen from other folds."
    )


def _boxes(strata: xr.Dataset, prefix: str, dim: str, name: str) -> str:
    numbers = ("median", "lower", "upper", "q25", "q75")
    rows = pd.DataFrame({n: strata[prefix + n].values.round(3) for n in numbers})
    rows.insert(0, name, strata[dim].values)
    for n in ("sites", "clusters"):
        rows[n] = strata[prefix + n].values.astype(int)
    return rows.to_string(index=False)
