"""The comparison on real data: every model on SMAP temporal, SMAP and USCRN held-out sites, with intervals.

python benchmarks/run.py real [RUN ...] [--base NAME] [--data FOLDER] [--out FOLDER] [--names A B ...]
python benchmarks/run.py real --with RUN ... --without RUN ... [--reference sm_insitu]

The first makes the table: finished runs (folders), and the first network of each alone, beside the comparison models,
which are run with the same machinery and kept in --out for the next time (remove them after a change of their code).
The second answers whether something helps: runs with and without it, paired by their seeds, and the difference of their
medians over sites.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import xarray as xr

from benchmarks.paired_seeds import METRICS, paired, series_of, series_of_member
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
    """One line of experiments: a dataset, what is held out, and the record that judges."""

    title: str
    entry: str
    file: str
    preset: str
    holdout: str
    reference: str

    def config(self, model: str, dataset: Path) -> ExperimentConfig:
        """The comparison model's experiment."""
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

# Quoted from the data's README, not computed here: simple code on these or nearly these sets.
QUOTED = """\
Quoted, not computed here (README of the data; medians over sites):
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
    parser.add_argument("--names", nargs="*", help="what to call them, in their order")
    parser.add_argument(
        "--base", default=v.MODEL_PRODUCTS["gradient_boosting"], help="row of the differences"
    )
    parser.add_argument("--data", type=Path, default=Path(default), help="folder of the real data sets")
    parser.add_argument("--out", type=Path, default=Path("runs/comparison"), help="comparison models' runs")
    parser.add_argument("--with", dest="helped", nargs="+", type=Path, help="runs with it, one per seed")
    parser.add_argument("--without", nargs="+", type=Path, help="runs without it, of the same seeds")
    parser.add_argument("--reference", default=v.SM_INSITU, choices=v.TARGETS, help="the record that judges")
    given = parser.parse_args(arguments)
    if given.helped or given.without:
        if not (given.helped and given.without):
            sys.exit("Give runs both --with and --without it.")
        found = paired(
            [Run.open(p) for p in given.helped], [Run.open(p) for p in given.without], given.reference
        )
        sys.stdout.write(f"{found.to_string()}\n")
        return
    runs = [Run.open(path) for path in given.runs]
    names = given.names or [run.config.title or run.id for run in runs]
    ours = {v.MODEL_PRODUCTS[model] for model in BASELINES}
    if len(names) != len(runs) or len({*names, *ours}) != len(names) + len(ours):
        sys.exit(
            f"--names needs {len(runs)} different names, one for each run, and none of {', '.join(sorted(ours))}."
        )
    sys.stdout.write(
        "Median over sites (95 % interval). Difference: from the base, over the sites that both have.\n"
    )
    for case in CASES:
        show(case, dict(zip(names, runs, strict=True)), given.base, given.data, given.out)
    sys.stdout.write(f"\n{QUOTED}")


def show(case: Case, runs: dict[str, Run], base: str, data: Path, out: Path) -> None:
    """Print the table of one case."""
    dataset = prepare(case, data, out)
    ds = open_dataset(dataset)
    observed = ds[case.reference].load()
    rows = {v.MODEL_PRODUCTS[m]: comparison_run(case.config(m, dataset), out) for m in BASELINES}
    test_days = next(iter(rows.values())).predictions()[v.IN_TEST].any(v.SITE)
    fitting = {
        n: r
        for n, r in runs.items()
        if r.config.holdout.name == case.holdout and predicted_by(r) == case.reference
    }
    series = {name: series_of(run, observed, test_days) for name, run in (fitting | rows).items()}
    series |= {
        f"{name}, one network": series_of_member(run, 0, observed, test_days)
        for name, run in fitting.items()
        if run.config.training.members > 1 and run.config.model.name not in BASELINES
    }
    series = {
        name: array for name, array in series.items() if bool((array.notnull() & observed.notnull()).any())
    }
    where = f"{case.title} ({observed.sizes[v.SITE]} sites"
    spread = calibration_table(fitting, observed, test_days)
    compared(where, series, observed, base)
    if len(spread):
        sys.stdout.write(
            f"Predicted spread, censored to 0 to 1; skill over the training record:\n{spread.to_string()}\n"
        )


def predicted_by(run: Run) -> str:
    """Return the record that a run's prediction is of: of two teachers the first, each of which may have an output."""
    return predicted_target(targets_of(open_dataset(run.dataset_path), run.config))


def compared(title: str, series: dict[str, xr.DataArray], observed: xr.DataArray, base: str) -> None:
    """Print medians over sites of several series, and their differences from one of them.

    Parameters
    ----------
    title
        What is compared, and at how many sites.
    series
        Name -> ``(site, time)`` m3 m-3, NaN where it says nothing.
    observed
        ``(site, time)``, the record that judges.
    base
        Name of the series that the differences are from.
    """
    stacked = xr.concat(list(series.values()), dim=pd.Index(list(series), name=v.PRODUCT), join="exact")
    stacked = stacked.assign_attrs(units=v.SM_UNITS)
    scores = site_scores(stacked, observed, metrics=METRICS, intervals="none")
    found = compare_products(scores, metrics=METRICS, confidence=_CONFIDENCE).sel(sample="given")
    table = pd.DataFrame(index=list(series))
    table["sites"] = found.n_sites.sel(metric="R").values.astype(int)
    for metric in METRICS:
        ends = (found[n].sel(metric=metric).values for n in ("median", "lower", "upper"))
        table[metric] = [f"{a:.4f} ({b:.4f}, {c:.4f})" for a, b, c in zip(*ends, strict=True)]
    sys.stdout.write(f"\n{title}, resampling {found.attrs['resampled']})\n{table.to_string()}\n")
    if base not in series:
        sys.stdout.write(f"No differences: {base!r} is not in this table. There are: {', '.join(series)}.\n")
        return
    less = found.sel(other=base)
    table = pd.DataFrame(index=[n for n in series if n != base])
    for metric in METRICS:
        of = less.sel(metric=metric, product=table.index.to_numpy())
        ends = (of[n].values for n in ("difference", "difference_lower", "difference_upper"))
        table[metric] = [f"{a:+.4f} ({b:+.4f}, {c:+.4f})" for a, b, c in zip(*ends, strict=True)]
    sys.stdout.write(f"Less {base}:\n{table.to_string()}\n")


def prepare(case: Case, data: Path, out: Path) -> Path:
    """Return the case's dataset, built once."""
    from gsm3core.assembly.sites import build
    from gsm3core.schema import save_dataset

    path = out / f"{case.entry}.nc"
    if not path.exists():
        source = data / case.file
        if not source.exists():
            sys.exit(f"{source} does not exist: give the folder of the real data sets with --data.")
        save_dataset(build(case.entry, source), path)
    return path


def comparison_run(config: ExperimentConfig, out: Path) -> Run:
    """Return the run of a comparison model: the one already finished with this configuration and data, or a new one."""
    from gsm3core import run_experiment

    mark = fingerprint(config.data.dataset)
    for run in list_runs(out):
        same = run.config == config and run.provenance.get("dataset_sha256") == mark
        if same and run.state == "finished":
            return run
    return run_experiment(config, out=out)
