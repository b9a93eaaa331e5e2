"""Comparison on real data: SMAP temporal, and held-out SMAP and USCRN sites, with intervals.

python benchmarks/run.py real [RUN ...] [--base NAME] [--data FOLDER] [--out FOLDER] [--names A B ...]
python benchmarks/run.py real --with RUN ... --without RUN ... [--reference sm_insitu]

The first form prints the table of finished runs (folders), the first network of each, and the baselines, whose runs are
cached in --out (delete them after changing their code). The second form prints the effect of a change: the difference
of medians over sites between runs with and without it, paired by seed.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import xarray as xr

from benchmarks.paired_seeds import METRICS, paired_difference, series_of, series_of_member
from benchmarks.real_calibration import calibration_table
from gsm3core import ExperimentConfig, Run, compare_products, open_dataset, site_scores
from gsm3core import vocabulary as v
from gsm3core.baselines import BASELINES
from gsm3core.experiment.folds import predicted_target, targets_of
from gsm3core.files import fingerprint
from gsm3core.run import list_runs

_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Case:
    """One case: a dataset, a holdout and a reference record."""

    title: str
    entry: str
    file: str
    preset: str
    holdout: str
    reference: str

    def config(self, model: str, dataset: Path) -> ExperimentConfig:
        """Configuration of a baseline."""
        base = ExperimentConfig.load(self.preset) if self.preset else ExperimentConfig()
        return (
            base.replace("data", dataset=str(dataset.resolve()), targets=(self.reference,))
            .replace("holdout", name=self.holdout)
            .replace("model", name=model)
        )


CASES = (
    Case(
        "SMAP, first year to second", "conus-smap", "smap_conus330.nc", "smap-temporal", "temporal", v.SM_SMAP
    ),
    Case("SMAP, held-out cells", "conus-smap", "smap_conus330.nc", "", "random_spatial", v.SM_SMAP),
    Case("USCRN 5 cm, held-out stations", "uscrn", "uscrn2020_87.nc", "", "random_spatial", v.SM_INSITU),
)

# From the README of the data: simple code on these or similar data sets.
QUOTED = """\
Quoted from the README of the data, not computed here (medians over sites):
  SMAP, first year to second   hydroDL's published LSTM, these 330 cells   R 0.846  RMSE 0.0324  ubRMSE 0.0288
  SMAP, first year to second   the same, all 412 cells                     R 0.841  RMSE 0.0332  ubRMSE 0.0294
  SMAP, first year to second   gradient boosting, 412 cells                R 0.836  RMSE 0.033   ubRMSE 0.031
  SMAP, held-out cells         gradient boosting, 412 cells                R 0.849  RMSE 0.042   ubRMSE 0.032
  USCRN, held-out stations     gradient boosting                           R 0.890  RMSE 0.061   ubRMSE 0.034
  USCRN, held-out stations     LSTM-64, in situ alone                      R 0.865  RMSE 0.066   ubRMSE 0.038
  USCRN, held-out stations     LSTM-64, in situ and SMAP, two heads        R 0.873  RMSE 0.058   ubRMSE 0.035
"""


def main(arguments: list[str]) -> None:
    """Print the table, or the paired difference."""
    parser = argparse.ArgumentParser(prog="run.py real", description=__doc__.splitlines()[0])
    default = os.environ.get("GSM3_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("runs", nargs="*", type=Path, help="folders of finished runs")
    parser.add_argument("--names", nargs="*", help="names of the runs, in the same order")
    parser.add_argument(
        "--base", default=v.MODEL_PRODUCTS["gradient_boosting"], help="row that differences are relative to"
    )
    parser.add_argument("--data", type=Path, default=Path(default), help="folder of the real data sets")
    parser.add_argument("--out", type=Path, default=Path("runs/comparison"), help="folder of the cached runs")
    parser.add_argument(
        "--with", dest="with_change", nargs="+", type=Path, help="runs with the change, one per seed"
    )
    parser.add_argument("--without", nargs="+", type=Path, help="runs without it, with the same seeds")
    parser.add_argument("--reference", default=v.SM_INSITU, choices=v.TARGETS, help="the reference record")
    args = parser.parse_args(arguments)
    if args.with_change or args.without:
        if not (args.with_change and args.without):
            sys.exit("Only one of --with and --without was given. Pass both.")
        found = paired_difference(
            [Run.open(p) for p in args.with_change], [Run.open(p) for p in args.without], args.reference
        )
        sys.stdout.write(f"{found.to_string()}\n")
        return
    runs = [Run.open(path) for path in args.runs]
    names = args.names or [run.config.title or run.id for run in runs]
    baselines = {v.MODEL_PRODUCTS[model] for model in BASELINES}
    if len(names) != len(runs) or len({*names, *baselines}) != len(names) + len(baselines):
        sys.exit(
            f"Invalid names: {', '.join(names)}. Expected {len(runs)} different --names, one per run, and none of "
            f"{', '.join(sorted(baselines))}."
        )
    sys.stdout.write("Median over sites (95 % interval). Difference from the base, over common sites.\n")
    for case in CASES:
        print_case(case, dict(zip(names, runs, strict=True)), args.base, args.data, args.out)
    sys.stdout.write(f"\n{QUOTED}")


def print_case(case: Case, runs: dict[str, Run], base: str, data: Path, out: Path) -> None:
    """Print the table of one case."""
    dataset = build_dataset(case, data, out)
    ds = open_dataset(dataset)
    observed = ds[case.reference].load()
    baselines = {v.MODEL_PRODUCTS[m]: cached_run(case.config(m, dataset), out) for m in BASELINES}
    test_days = next(iter(baselines.values())).predictions()[v.IN_TEST].any(v.SITE)
    matching = {
        n: r
        for n, r in runs.items()
        if r.config.holdout.name == case.holdout and prediction_target(r) == case.reference
    }
    series = {name: series_of(run, observed, test_days) for name, run in (matching | baselines).items()}
    series |= {
        f"{name}, one network": series_of_member(run, 0, observed, test_days)
        for name, run in matching.items()
        if run.config.training.members > 1 and run.config.model.name not in BASELINES
    }
    series = {
        name: array for name, array in series.items() if bool((array.notnull() & observed.notnull()).any())
    }
    title = f"{case.title} ({observed.sizes[v.SITE]} sites"
    table = calibration_table(matching, observed, test_days)
    print_comparison(title, series, observed, base)
    if len(table):
        sys.stdout.write(
            f"Predictive distribution, censored to 0 to 1; skill over the training record:\n{table.to_string()}\n"
        )


def prediction_target(run: Run) -> str:
    """Return the training target that a run predicts; with two targets the first, because each may have its own head."""
    return predicted_target(targets_of(open_dataset(run.dataset_path), run.config))


def print_comparison(title: str, series: dict[str, xr.DataArray], observed: xr.DataArray, base: str) -> None:
    """Print medians over sites of several series, and their differences from one of them.

    Parameters
    ----------
    title
        Description and number of sites, without the closing parenthesis.
    series
        Name -> ``(site, time)`` m3 m-3, NaN where missing.
    observed
        ``(site, time)``, the reference record.
    base
        Name of the series that differences are relative to.
    """
    stacked = xr.concat(list(series.values()), dim=pd.Index(list(series), name=v.PRODUCT), join="exact")
    stacked = stacked.assign_attrs(units=v.SM_UNITS)
    scores = site_scores(stacked, observed, metrics=METRICS, intervals="none")
    found = compare_products(scores, metrics=METRICS, confidence=_CONFIDENCE).sel(sample="given")
    table = pd.DataFrame(index=list(series))
    table["sites"] = found.n_sites.sel(metric="R").values.astype(int)
    for metric in METRICS:
        estimates = (found[n].sel(metric=metric).values for n in ("median", "lower", "upper"))
        table[metric] = [f"{a:.4f} ({b:.4f}, {c:.4f})" for a, b, c in zip(*estimates, strict=True)]
    sys.stdout.write(f"\n{title}, resampling {found.attrs['resampled']})\n{table.to_string()}\n")
    if base not in series:
        sys.stdout.write(
            f"No differences: --base {base!r} is not in this table. Expected one of: {', '.join(series)}.\n"
        )
        return
    differences = found.sel(other=base)
    table = pd.DataFrame(index=[n for n in series if n != base])
    for metric in METRICS:
        one = differences.sel(metric=metric, product=table.index.to_numpy())
        estimates = (one[n].values for n in ("difference", "difference_lower", "difference_upper"))
        table[metric] = [f"{a:+.4f} ({b:+.4f}, {c:+.4f})" for a, b, c in zip(*estimates, strict=True)]
    sys.stdout.write(f"Minus {base}:\n{table.to_string()}\n")


def build_dataset(case: Case, data: Path, out: Path) -> Path:
    """Build the dataset of a case, unless it exists, and return its path."""
    from gsm3core.assembly.sites import build
    from gsm3core.schema import save_dataset

    path = out / f"{case.entry}.nc"
    if not path.exists():
        source = data / case.file
        if not source.exists():
            sys.exit(f"{source} does not exist. Pass the folder of the real data sets with --data.")
        save_dataset(build(case.entry, source), path)
    return path


def cached_run(config: ExperimentConfig, out: Path) -> Run:
    """Return a finished run with this configuration and dataset from a folder, or make a new one."""
    from gsm3core import run_experiment

    sha256 = fingerprint(config.data.dataset)
    for run in list_runs(out):
        same = run.config == config and run.provenance.get("dataset_sha256") == sha256
        if same and run.state == "finished":
            return run
    return run_experiment(config, out=out)
