"""Calibration of a run's predictive standard deviation, as a table."""

from __future__ import annotations

import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.evaluation.calibration import LEVEL, calibration
from gsm3core.report.inputs import Experiment
from gsm3core.report.tables import Cell, Table, interval, number


def run_calibration(experiment: Experiment, dataset: xr.Dataset) -> xr.Dataset | None:
    """Return the calibration of a run on its test days; ``None`` for a run without ``sm_predicted_std``."""
    predictions = experiment.run.predictions()
    if v.SM_PREDICTED_STD not in predictions:
        return None
    tested = predictions[v.IN_TEST]
    return calibration(
        predictions[v.SM_PREDICTED].where(tested),
        predictions[v.SM_PREDICTED_STD].where(tested),
        dataset[experiment.reference].load(),
        min_days=experiment.run.config.scores.min_days,
        confidence=experiment.confidence,
    )


def calibration_table(found: xr.Dataset) -> Table:
    """Return coverage and width of the predicted intervals, one row per level.

    Parameters
    ----------
    found
        From :func:`gsm3core.evaluation.calibration.calibration`.
    """
    rows: list[list[Cell]] = []
    frames = []
    for level in found[LEVEL].values:
        one = found.sel({LEVEL: level})
        numbers = {
            f"{n}_{e}": float(one[f"{n}_{e}"])
            for n in ("coverage", "width")
            for e in ("median", "lower", "upper")
        }
        cells = [
            (number(numbers[f"{n}_median"]), interval(numbers[f"{n}_lower"], numbers[f"{n}_upper"]))
            for n in ("coverage", "width")
        ]
        rows.append([(f"{float(level):.0%}",), *cells])
        frames.append({"level": float(level), **numbers})
    crps = [float(found[f"CRPS_{e}"]) for e in ("median", "lower", "upper")]
    return Table(
        name="calibration",
        caption="Predicted intervals of daily soil moisture: coverage and width, medians over sites",
        head=("interval", "coverage", "width (m³ m⁻³)"),
        rows=rows,
        frame=pd.DataFrame(frames).assign(CRPS_median=crps[0], CRPS_lower=crps[1], CRPS_upper=crps[2]),
        notes=(f"CRPS, median over sites: {number(crps[0], 4)} ({interval(crps[1], crps[2], 4)}) m³ m⁻³.",),
    )
