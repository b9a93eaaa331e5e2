"""Inputs of a report: runs, their scores and their dataset, checked for consistency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError, RunError
from gsm3core.evaluation.conditions import conditions_of
from gsm3core.evaluation.reference_scaling import NO_SCALING
from gsm3core.evaluation.scoring import score_run
from gsm3core.evaluation.training_scores import append_training_scores, score_training
from gsm3core.files import fingerprint
from gsm3core.metrics.rescaling import Scaling
from gsm3core.run import Run
from gsm3core.schema import is_simulated, open_dataset

REFERENCE_NAMES = {v.SM_INSITU: "in-situ soil moisture", v.SM_SMAP: "SMAP soil moisture"}
# Sections of the configuration that should be equal, so that experiments differ in their holdout only.
_COMPARED_SECTIONS = ("data", "model", "training")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Experiment:
    """One run with its scores against one reference.

    Parameters
    ----------
    run, reference
        The run, and the record that it was scored against.
    scores
        Scores of the run and of every product, ``(product, site)``, with the coordinate ``region``.
    options
        Scaling and masks of the scores, as arguments of :func:`gsm3core.score_run`.
    """

    run: Run
    reference: str
    scores: xr.Dataset
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def holdout(self) -> str:
        """Name of the holdout."""
        return self.run.config.holdout.name

    @property
    def product(self) -> str:
        """Name of the run among the products."""
        return v.MODEL_PRODUCTS[self.run.config.model.name]

    @property
    def own(self) -> xr.Dataset:
        """Scores of the run itself, ``(site)``."""
        return self.scores.sel({v.PRODUCT: self.product})

    def with_training(self, dataset: xr.Dataset | None) -> xr.Dataset:
        """Return the scores with those of the run on its training days as the last product, where there are any."""
        if dataset is None and self.run.training_scores(self.reference) is None:
            return self.scores
        training = score_training(self.run, dataset=dataset, reference=self.reference, **self.options)
        return append_training_scores(self.scores, training)

    @property
    def confidence(self) -> float:
        """Confidence level of the intervals."""
        return float(self.scores.attrs.get("confidence", self.run.config.scores.confidence))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReportInputs:
    """Runs, scores and dataset of a report.

    Parameters
    ----------
    experiments
        The reported run, then runs of other holdouts.
    dataset
        Dataset of the runs; ``None`` if it is missing or has changed, which ``cautions`` state.
    cautions
        Warnings shown at the top of the page.
    """

    experiments: list[Experiment]
    dataset: xr.Dataset | None
    cautions: list[str]

    @property
    def main(self) -> Experiment:
        """The reported run."""
        return self.experiments[0]

    @property
    def conditions(self) -> str:
        """Masks and scaling of the scores in words; empty without them."""
        return conditions_of(self.main.scores, REFERENCE_NAMES.get(self.main.reference, self.main.reference))

    @property
    def simulated(self) -> bool:
        """Whether the data are simulated."""
        recorded = str(self.main.run.provenance.get("simulated", "false")).lower() in ("true", "1")
        return recorded or (self.dataset is not None and is_simulated(self.dataset))


def read_inputs(
    runs: Sequence[Run],
    reference: str | None = None,
    *,
    scaling: Scaling = NO_SCALING,
    masks: Sequence[str] = (),
) -> ReportInputs:
    """Read the scores of runs and their dataset.

    Parameters
    ----------
    runs
        The run to report, then runs of other holdouts of the same dataset.
    reference
        ``sm_insitu`` or ``sm_smap``; by default the first reference of the first run.
    scaling, masks
        As for :func:`gsm3core.score_run`.

    Raises
    ------
    RunError
        If scores are missing, two runs have the same holdout, or their datasets differ.
    """
    if not runs:
        raise RunError("A report needs at least one run, but none was given.")
    reference = reference or next(iter(runs[0].references()), v.SM_INSITU)
    options: dict[str, Any] = {"masks": tuple(masks)} if masks else {}
    options |= {"scaling": scaling} if scaling != NO_SCALING else {}
    experiments = [
        Experiment(
            run=r, reference=reference, scores=score_run(r, reference=reference, **options), options=options
        )
        for r in runs
    ]
    first = experiments[0]
    seen: dict[str, Run] = {}
    for e in experiments:
        if e.holdout in seen:
            raise RunError(
                f"Runs {seen[e.holdout].id} and {e.run.id} have the same holdout {e.holdout!r}. Give one run per holdout."
            )
        seen[e.holdout] = e.run
        if _hash(e.run) != _hash(first.run):
            raise RunError(
                f"Run {e.run.id} has another dataset than run {first.run.id} "
                f"(SHA-256 {_hash(e.run)[:12] or 'unknown'}, not {_hash(first.run)[:12] or 'unknown'}). A report "
                "compares runs of one dataset."
            )
        if e.product not in e.scores[v.PRODUCT].values:
            raise RunError(
                f"The scores of run {e.run.id} lack the run's own product {e.product!r}. Score it with `gsm3 runs resume`."
            )
        if v.REGION not in e.scores.coords:
            raise RunError(
                f"The scores of run {e.run.id} lack the coordinate 'region'. Score it with `gsm3 runs resume`."
            )
    dataset, cautions = _dataset_of(first.run)
    cautions += [text for e in experiments[1:] if (text := _differences(first.run, e.run))]
    return ReportInputs(experiments=experiments, dataset=dataset, cautions=cautions)


def _hash(run: Run) -> str:
    return str(run.provenance.get("dataset_sha256") or "")


def _dataset_of(run: Run) -> tuple[xr.Dataset | None, list[str]]:
    consequence = (
        "Sections that need it are omitted: product comparison, strata, calibration, training error."
    )
    path = run.dataset_path
    if not path.exists():
        return None, [f"The dataset {path.name} was not found at its recorded path. {consequence}"]
    if _hash(run) and fingerprint(path) != _hash(run):
        return None, [f"The dataset {path.name} has changed since the run. {consequence}"]
    try:
        return open_dataset(path), []
    except DatasetError as error:
        return None, [f"The dataset {path.name} cannot be read: {error} {consequence}"]


def _differences(first: Run, other: Run) -> str:
    """Return a warning with the configuration keys, other than the holdout, in which two runs differ."""
    a, b = first.config.model_dump(), other.config.model_dump()
    keys = [f"{s}.{k}" for s in _COMPARED_SECTIONS for k in a[s] if k != "dataset" and a[s][k] != b[s][k]]
    if not keys:
        return ""
    return (
        f"Run {other.id} differs from run {first.id} not only in its holdout, but also in: {', '.join(keys)}."
    )
