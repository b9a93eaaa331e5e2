"""Rendering of the report page: run, sections, methods, citations and the commands that reproduce it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from gsm3core import vocabulary as v
from gsm3core.metrics import METRICS
from gsm3core.report.inputs import REFERENCE_NAMES, ReportInputs
from gsm3core.report.sections import Section
from gsm3core.report.sources import citations
from gsm3core.run import Run
from gsm3core.statistics.block_bootstrap import COVERAGE_NOTE

_HERE = Path(__file__).resolve().parent


def render(inputs: ReportInputs, sections: Sequence[Section], command: Sequence[str]) -> str:
    """Return the page as HTML, with all user text escaped.

    Parameters
    ----------
    inputs, sections
        From :func:`gsm3core.report.inputs.read_inputs` and :func:`gsm3core.report.sections.build_content`.
    command
        The command that reproduces the page, as a list of arguments.
    """
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    run = inputs.main.run
    # The SVG is trusted: matplotlib escapes its texts (vocabulary, catalogue and product names).
    environment.filters["svg"] = Markup
    return environment.get_template("page.html.j2").render(
        title=run.title,
        style=Markup((_HERE / "style.css").read_text(encoding="utf-8")),
        simulated=inputs.simulated,
        conditions=inputs.conditions,
        cautions=inputs.cautions,
        facts=facts(inputs),
        sections=sections,
        metrics=list(METRICS.values()),
        reference_note=""
        if inputs.main.reference == v.SM_INSITU
        else "This run was scored against SMAP: read SMAP for in situ in these definitions.",
        confidence=f"{inputs.main.confidence:.0%}",
        coverage_note=COVERAGE_NOTE,
        citations=citations(inputs.dataset, str(run.provenance.get("commit", "")), _version(run)),
        command=shlex.join(command),
        run_command=_run_command(run),
        config=run.config.to_toml(),
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        created_with=_installed_version(),
    )


def facts(inputs: ReportInputs) -> dict[str, str]:
    """Return the description of the run: data, holdout, periods, model, versions."""
    run, config = inputs.main.run, inputs.main.run.config
    provenance = run.provenance
    ds = inputs.dataset
    targets = config.data.targets or ([t for t in v.TARGETS if t in ds] if ds is not None else None)
    versions = ", ".join(f"{n} {x}" for n, x in provenance.get("versions", {}).items())
    description = {
        "run": f"{run.id} ({run.state}), created {provenance.get('created', 'at an unknown time')}",
        "dataset": f"{provenance.get('dataset_title') or 'untitled'} ({run.dataset_path.name})",
        "fingerprint": f"SHA-256 {provenance.get('dataset_sha256') or 'unknown'}",
        "holdout": config.holdout.name.replace("_", " ") + _holdout_details(run),
        "test period": _test_period(inputs),
        "reference": REFERENCE_NAMES.get(inputs.main.reference, inputs.main.reference),
        "training targets": ", ".join(REFERENCE_NAMES.get(t, t) for t in targets)
        if targets
        else "all records of the dataset",
        **_model(run),
        "commit": str(provenance.get("commit") or "not recorded"),
        "versions": f"Python {provenance.get('python', 'unknown')}, {versions}",
    }
    others = [f"{e.holdout.replace('_', ' ')}: {e.run.id}" for e in inputs.experiments[1:]]
    return description | ({"other experiments": "; ".join(others)} if others else {})


def _model(run: Run) -> dict[str, str]:
    model, training = run.config.model, run.config.training
    if v.MODEL_PRODUCTS[model.name] != v.MULTITASK_LSTM:
        return {"model": f"{v.MODEL_PRODUCTS[model.name]} (baseline), seed {training.seed}"}
    members = f", mean of {training.members} networks" if training.members > 1 else ""
    head = ", Gaussian head" if model.head == "gaussian" else ""
    origin = str(run.provenance.get("parent", {}).get("run", ""))
    return {
        "model": f"{model.name}, hidden size {model.hidden}, dropout {model.dropout:g} on {model.dropout_on}, "
        f"heads {model.heads}{head}{members}" + (f", fine-tuned from {origin}" if origin else ""),
        "training": f"{training.epochs} epochs, batch {training.batch}, windows of {training.window} days, "
        f"{training.optimizer}, seed {training.seed}",
    }


def _holdout_details(run: Run) -> str:
    holdout = run.config.holdout
    if holdout.name in ("random_spatial", "spatial_block"):
        block = f" of {holdout.block_km:g} km" if holdout.name == "spatial_block" else ""
        return f", {holdout.folds} folds{block}, seed {holdout.seed}"
    if holdout.name == "cross_continental":
        outside = {
            "fold": "tested as a fold of their own",
            "exclude": "not used",
            "train": "in training in every fold",
        }
        return (
            f", regions {Path(holdout.regions).name}, buffer {holdout.buffer_km:g} km, sites in no region "
            f"{outside[holdout.outside]}"
        )
    periods = [
        f"{n} {p.start} to {p.end}" for n, p in (("training", holdout.train), ("test", holdout.test)) if p
    ]
    return f" ({', '.join(periods)})" if periods else ""


def _test_period(inputs: ReportInputs) -> str:
    predictions = inputs.main.run.predictions()
    tested = predictions[v.IN_TEST].any(v.SITE).values
    if not tested.any():
        return "none"
    days = pd.DatetimeIndex(predictions[v.TIME].values[tested])
    return f"{days[0].date()} to {days[-1].date()}, {len(days)} days at {int(predictions[v.IN_TEST].any(v.TIME).sum())} sites"


def _run_command(run: Run) -> str:
    return shlex.join(["gsm3", "run", "config.toml", "--dataset", str(run.config.data.dataset or "DATASET")])


def _version(run: Run) -> str:
    return str(run.provenance.get("versions", {}).get("gsm3", "(unknown version)"))


def _installed_version() -> str:
    try:
        return f"gsm3 {version('gsm3')}"
    except PackageNotFoundError:
        return "gsm3 from a checkout"
