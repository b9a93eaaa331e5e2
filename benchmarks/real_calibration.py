"""Coverage, CRPS and skill over climatology of runs with a predictive standard deviation, on real held-out data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from benchmarks.paired_seeds import series_of
from gsm3core import Run
from gsm3core import vocabulary as v
from gsm3core.evaluation.calibration import calibration

_LEVELS = (0.5, 0.9)
_SAMPLE = 5000


def calibration_table(runs: dict[str, Run], observed: xr.DataArray, test_days: xr.DataArray) -> pd.DataFrame:
    """Return one row per run with a predictive standard deviation.

    Parameters
    ----------
    runs
        Name -> finished run.
    observed
        ``(site, time)``, the reference record.
    test_days
        ``(time)``.
    """
    rows = {}
    for name, run in runs.items():
        if v.SM_PREDICTED_STD not in run.predictions():
            continue
        mean, std = (
            series_of(run, observed, test_days, variable) for variable in (v.SM_PREDICTED, v.SM_PREDICTED_STD)
        )
        climatology = training_record(run, observed, test_days)
        found = calibration(mean, std, observed, climatology, levels=_LEVELS)
        coverage = {f"coverage {level:.0%}": found.sel(level=level)["coverage_median"] for level in _LEVELS}
        rows[name] = {"sites": int(found["CRPS"].notnull().sum())}
        rows[name] |= {column: f"{float(value):.3f}" for column, value in coverage.items()}
        for score in ("CRPS", "CRPSS"):
            estimates = (float(found[f"{score}_{part}"]) for part in ("median", "lower", "upper"))
            rows[name][score] = "{:.4f} ({:.4f}, {:.4f})".format(*estimates)
    return pd.DataFrame(rows).T


def training_record(run: Run, observed: xr.DataArray, test_days: xr.DataArray) -> xr.DataArray:
    """Return the record of the climatology: a site's other days, or 5,000 values from the sites of other folds."""
    if run.config.holdout.name == "temporal":
        return observed.where(~test_days)
    fold = run.predictions()[v.FOLD].reindex({v.SITE: observed[v.SITE]}, fill_value="").values.astype(str)
    rng = np.random.default_rng(0)
    record = np.full((len(fold), _SAMPLE), np.nan)
    for name in np.unique(fold):
        others = observed.values[(fold != name) & (fold != "")]
        others = others[np.isfinite(others)]
        if others.size:
            record[fold == name] = rng.choice(others, _SAMPLE)
    return xr.DataArray(record, dims=(v.SITE, "sample"), coords={v.SITE: observed[v.SITE]})
