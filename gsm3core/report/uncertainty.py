"""Calibration of a run's predictive standard deviation, as a table."""

from __future__ import annotations

import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.evaluation.calibration import LEVEL, PIT_BIN, PIT_BINS, calibration
from gsm3core.report.inputs import Experiment
from gsm3core.report.tables import Cell, Table, interval, number

_OF_INTERVALS = ("probability", "coverage", "width")


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
    """Return probability, coverage and width of the predicted intervals, one row per level.

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
            f"{n}_{e}": float(one[f"{n}_{e}"]) for n in _OF_INTERVALS for e in ("median", "lower", "upper")
        }
        cells = [
            (number(numbers[f"{n}_median"]), interval(numbers[f"{n}_lower"], numbers[f"{n}_upper"]))
            for n in _OF_INTERVALS
        ]
        rows.append([(f"{float(level):.0%}",), *cells])
        frames.append({"level": float(level), **numbers})
    crps = [float(found[f"CRPS_{e}"]) for e in ("median", "lower", "upper")]
    return Table(
        name="calibration",
        caption="Predicted intervals of daily soil moisture: coverage and width, medians over sites",
        head=("interval", "predicted probability", "coverage", "width (m³ m⁻³)"),
        rows=rows,
        frame=pd.DataFrame(frames).assign(CRPS_median=crps[0], CRPS_lower=crps[1], CRPS_upper=crps[2]),
        notes=(f"CRPS, median over sites: {number(crps[0], 4)} ({interval(crps[1], crps[2], 4)}) m³ m⁻³.",),
    )


def pit_table(found: xr.Dataset) -> Table:
    """Return the histogram of the probability integral transform, one row per tenth of the predicted distribution.

    Parameters
    ----------
    found
        From :func:`gsm3core.evaluation.calibration.calibration`.
    """
    numbers = [
        [float(found[f"pit_{e}"].isel({PIT_BIN: k})) for e in ("median", "lower", "upper")]
        for k in range(PIT_BINS)
    ]
    tenths = [f"{k / PIT_BINS:.1f} to {(k + 1) / PIT_BINS:.1f}" for k in range(PIT_BINS)]
    rounded = found["resolution"].values
    notes = ["A calibrated prediction has 0.1 in each row; 0.1 is not expected of medians exactly."]
    if (rounded > 0).any():
        notes.append(
            f"{int((rounded > 0).sum())} of {len(rounded)} records are rounded to {rounded[rounded > 0].min():g} m³ m⁻³ or more; "
            "each value counts with the probability of its step."
        )
    return Table(
        name="pit",
        caption="Share of days by tenth of the predicted distribution (non-randomised PIT), medians over sites",
        head=("probability below the observation", "share of days"),
        rows=[[(t,), (number(m), interval(a, b))] for t, (m, a, b) in zip(tenths, numbers, strict=True)],
        frame=pd.DataFrame(numbers, columns=["median", "lower", "upper"]).assign(tenth=tenths),
        notes=tuple(notes),
    )
