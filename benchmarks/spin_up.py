"""Effect of the spin-up on a temporal test: SMAP over CONUS, one year for training and one for test.

python benchmarks/run.py spin-up [RUN ...] [--data FOLDER] [--out FOLDER]

Trains several networks, tested on the first year and trained on the second or the reverse, or takes finished runs. Each
network predicts the test year from a cold start (``spin_up_days = 0``) and after its first year's forcings. Where the test
year is the second, the record is cut before it, and a third row has the real year before.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from numpy.typing import NDArray

from benchmarks.real_table import CASES, build_dataset, cached_run
from gsm3core import ExperimentConfig, Run, open_dataset
from gsm3core import vocabulary as v
from gsm3core.experiment.folds import folds_of
from gsm3core.metrics import METRICS, paired_moments
from gsm3core.prediction import Records, estimate, load_models

SEEDS = 4
# SMAP has a value on 42 % of the days.
_FEWEST_DAYS = 8
_ALL: tuple[str, ...] = ("season", "antecedent_precipitation", "running_means")
_FIRST = {
    "train": {"start": "2016-04-01", "end": "2017-03-31"},
    "test": {"start": "2015-04-01", "end": "2016-03-31"},
}
_SECOND = {"train": _FIRST["test"], "test": _FIRST["train"]}
# Weight dropout and Adadelta as in the paper; smaller and shorter.
_SMALL = {"epochs": 20, "updates_per_epoch": 20, "batch": 24, "members": 2}
# Title -> preset, periods, and changed keys by section.
NETWORKS: dict[str, tuple[str, dict[str, Any], dict[str, dict[str, Any]]]] = {
    "paper, hidden size 64, first year": ("paper", _FIRST, {"model": {"hidden": 64}, "training": _SMALL}),
    "no derived inputs, windows of a year, first year": (
        "smap-temporal",
        _FIRST,
        {"data": {"derived": ()}, "training": {"window": 365, "batch": 16}},
    ),
    "season (smap-temporal), first year": ("smap-temporal", _FIRST, {}),
    "all derived inputs (as gsm3), first year": ("smap-temporal", _FIRST, {"data": {"derived": _ALL}}),
    "paper, hidden size 64, second year": ("paper", _SECOND, {"model": {"hidden": 64}, "training": _SMALL}),
    "season (smap-temporal), second year": ("smap-temporal", _SECOND, {}),
}


def main(arguments: list[str]) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="run.py spin-up", description=__doc__.splitlines()[0])
    default = os.environ.get("GSM3_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument(
        "runs", nargs="*", type=Path, help="finished runs of one temporal fold, not to train any"
    )
    parser.add_argument("--data", type=Path, default=Path(default), help="folder of the real data sets")
    parser.add_argument("--out", type=Path, default=Path("runs/spin-up"), help="folder of the cached runs")
    args = parser.parse_args(arguments)
    for run in [Run.open(path) for path in args.runs] or train(args.data, args.out):
        sys.stdout.write(f"\n{run.title}\n{compare_starts(run).to_string()}\n")


def train(data: Path, out: Path) -> list[Run]:
    """Return the finished runs of :data:`NETWORKS`."""
    dataset = build_dataset(CASES[0], data, out)
    runs = []
    for title, (preset, periods, changes) in NETWORKS.items():
        config = ExperimentConfig.load(preset).replace("holdout", name="temporal", **periods)
        config = config.replace("data", dataset=str(dataset.resolve()), targets=(v.SM_SMAP,))
        config = config.replace("training", members=SEEDS, device="cpu")
        for section, keys in changes.items():
            config = config.replace(section, **keys)
        runs.append(cached_run(config.model_copy(update={"title": title}), out))
    return runs


def compare_starts(run: Run) -> pd.DataFrame:
    """Return medians over sites, mean and range over the networks of a run, by start of the prediction.

    Notes
    -----
    Where the record begins before the test days, a third start is the record as it is; the other two see it cut at the
    first test day.
    """
    ds = open_dataset(run.dataset_path).load()
    (fold,) = folds_of(ds, run.config)
    first = int(np.argmax(fold.test_days))
    cut = ds.isel({v.TIME: slice(first, None)})
    starts = {"cold": (cut, 0), "first year repeated": (cut, 365)}
    if first >= 365:
        starts["real year before"] = (ds, 0)
    test_days = fold.test_days.sum()
    observed_ST = cut[v.SM_SMAP].transpose(v.SITE, v.TIME).values[:, :test_days]
    rows = {}
    for name, (part, days) in starts.items():
        scores = [
            _medians(y_ST[:, -cut.sizes[v.TIME] :][:, :test_days], observed_ST)
            for y_ST in _predict(run, part, days)
        ]
        table = pd.DataFrame(scores)
        rows[name] = [f"{table[c].mean():.4f} ({table[c].min():.4f}, {table[c].max():.4f})" for c in table]
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(table))


def _predict(run: Run, ds: xr.Dataset, days: int) -> list[NDArray[np.float32]]:
    """Return the prediction of each network."""
    cpu = torch.device("cpu")
    scaler, models = load_models(run.config, run.fold("temporal"), cpu)
    training = run.config.training.model_copy(update={"spin_up_days": days})
    records = Records.of(ds, scaler, np.ones(ds.sizes[v.SITE], bool), training)
    return [estimate(model, records, scaler.target, device=cpu).mean_ST for model in models]


def _medians(predicted_ST: NDArray[np.floating], observed_ST: NDArray[np.floating]) -> dict[str, float]:
    found = {}
    for title, days in (
        ("days 1 to 30", slice(30)),
        ("days 31 to 90", slice(30, 90)),
        ("whole year", slice(None)),
    ):
        moments = paired_moments(predicted_ST[:, days], observed_ST[:, days])
        enough = np.isfinite(predicted_ST[:, days] + observed_ST[:, days]).sum(axis=1) >= _FEWEST_DAYS
        for metric in ("R", "RMSE"):
            scores = METRICS[metric].from_moments(moments)[enough]
            found[f"{metric}, {title}"] = float(np.nanmedian(scores))
    return found
