"""The page itself: what the run is, the sections, how it was computed, what to cite, and how to make it again."""

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
from gsm3core.report.inputs import AGAINST, ReportInputs
from gsm3core.report.sections import Section
from gsm3core.report.sources import citations
from gsm3core.run import Run

_HERE = Path(__file__).resolve().parent


def render(material: ReportInputs, sections: Sequence[Section], command: Sequence[str]) -> str:
    """Return the page as HTML; every text of the user's is escaped.

    Parameters
    ----------
    material, sections
        Of :func:`gsm3core.report.inputs.read_inputs` and :func:`gsm3core.report.sections.findings`.
    command
        The command that makes the page again, as a list of words.
    """
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    run = material.main.run
    # The SVG is ours: its texts come from the vocabulary, the catalogue and product names, escaped by matplotlib.
    environment.filters["svg"] = Markup
    return environment.get_template("page.html.j2").render(
        title=run.title,
        style=Markup((_HERE / "style.css").read_text(encoding="utf-8")),
        simulated=material.simulated,
        cautions=material.cautions,
        facts=facts(material),
        sections=sections,
        metrics=list(METRICS.values()),
        instead=""
        if material.main.reference == v.SM_INSITU
        else "In situ stands for SMAP here: this run was scored against it.",
        confidence=f"{material.main.confidence:.0%}",
        citations=citations(material.dataset, str(run.provenance.get("commit", "")), _version(run)),
        command=shlex.join(command),
        again=_command_of(run),
        config=run.config.to_toml(),
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        made_with=_installed(),
    )


def facts(material: ReportInputs) -> dict[str, str]:
    """Return what the run is, by name: data, holdout, periods, model, versions."""
    run, config = material.main.run, material.main.run.config
    provenance = run.provenance
    ds = material.dataset
    targets = config.data.targets or ([t for t in v.TARGETS if t in ds] if ds is not None else None)
    versions = ", ".join(f"{n} {x}" for n, x in provenance.get("versions", {}).items())
    found = {
        "run": f"{run.id} ({run.state}), made {provenance.get('created', 'at an unknown time')}",
        "dataset": f"{provenance.get('dataset_title') or 'untitled'} ({run.dataset_path.name})",
        "fingerprint": f"SHA-256 {provenance.get('dataset_sha256') or 'unknown'}",
        "held out": config.holdout.name.replace("_", " ") + _how(run),
        "days that test": _days(material),
        "scored against": AGAINST.get(material.main.reference, material.main.reference),
        "learned from": ", ".join(AGAINST.get(t, t) for t in targets)
        if targets
        else "all records of the dataset",
        **_model(run),
        "commit": str(provenance.get("commit") or "not recorded"),
        "versions": f"Python {provenance.get('python', 'unknown')}, {versions}",
    }
    others = [f"{e.holdout.replace('_', ' ')}: {e.run.id}" for e in material.experiments[1:]]
    return found | ({"other experiments": "; ".join(others)} if others else {})


def _model(run: Run) -> dict[str, str]:
    model, training = run.config.model, run.config.training
    if v.MODEL_PRODUCTS[model.name] != v.MULTITASK_LSTM:
        return {"model": f"{v.MODEL_PRODUCTS[model.name]} (no network), seed {training.seed}"}
    members = f", mean of {training.members} networks" if training.members > 1 else ""
    spread = ", predicts its spread" if model.head == "gaussian" else ""
    origin = str(run.provenance.get("parent", {}).get("run", ""))
    return {
        "model": f"{model.name}, hidden size {model.hidden}, dropout {model.dropout:g} on {model.dropout_on}, "
        f"heads {model.heads}{spread}{members}" + (f", fine-tuned from {origin}" if origin else ""),
        "training": f"{training.epochs} epochs, batch {training.batch}, windows of {training.window} days, "
        f"{training.optimizer}, seed {training.seed}",
    }


def _how(run: Run) -> str:
    holdout = run.config.holdout
    if holdout.name in ("random_spatial", "spatial_block"):
        block = f" of {holdout.block_km:g} km" if holdout.name == "spatial_block" else ""
        return f", {holdout.folds} folds{block}, seed {holdout.seed}"
    periods = [
        f"{n} {p.start} to {p.end}" for n, p in (("trained", holdout.train), ("tested", holdout.test)) if p
    ]
    return f" ({', '.join(periods)})" if periods else ""


def _days(material: ReportInputs) -> str:
    predictions = material.main.run.predictions()
    tested = predictions[v.IN_TEST].any(v.SITE).values
    if not tested.any():
        return "none"
    days = pd.DatetimeIndex(predictions[v.TIME].values[tested])
    return f"{days[0].date()} to {days[-1].date()}, {len(days)} days at {int(predictions[v.IN_TEST].any(v.TIME).sum())} sites"


def _command_of(run: Run) -> str:
    return shlex.join(["gsm3", "run", "config.toml", "--dataset", str(run.config.data.dataset or "DATASET")])


def _version(run: Run) -> str:
    return str(run.provenance.get("versions", {}).get("gsm3", "of unknown version"))


def _installed() -> str:
    try:
        return f"gsm3 {version('gsm3')}"
    except PackageNotFoundError:
        return "gsm3 from a checkout"
