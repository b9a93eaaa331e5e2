"""Prediction of daily soil moisture, and its standard deviation, over each site's whole record."""

from gsm3core.prediction.folds import as_dataset, estimate_fold, load_models, predict, predict_dataset
from gsm3core.prediction.mixture import Estimate, mixture
from gsm3core.prediction.records import Records, estimate

__all__ = [
    "Estimate",
    "Records",
    "as_dataset",
    "estimate",
    "estimate_fold",
    "load_models",
    "mixture",
    "predict",
    "predict_dataset",
]
