"""From a dataset to a network's inputs: derived, filled, and scaled with statistics of the fold's training part."""

from gsm3core.scaling.derived import DERIVED, antecedent_mean, derived_columns, moving_mean
from gsm3core.scaling.fitting import fit_scaler
from gsm3core.scaling.inputs import input_names, record_span, require_variables
from gsm3core.scaling.long_term_means import (
    AttributeChoice,
    fold_attributes,
    with_means,
)
from gsm3core.scaling.scaler import Scaler, missing_inputs
from gsm3core.scaling.spin_up import spin_up_days, spin_up_note, spin_up_text, with_spin_up

__all__ = [
    "DERIVED",
    "AttributeChoice",
    "Scaler",
    "antecedent_mean",
    "derived_columns",
    "fit_scaler",
    "fold_attributes",
    "input_names",
    "missing_inputs",
    "moving_mean",
    "record_span",
    "require_variables",
    "spin_up_days",
    "spin_up_note",
    "spin_up_text",
    "with_means",
    "with_spin_up",
]
