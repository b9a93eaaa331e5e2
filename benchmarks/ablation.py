"""Why the presets are as they are: what each of their choices gives, one changed at a time, one network a fold.

python benchmarks/run.py ablation [NAME ...] [--data FOLDER] [--out FOLDER]

The preset gsm3 on USCRN stations held out, in folds other than those of ``run.py real`` (``holdout.seed = 7``), and the
preset smap-temporal on SMAP the other way round (second year to first): choices are made on these, and judged on the
lines of ``run.py real``, which divide the same data otherwise. Runs are kept in --out and not made again.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from benchmarks.paired_seeds import series_of
from benchmarks.real_table import CASES, compared, comparison_run, prepare
from gsm3core import ExperimentConfig, open_dataset
from gsm3core import vocabulary as v

PRESET = "the preset"
# Name -> what differs from the preset, by section. Windows of a year are what the derived inputs replace.
CHANGES: dict[str, dict[str, dict[str, Any]]] = {
    "no site held back": {"training": {"validation_share": 0.0, "validation_score": "R"}},
    "no derived inputs": {"data": {"derived": ()}},
    "windows of a year instead": {"data": {"derived": ()}, "training": {"window": 365, "batch": 16}},
    "no dynamics term": {"training": {"dynamics_weight": 0.0}},
    "no noise": {"model": {"attribute_noise": 0.0, "forcing_noise": 0.0}},
    "twice gsm3's noise": {"model": {"attribute_noise": 1.0, "forcing_noise": 0.4}},
    "no attributes": {"data": {"attributes": ()}},
    "dropout on weights": {"model": {"dropout_on": "weights"}},
    "Adadelta": {"training": {"optimizer": "adadelta", "learning_rate": 1.0, "schedule": "constant"}},
    "30 days of warm-up": {"training": {"warmup": 30, "window": 120, "batch": 36}},
}


def main(arguments: list[str]) -> None:
    """Print one table for each of the two lines."""
    parser = argparse.ArgumentParser(prog="run.py ablation", description=__doc__.splitlines()[0])
    default = os.environ.get("GSM3_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("names", nargs="*", help="these changes alone")
    parser.add_argument("--data", type=Path, default=Path(default), help="folder of the real data sets")
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"), help="where the runs are kept")
    given = parser.parse_args(arguments)
    if unknown := [name for name in given.names if name not in CHANGES]:
        sys.exit(f"{unknown[0]!r} is no change. Known: {', '.join(CHANGES)}.")
    for case in (CASES[2], CASES[0]):
        dataset = prepare(case, given.data, given.out)
        observed = open_dataset(dataset)[case.reference].load()
        preset = preset_of(case.holdout, case.reference, dataset)
        series = {}
        for name in (PRESET, *(given.names or CHANGES)):
            config = changed(preset, CHANGES.get(name, {}))
            if name != PRESET and config == preset:
                continue
            run = comparison_run(config, given.out)
            series[name] = series_of(run, observed, run.predictions()[v.IN_TEST].any(v.SITE))
        compared(f"{case.title} ({observed.sizes[v.SITE]} sites", series, observed, PRESET)


def preset_of(holdout: str, target: str, dataset: Path) -> ExperimentConfig:
    """Return the preset of one line, one network a fold, on folds and periods that nothing is judged on."""
    if holdout == "temporal":
        config = ExperimentConfig.load("smap-temporal")
        first, second = config.holdout.train, config.holdout.test
        config = config.replace("holdout", train=second.model_dump(), test=first.model_dump())
    else:
        config = ExperimentConfig.load("gsm3").replace("holdout", name=holdout, seed=7)
    config = config.replace("data", dataset=str(dataset.resolve()), targets=(target,))
    return config.replace("training", members=1)


def changed(config: ExperimentConfig, changes: dict[str, dict[str, Any]]) -> ExperimentConfig:
    """Return a configuration with some keys changed."""
    for section, keys in changes.items():
        config = config.replace(section, **keys)
    return config
