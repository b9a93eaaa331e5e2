"""Ablation of the presets: one setting changed at a time, one network per fold.

python benchmarks/run.py ablation [NAME ...] [--data FOLDER] [--out FOLDER]

Cases: the preset gsm3 on held-out USCRN stations in other folds (``holdout.seed = 7``) than ``run.py real``, and the
preset smap-temporal on SMAP with train and test years exchanged. Settings are chosen on these cases and evaluated with
``run.py real``, which splits the same data differently. Runs are cached in --out.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from benchmarks.paired_seeds import series_of
from benchmarks.real_table import CASES, build_dataset, cached_run, print_comparison
from gsm3core import ExperimentConfig, open_dataset
from gsm3core import vocabulary as v

PRESET = "the preset"
# Name -> changed keys by section. The derived inputs replace windows of a year.
CHANGES: dict[str, dict[str, dict[str, Any]]] = {
    "no validation sites": {"training": {"validation_share": 0.0, "validation_score": "R"}},
    "no derived inputs": {"data": {"derived": ()}},
    "windows of a year instead": {"data": {"derived": ()}, "training": {"window": 365, "batch": 16}},
    "no dynamics term": {"training": {"dynamics_weight": 0.0}},
    "no noise": {"model": {"attribute_noise": 0.0, "forcing_noise": 0.0}},
    "twice the noise of gsm3": {"model": {"attribute_noise": 1.0, "forcing_noise": 0.4}},
    "no attributes": {"data": {"attributes": ()}},
    "dropout on weights": {"model": {"dropout_on": "weights"}},
    "Adadelta": {"training": {"optimizer": "adadelta", "learning_rate": 1.0, "schedule": "constant"}},
    "30 days of warm-up": {"training": {"warmup": 30, "window": 120, "batch": 36}},
}


def main(arguments: list[str]) -> None:
    """Print one table for each of the two cases."""
    parser = argparse.ArgumentParser(prog="run.py ablation", description=__doc__.splitlines()[0])
    default = os.environ.get("GSM3_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("names", nargs="*", help="run only these changes")
    parser.add_argument("--data", type=Path, default=Path(default), help="folder of the real data sets")
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"), help="folder of the cached runs")
    args = parser.parse_args(arguments)
    if unknown := [name for name in args.names if name not in CHANGES]:
        sys.exit(f"unknown change {unknown[0]!r}. Expected one of: {', '.join(CHANGES)}.")
    for case in (CASES[2], CASES[0]):
        dataset = build_dataset(case, args.data, args.out)
        observed = open_dataset(dataset)[case.reference].load()
        preset = load_preset(case.holdout, case.reference, dataset)
        series = {}
        for name in (PRESET, *(args.names or CHANGES)):
            config = apply_changes(preset, CHANGES.get(name, {}))
            if name != PRESET and config == preset:
                continue
            run = cached_run(config, args.out)
            series[name] = series_of(run, observed, run.predictions()[v.IN_TEST].any(v.SITE))
        print_comparison(f"{case.title} ({observed.sizes[v.SITE]} sites", series, observed, PRESET)


def load_preset(holdout: str, target: str, dataset: Path) -> ExperimentConfig:
    """Return the preset of one case with one network per fold, on the folds and periods used for tuning."""
    if holdout == "temporal":
        config = ExperimentConfig.load("smap-temporal")
        first, second = config.holdout.train, config.holdout.test
        config = config.replace("holdout", train=second.model_dump(), test=first.model_dump())
    else:
        config = ExperimentConfig.load("gsm3").replace("holdout", name=holdout, seed=7)
    config = config.replace("data", dataset=str(dataset.resolve()), targets=(target,))
    return config.replace("training", members=1)


def apply_changes(config: ExperimentConfig, changes: dict[str, dict[str, Any]]) -> ExperimentConfig:
    """Return a configuration with some keys changed."""
    for section, keys in changes.items():
        config = config.replace(section, **keys)
    return config
