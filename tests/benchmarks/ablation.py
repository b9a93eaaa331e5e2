"""Why the preset gsm3 is as it is: what each of its choices gives, one changed at a time, one network a fold.

python tests/benchmarks/run.py ablation [NAME ...] [--data FOLDER] [--out FOLDER]

On USCRN stations held out, in folds other than those of ``run.py real`` (``holdout.seed = 7``: choices are made on
these, and judged on those), and on SMAP, first year to second. Runs are kept in --out and not made again. All of them
take about an hour and a half of processor time.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import xarray as xr
from benchmarks.paired_seeds import series_of
from benchmarks.real_table import CASES, compared, comparison_run, prepare

from gsm3core import ExperimentConfig, open_dataset
from gsm3core import vocabulary as v

PRESET = "gsm3"
# Name -> what differs from the preset, by section. Windows of a year without derived inputs are what those replace.
CHANGES: dict[str, dict[str, dict[str, Any]]] = {
    "no derived inputs": {"data": {"derived": ()}},
    "no derived inputs, windows of a year": {
        "data": {"derived": ()},
        "training": {"window": 365, "batch": 16},
    },
    "no dynamics term": {"training": {"dynamics_weight": 0.0}},
    "no attribute noise": {"model": {"attribute_noise": 0.0}},
    "no forcing noise": {"model": {"forcing_noise": 0.0}},
    "no noise": {"model": {"attribute_noise": 0.0, "forcing_noise": 0.0}},
    "twice the noise": {"model": {"attribute_noise": 1.0, "forcing_noise": 0.4}},
    "no attributes": {"data": {"attributes": ()}},
    "dropout on weights": {"model": {"dropout_on": "weights"}},
    "no dropout": {"model": {"dropout": 0.0}},
    "constant learning rate": {"training": {"schedule": "constant", "learning_rate": 1.5e-3}},
    "Adadelta": {"training": {"optimizer": "adadelta", "learning_rate": 1.0, "schedule": "constant"}},
    "30 days of warm-up": {"training": {"warmup": 30, "window": 120, "batch": 48}},
    "a distribution": {"model": {"head": "gaussian"}},
    "three networks": {"training": {"members": 3}},
}


def main(arguments: list[str]) -> None:
    """Print one table for each of the two lines."""
    parser = argparse.ArgumentParser(prog="run.py ablation", description=__doc__.splitlines()[0])
    default = os.environ.get("GSM3_SHARED_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")
    parser.add_argument("names", nargs="*", choices=[*CHANGES, []], help="these changes alone")
    parser.add_argument("--data", type=Path, default=Path(default), help="folder of the real data sets")
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"), help="where the runs are kept")
    given = parser.parse_args(arguments)
    for case in (CASES[2], CASES[0]):
        dataset = prepare(case, given.data, given.out)
        observed = open_dataset(dataset)[case.reference].load()
        series = {}
        for name in (PRESET, *(given.names or CHANGES)):
            config = configured(case.holdout, case.reference, dataset, CHANGES.get(name, {}))
            run = comparison_run(config, given.out)
            days = run.predictions()[v.IN_TEST].any(v.SITE)
            series[name] = series_of(run, observed, xr.ones_like(days))
        compared(f"{case.title} ({observed.sizes[v.SITE]} sites", series, observed, PRESET)


def configured(
    holdout: str, target: str, dataset: Path, changes: dict[str, dict[str, Any]]
) -> ExperimentConfig:
    """Return the preset on one line of experiments, one network a fold, with some keys changed."""
    temporal = ExperimentConfig.load("smap-temporal").holdout
    config = ExperimentConfig.load(PRESET).replace("training", members=1)
    config = config.replace("data", dataset=str(dataset.resolve()), targets=(target,))
    if holdout == "temporal":
        config = config.replace("holdout", name=holdout, train=temporal.train, test=temporal.test)
    else:
        config = config.replace("holdout", name=holdout, seed=7)
    for section, keys in changes.items():
        config = config.replace(section, **keys)
    return config
