"""Labels, units and colours of factors, and labels of the importance measures, models and schemes."""

from __future__ import annotations

import re

from bokeh.palettes import BrBG11, Category20_20, Viridis256, interp_palette

from gsm3core import vocabulary as v
from gsm3core.factors.columns import MEAN, POLEWARD_ASPECT
from gsm3core.factors.importance import NOISE

_DIVERGING = tuple(interp_palette(BrBG11[1:-1], 255))
_RECORDS = {v.SM_SMAP: "SMAP soil moisture", v.SM_INSITU: "in-situ soil moisture"}
MEASURES = {
    "permutation": "Permutation",
    "grouped_permutation": "Grouped permutation",
    "shap": "SHAP",
    "impurity": "Impurity (training)",
}
MEASURE_HELP = {
    "permutation": "Increase in squared error at held-out sites when one factor is permuted, as a share of the score's "
    "variance.",
    "grouped_permutation": "As permutation, but correlated factors are permuted together, so that one cannot stand in "
    "for another.",
    "shap": "Mean absolute SHAP value at held-out sites, in the units of the score.",
    "impurity": "Impurity decrease in the random forest, as in the paper. It is computed on the training sites and "
    "favours factors with many values.",
}
MODELS = {"forest": "Random forest", "boosting": "Gradient boosting", "linear": "Linear (ridge)"}
SCHEMES = {"random": "random sites", "network": "networks", "spatial_block": "spatial blocks"}
_POWER = re.compile(r"(?<=[A-Za-z])-?\d")
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
CLUSTERS = {"network": "networks", "spatial_block": "spatial blocks", "region": "regions", "site": "sites"}


def factor_label(name: str) -> str:
    """Return a factor's label without units."""
    if name == NOISE:
        return "random noise"
    if name == POLEWARD_ASPECT:
        return "poleward aspect"
    if name in v.VARIABLES:
        return v.VARIABLES[name].long_name.partition(" (")[0]
    if name.startswith(MEAN):
        record = name.removeprefix(MEAN)
        known = v.VARIABLES.get(record)
        return f"mean {_RECORDS.get(record) or (known.long_name if known else f'{record} soil moisture')}"
    return name.replace("_", " ")


def factor_units(name: str) -> str:
    """Return a factor's units; empty if dimensionless."""
    record = name.removeprefix(MEAN)
    known = v.VARIABLES.get(name) or v.VARIABLES.get(record)
    units = known.units if known else v.SM_UNITS if name.startswith(MEAN) else "1"
    return "" if units == "1" else _POWER.sub(lambda power: power[0].translate(_SUPERSCRIPTS), units)


def factor_axis(name: str) -> str:
    """Return a factor's label with units, for an axis."""
    units = factor_units(name)
    if name == POLEWARD_ASPECT:
        return "poleward aspect (−1 faces the equator, +1 the pole)"
    return f"{factor_label(name)} ({units})" if units else factor_label(name)


def factor_palette(name: str) -> tuple[str, ...]:
    """Return the colours of a quantity from low to high."""
    return _DIVERGING if name == POLEWARD_ASPECT else tuple(Viridis256)


def class_palette(names: list[str]) -> dict[str, str]:
    """Return a colour for every class."""
    return {name: Category20_20[k % 20] for k, name in enumerate(names)}
