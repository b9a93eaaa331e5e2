"""What a report is made from: the runs, their scores, and the dataset they read, checked to belong together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError, RunError
from gsm3core.evaluation.site_scores import site_scores
from gsm3core.files import fingerprint
from gsm3core.run import Run
from gsm3core.schema import is_simulated, open_dataset

AGAINST = {v.SM_INSITU: "in-situ soil moisture", v.SM_SMAP: "SMAP soil moisture"}
# Keys of the configuration that must be alike for experiments to differ by their holdout alone.
_ALIKE = ("data", "model", "training")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Experiment:
    """One run with its scores against one record.

    Parameters
    ----------
    run, reference
        The run, and what it was scored against.
    scores
        Of the run and of every product, ``(product, site)``, with the coordinate ``region``.
    """

    run: Run
    reference: str
    scores: xr.Dataset

    @property
    def holdout(self) -> str:
        """What was held out."""
        return self.run.config.holdout.name

    @property
    def product(self) -> str:
        """What the run is called among the products."""
        return v.MODEL_PRODUCTS[self.run.config.model.name]

    @property
    def own(self) -> xr.Dataset:
        """The scores of the run itself, ``(site)``."""
        return self.scores.sel({v.PRODUCT: self.product})

    @property
    def confidence(self) -> float:
        """Of every interval."""
        return float(self.scores.attrs.get("confidence", self.run.config.scores.confidence))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReportInputs:
    """Everything a report needs.

    Parameters
    ----------
    experiments
        The run that is reported first, then the other holdouts.
    dataset
        What they read; ``None`` where it is gone or has changed, which ``cautions`` then say.
    cautions
        What a reader must know before reading on.
    """

    experiments: list[Experiment]
    dataset: xr.Dataset | None
    cautions: list[str]

    @property
    def main(self) -> Experiment:
        """The run that is reported."""
        return self.experiments[0]

    @property
    def simulated(self) -> bool:
        """Whether the data are the demonstration world."""
        said = str(self.main.run.provenance.get("simulated", "false")).lower() in ("true", "1")
        return said or (self.dataset is not None and is_simulated(self.dataset))


def read_inputs(runs: Sequence[Run], reference: str | None = None) -> ReportInputs:
    """Read the scores of runs and the dataset behind them.

    Parameters
    ----------
    runs
        The run to report, then runs of other holdouts of the same dataset.
    reference
        ``sm_insitu`` or ``sm_smap``; by default the first that the first run was scored against.

    Raises
    ------
    RunError
        If a run has no such scores, two runs have the same holdout, or their datasets differ.
    """
    if not runs:
        raise RunError("No run was given; a report needs at least one.")
    reference = reference or next(iter(runs[0].references()), v.SM_INSITU)
    experiments = [Experiment(run=r, reference=reference, scores=r.scores(reference)) for r in runs]
    first = experiments[0]
    seen: dict[str, Run] = {}
    for e in experiments:
        if e.holdout in seen:
            raise RunError(
                f"Runs {seen[e.holdout].id} and {e.run.id} both hold out {e.holdout!r}; give one run of each holdout."
            )
        seen[e.holdout] = e.run
        if _hash(e.run) != _hash(first.run):
            raise RunError(
                f"Run {e.run.id} was made from another dataset than {first.run.id} "
                f"({_hash(e.run)[:12] or 'unknown'}, not {_hash(first.run)[:12] or 'unknown'}); a report puts "
                "experiments of one dataset side by side."
            )
        if e.product not in e.scores[v.PRODUCT].values:
            raise RunError(
                f"The scores of run {e.run.id} hold no {e.product!r}, its own product; score it again."
            )
        if v.REGION not in e.scores.coords:
            raise RunError(f"The scores of run {e.run.id} have no region for their sites; score it again.")
    dataset, cautions = _dataset_of(first.run)
    cautions += [text for e in experiments[1:] if (text := _differences(first.run, e.run))]
    return ReportInputs(experiments=experiments, dataset=dataset, cautions=cautions)


def train_scores(experiment: Experiment, dataset: xr.Dataset) -> xr.Dataset | None:
    """Return the scores of a temporal run on its own training days, ``(site)``.

    ``None`` for another holdout, and for a run that was not trained on what it is scored against.
    """
    config = experiment.run.config
    if experiment.holdout != "temporal" or experiment.reference not in (config.data.targets or v.TARGETS):
        return None
    predictions = experiment.run.predictions()
    days = predictions[v.TIME].values
    train = ~predictions[v.IN_TEST]
    if period := config.holdout.train:
        inside = (days >= np.datetime64(period.start)) & (days <= np.datetime64(period.end))
        train = train & xr.DataArray(inside, dims=v.TIME, coords={v.TIME: predictions[v.TIME]})
    return site_scores(
        predictions[v.SM_PREDICTED].where(train),
        dataset[experiment.reference].load(),
        min_days=config.scores.min_days,
        intervals="none",
    )


def _hash(run: Run) -> str:
    return str(run.provenance.get("dataset_sha256") or "")


def _dataset_of(run: Run) -> tuple[xr.Dataset | None, list[str]]:
    left_out = "Product comparison, strata and error types that need it are left out."
    path = run.dataset_path
    if not path.exists():
        return None, [f"The dataset {path.name} is not where the run read it. {left_out}"]
    if _hash(run) and fingerprint(path) != _hash(run):
        return None, [f"The dataset {path.name} has changed since the run read it. {left_out}"]
    try:
        return open_dataset(path), []
    except DatasetError as error:
        return None, [f"The dataset cannot be read: {error} {left_out}"]


def _differences(first: Run, other: Run) -> str:
    """Name the keys of the configuration in which two runs differ beyond their holdout."""
    a, b = first.config.model_dump(), other.config.model_dump()
    keys = [f"{s}.{k}" for s in _ALIKE for k in a[s] if k != "dataset" and a[s][k] != b[s][k]]
    if not keys:
        return ""
    return f"Run {other.id} differs from {first.id} in more than its holdout: {', '.join(keys)}."
