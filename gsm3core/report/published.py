"""The published Table 1, for comparison with a run."""

from __future__ import annotations

from functools import cache

import pandas as pd

from gsm3core import vocabulary as v
from gsm3core.config import HoldoutConfig
from gsm3core.resources import assets_folder

EXPERIMENTS = ("temporal", "random_spatial", "cross_continental")
METRICS = ("bias", "RMSE", "ubRMSE", "R")

PAPER = (
    "Liu, J., Hughes, D., Rahmani, F., Lawson, K., and Shen, C. (2023): Evaluating a global soil moisture dataset from a "
    "multitask model (GSM3 v1.0) with potential applications for crop threats. Geosci. Model Dev. 16, 1553-1567."
)
PAPER_DOI = "10.5194/gmd-16-1553-2023"


def holds_out_other_regions(holdout: HoldoutConfig) -> bool:
    """Return whether a cross-continental holdout is of other regions than the paper's, and its scores not comparable."""
    return holdout.name == "cross_continental" and holdout.regions != v.PAPER_REGIONS


@cache
def paper_table() -> pd.DataFrame:
    """Return the published medians as printed, indexed by experiment and metric, with columns by region and ``Global``.

    Notes
    -----
    ``assets/paper_table1.csv``, from Table 1 of Liu et al. 2023 (doi:10.5194/gmd-16-1553-2023), m3 m-3.
    """
    table = pd.read_csv(assets_folder() / "paper_table1.csv", comment="#", dtype=str)
    return table.set_index(["experiment", "metric"])
