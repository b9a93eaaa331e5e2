"""From a dataset to a network's inputs: derived, filled, and scaled with statistics of the fold's training part."""

from gsm3core.scaling.derived import DERIVED, antecedent_mean, derived_columns, moving_mean
from gsm3core.scaling.fitting import fit_scaler
from gsm3core.scaling.inputs import record_span
from gsm3core.scaling.scaler import Scaler, missing_inputs

__all__ = [
    "DERIVED",
    "Scaler",
    "antecedent_mean",
    "derived_columns",
    "fit_scaler",
    "missing_inputs",
    "moving_mean",
    "record_span",
]
