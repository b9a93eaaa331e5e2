"""Coverage, CRPS and skill over the climatology of the runs that predict a spread, on real held-out sites and days."""

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
    """Return one row per run that predicts a spread; none where no run does.

    Parameters
    ----------
    runs
        Name -> finished run.
    observed
        ``(site, time)``, the record that judges.
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
        usual = training_record(run, observed, test_days)
        found = calibration(mean, std, observed, usual, levels=_LEVELS)
        shown = {f"inside {level:.0%}": found.sel(level=level)["coverage_median"] for level in _LEVELS}
        rows[name] = {"sites": int(found["CRPS"].notnull().sum())}
        rows[name] |= {column: f"{float(value):.3f}" for column, value in shown.items()}
        for score in ("CRPS", "CRPSS"):
            ends = (float(found[f"{score}_{end}"]) for end in ("median", "lower", "upper"))
            rows[name][score] = "{:.4f} ({:.4f}, {:.4f})".format(*ends)
    return pd.DataFrame(rows).T


def training_record(run: Run, observed: xr.DataArray, test_days: xr.DataArray) -> xr.DataArray:
    """Return what a climatology may know: a site's own other days, or 5,000 values of the sites of other folds."""
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
