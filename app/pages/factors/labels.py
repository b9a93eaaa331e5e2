"""What factors are called on the page, and how their values are coloured."""

from __future__ import annotations

import re

from bokeh.palettes import BrBG11, Category20_20, Viridis256, interp_palette

from gsm3core import vocabulary as v
from gsm3core.factors.columns import MEAN, POLEWARD_ASPECT
from gsm3core.factors.importance import NOISE

_DIVERGING = tuple(interp_palette(BrBG11[1:-1], 255))
_RECORDS = {v.SM_SMAP: "SMAP soil moisture", v.SM_INSITU: "in-situ soil moisture"}
MEASURES = {
    "permutation": "Shuffled alone",
    "grouped_permutation": "Shuffled with its like",
    "shap": "SHAP",
    "impurity": "Impurity, in training",
}
MEASURE_HELP = {
    "permutation": "How much worse the score is told at sites held out when one factor is shuffled: a share of the "
    "score's variance.",
    "grouped_permutation": "The same, but factors that go along with each other are shuffled together: what they say "
    "in common is not missed because another of them still says it.",
    "shap": "Mean size of what the factor adds to the expected score at sites held out, in the score's units.",
    "impurity": "How much the factor was used when the forest was fitted, as in the paper. It is not tested on sites "
    "held out, and favours factors with many values.",
}
MODELS = {"forest": "Random forest", "boosting": "Gradient boosting", "linear": "Linear (ridge)"}
SCHEMES = {"random": "sites at random", "network": "whole networks", "spatial_block": "blocks of land"}
_POWER = re.compile(r"(?<=[A-Za-z])-?\d")
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
CLUSTERS = {"network": "networks", "spatial_block": "blocks of land", "region": "regions", "site": "sites"}


def factor_label(name: str) -> str:
    """Return what a factor is called, without its units."""
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
    """Return a factor's units; empty where it has none."""
    record = name.removeprefix(MEAN)
    known = v.VARIABLES.get(name) or v.VARIABLES.get(record)
    units = known.units if known else v.SM_UNITS if name.startswith(MEAN) else "1"
    return "" if units == "1" else _POWER.sub(lambda power: power[0].translate(_RAISED), units)


def factor_axis(name: str) -> str:
    """Return a factor's name with its units, for an axis."""
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
