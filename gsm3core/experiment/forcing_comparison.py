"""One run for each of several alternative forcings, such as three precipitation products, compared in one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.config import ExperimentConfig
from gsm3core.errors import CancelledError, ConfigError, GSM3Error, did_you_mean
from gsm3core.evaluation.comparison import SAME_SAMPLE
from gsm3core.evaluation.scoring import compare_runs
from gsm3core.evaluation.test_days import without_products
from gsm3core.experiment.provenance import dataset_sha256, with_absolute_regions
from gsm3core.experiment.runner import OnEvent, create_run, execute
from gsm3core.run import Run, list_runs
from gsm3core.schema import forcing_names, open_dataset, precipitation_names

PRECIPITATION = "precipitation"
OnStarted = Callable[[str, int, int, Run | None], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ForcingComparison:
    """Runs that differ in one forcing.

    Parameters
    ----------
    runs
        The finished runs by forcing, in the given order.
    failures
        Message of each forcing whose run failed.
    reference
        Record that the runs are compared with.
    scores
        From :func:`gsm3core.compare_runs`: the runs alone, on their common sites and test days. ``None`` with fewer than
        two finished runs.
    """

    runs: Mapping[str, Run]
    failures: Mapping[str, str]
    reference: str
    scores: xr.Dataset | None

    def table(self) -> pd.DataFrame:
        """Return one row per forcing and metric, on the common sites and days.

        Returns
        -------
        pandas.DataFrame
            ``forcing``, ``metric``, ``median``, ``lower``, ``upper``, ``sites``, ``resampled``; ``difference`` of medians from
            the first forcing with ``difference_lower``, ``difference_upper`` and ``p_holm``; ``run``, the id.
        """
        if self.scores is None:
            return pd.DataFrame()
        common = self.scores.sel(sample=SAME_SAMPLE)
        first = str(common[v.PRODUCT].values[0])
        rows = []
        for name in common[v.PRODUCT].values:
            for metric in common["metric"].values:
                one = common.sel({v.PRODUCT: name, "metric": metric})
                against = one.sel(other=first)
                names = ("difference", "difference_lower", "difference_upper", "p_holm")
                rows.append(
                    {"forcing": str(name), "metric": str(metric), "median": float(one["median"])}
                    | {n: float(one[n]) for n in ("lower", "upper")}
                    | {"sites": int(one["n_sites"]), "resampled": str(one["resampled"].item())}
                    | {n: float(against[n]) for n in names}
                    | {"run": self.runs[str(name)].id}
                )
        return pd.DataFrame(rows)


def parse_alternatives(text: str) -> tuple[str, list[str]]:
    """Return label and forcings of ``LABEL=NAME,NAME,...``.

    Raises
    ------
    ConfigError
        If the text has another form, a name is repeated, or there are fewer than two.
    """
    label, _, listed = text.partition("=")
    names = [n.strip() for n in listed.split(",") if n.strip()]
    if not label.strip() or len(names) < 2 or len(set(names)) < len(names):
        raise ConfigError(
            f"invalid alternatives {text!r}; expected a label and at least two different forcings, such as "
            f"{PRECIPITATION}=precipitation,precipitation_imerg,precipitation_era5."
        )
    return label.strip(), names


def alternative_configs(
    config: ExperimentConfig, ds: xr.Dataset, label: str, names: Sequence[str]
) -> dict[str, ExperimentConfig]:
    """Return one configuration per alternative: with this forcing and none of the others.

    Parameters
    ----------
    config
        ``data.forcings`` as for any run; the alternatives need not be in it.
    ds
        The dataset.
    label
        For the titles. If the alternatives are precipitation, all other total precipitation is left out too.
    names
        The alternatives.

    Raises
    ------
    ConfigError
        If the dataset lacks one of the forcings.
    """
    known = forcing_names(ds)
    if missing := [n for n in names if n not in known]:
        raise ConfigError(
            f"{label}: the dataset has no forcing {missing[0]!r}. {did_you_mean(missing[0], known)} "
            f"It has: {', '.join(known) or 'none'}."
        )
    given = list(config.data.forcings) if config.data.forcings is not None else known
    rain = precipitation_names(ds)
    group = {*names, *(rain if set(names) <= set(rain) else ())}
    others = [n for n in given if n not in group]
    title = f"{config.title} · " if config.title else ""
    return {
        n: config.replace("data", forcings=(n, *others)).model_copy(update={"title": f"{title}{label}: {n}"})
        for n in names
    }


def compare_forcings(
    config: ExperimentConfig,
    label: str,
    names: Sequence[str],
    *,
    out: str | Path = "runs",
    on_event: OnEvent | None = None,
    on_started: OnStarted = lambda name, number, of, run: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> ForcingComparison:
    """Run an experiment once with each of several alternative forcings, and compare the runs.

    Parameters
    ----------
    config, label, names
        As for :func:`alternative_configs`.
    out
        Folder of all runs. A run with the same configuration and dataset is not repeated: a finished one is used, an
        interrupted or failed one is resumed.
    on_event, cancelled
        As for :func:`gsm3core.experiment.execute`.
    on_started
        Called before each run with the forcing, its number, the number of runs, and the finished run that is used
        instead, if any.

    Returns
    -------
    ForcingComparison
        A failed run is in ``failures`` and does not stop the others.

    Raises
    ------
    ConfigError
        If the dataset lacks one of the forcings.
    CancelledError
        If cancelled; the same call resumes.
    """
    if not config.data.dataset:
        raise ConfigError("data.dataset is empty: give the path of a dataset (--dataset PATH).")
    ds = open_dataset(config.data.dataset)
    configs = alternative_configs(config, ds, label, names)
    digest = dataset_sha256(Path(config.data.dataset).resolve())
    runs: dict[str, Run] = {}
    failures: dict[str, str] = {}
    for number, (name, one) in enumerate(configs.items(), start=1):
        earlier = _earlier_run(one, out, digest)
        finished = earlier is not None and earlier.state == "finished"
        on_started(name, number, len(configs), earlier if finished else None)
        try:
            run = earlier or create_run(one, out)
            runs[name] = run if finished else execute(run, on_event=on_event, cancelled=cancelled)
        except CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - the error of one run must not end the others
            failures[name] = (
                str(error) if isinstance(error, GSM3Error) else f"{type(error).__name__}: {error}"
            )
    references = [t for t in v.TARGETS if runs and all(t in r.references() for r in runs.values())]
    reference = next(iter(references), v.SM_INSITU)
    scores = None
    if len(runs) > 1:
        scores = compare_runs(without_products(ds, reference), runs, reference=reference)
    return ForcingComparison(runs=runs, failures=failures, reference=reference, scores=scores)


def _earlier_run(config: ExperimentConfig, out: str | Path, digest: str) -> Run | None:
    """Return the newest run of a configuration on the same dataset, a finished one first."""
    wanted = with_absolute_regions(config)
    same = [
        run
        for run in (list_runs(out) if Path(out).is_dir() else [])
        if run.config == wanted and run.provenance.get("dataset_sha256") == digest
    ]
    return next((r for r in same if r.state == "finished"), next(iter(same), None))
