"""Sections of the report page, each computed from one part of the evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.evaluation.conditions import prepared_series
from gsm3core.evaluation.error_types import RESIDUAL, RESIDUAL_MEANING, error_types, experiments_of
from gsm3core.evaluation.pairing import PAIRWISE
from gsm3core.evaluation.scoring import compare_runs
from gsm3core.evaluation.test_days import tested_series
from gsm3core.report import error_sources, figures, medians, products, record_errors, trends, uncertainty
from gsm3core.report.excluded import excluded_table
from gsm3core.report.inputs import REFERENCE_NAMES, ReportInputs
from gsm3core.report.published import EXPERIMENTS, holds_out_other_regions
from gsm3core.report.tables import Table

CALIBRATION = "calibration"
ERROR_METRICS = ("R", "RMSE")
_BOX = "box: quartiles, whiskers: 5th to 95th percentile"
_FEW_NETWORKS_NOTE = "Fewer than five networks: single sites are resampled, and intervals are too narrow where networks differ."
_TRAINING_NOTE = (
    "A product named (training) is the run at its training sites on its training days: a fit, not a test."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One section of the page.

    Parameters
    ----------
    name, title
        Anchor and heading.
    text, cautions
        Paragraphs before the tables; cautions are highlighted.
    drawings
        Pairs of SVG and caption.
    """

    name: str
    title: str
    text: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    drawings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReportContent:
    """Sections of the page, and the datasets written beside it.

    Parameters
    ----------
    datasets
        By name of the netCDF file, without suffix.
    """

    sections: list[Section]
    datasets: dict[str, xr.Dataset]


def build_content(inputs: ReportInputs) -> ReportContent:
    """Compute the sections and datasets of a report.

    Parameters
    ----------
    inputs
        From :func:`gsm3core.report.inputs.read_inputs`.
    """
    main = inputs.main
    by_region = {
        e.holdout: medians.by_region(e.with_training(inputs.dataset), e.confidence)
        for e in inputs.experiments
    }
    datasets = {f"scores-{e.run.id}": e.scores for e in inputs.experiments}
    reference = REFERENCE_NAMES.get(main.reference, main.reference)
    headline = Section(
        name="medians", title="Scores over all sites", tables=(medians.headline(main, by_region[main.holdout]),),
        text=(f"Reference: {reference}. Bias is product minus reference; positive: too wet. {_TRAINING_NOTE}",),
    )  # fmt: skip
    own = {e.holdout: by_region[e.holdout].sel({v.PRODUCT: e.product}) for e in inputs.experiments}
    sections = [headline, _table_one(inputs, own)]
    if inputs.dataset is not None:
        section, compared = _products(inputs, inputs.dataset)
        sections.append(section)
        datasets |= compared
        if (calibration := uncertainty.run_calibration(main, inputs.dataset)) is not None:
            sections.append(_uncertainty(calibration))
            datasets["calibration"] = calibration
        section, collocated = _record_errors(inputs, inputs.dataset)
        sections.append(section)
        datasets["triple-collocation"] = collocated
    section, types = _error_types(inputs)
    sections += [section, _strata(inputs), _excluded(inputs)]
    return ReportContent(sections=sections, datasets=datasets | types)


def _table_one(inputs: ReportInputs, by_region: dict[str, xr.Dataset]) -> Section:
    cautions = []
    if inputs.conditions:
        cautions.append(
            f"These scores are {inputs.conditions}; the published ones are of all test days, not scaled: they are not "
            "comparable."
        )
    if inputs.simulated:
        cautions.append(
            "These data are simulated. The published numbers are of real sites and are not comparable."
        )
    if inputs.main.reference != v.SM_INSITU:
        cautions.append(
            "These scores are against SMAP, the published ones against in-situ soil moisture: they are not comparable."
        )
    cautions += [
        f"Run {e.run.id} holds out the regions of {Path(e.run.config.holdout.regions).name}, the published experiment those of "
        "the paper: they are not comparable."
        for e in inputs.experiments
        if holds_out_other_regions(e.run.config.holdout)
    ]
    if not cautions:
        cautions.append(
            "The published numbers are of 1317 ISMN sites, temporal on 2015-04-01 to 2016-03-31, the others on "
            "2015-04-01 to 2020-12-31. Where sites or days differ, a difference is not due to the model alone."
        )
    missing = [e.replace("_", " ") for e in EXPERIMENTS if e not in by_region]
    text = "Each cell: the median over sites, its interval, and the published number where there is one."
    if missing:
        text += f" Experiments not in this report: {', '.join(missing)}."
    return Section(
        name="table-1", title="Comparison with the published Table 1", text=(text,), cautions=tuple(cautions),
        tables=(medians.table_one(by_region),),
    )  # fmt: skip


def _products(inputs: ReportInputs, dataset: xr.Dataset) -> tuple[Section, dict[str, xr.Dataset]]:
    main = inputs.main
    name, title = "products", "Product comparison"
    if main.scores.sizes[v.PRODUCT] < 2:
        text = ("The dataset has no other product to compare the run with.",)
        return Section(name=name, title=title, text=text), {}
    compared = compare_runs(
        dataset, {main.product: main.run}, reference=main.reference, metrics=medians.METRICS,
        confidence=main.confidence, **main.options,
    )  # fmt: skip
    resampled = compared.attrs["resampled"]
    text = (
        f"Intervals: bootstrap over {resampled}; differences use the same resamples for both products. "
        "p: Wilcoxon signed-rank test over sites, Holm-corrected for all pairs of products. The test assumes "
        "independent sites, which sites of one network are not: where it and the interval disagree, trust the interval. "
        "A product may have been calibrated at some of these sites or days; the run was not trained on its test data.",
    )
    cautions = [_FEW_NETWORKS_NOTE] if resampled == "sites" else []
    if (difference := _largest_stored_difference(main.scores, compared)) > 1e-6:
        cautions.append(
            f"Scores stored with the run differ from those computed now by up to {difference:.2g}: the run was scored "
            "with another version. This section shows scores computed now, the others the stored scores."
        )
    section = Section(
        name=name, title=title, text=text, cautions=tuple(cautions),
        tables=(*products.median_tables(compared), *products.pair_tables(compared, main.product)),
        drawings=(
            (figures.boxes_by_product(main.with_training(dataset)), f"All sites by product ({_BOX}). {_TRAINING_NOTE}"),
        ),
    )  # fmt: skip
    return section, {"comparison": compared}


def _record_errors(inputs: ReportInputs, dataset: xr.Dataset) -> tuple[Section, xr.Dataset]:
    main = inputs.main
    collocated = record_errors.triple_scores_of(main, dataset)
    text = [
        "Triple collocation estimates the random error of three records, and their R to the unknown truth, without taking the "
        "reference as true. The errors of the three must be independent: the third product shares neither satellite band nor "
        "precipitation nor training data with the others. Where errors are correlated all the same, they are too small. "
        "Products have different third products."
    ]
    suspects = record_errors.suspect_table(main, dataset)
    if suspects is None and main.reference == v.SM_INSITU:
        text.append(
            "No in-situ record is suspect: none contradicts every product or is unrelated to products that agree."
        )
    tables = [record_errors.triplet_table(collocated, main.confidence), *([suspects] if suspects else [])]
    title = "Random errors and suspect records"
    section = Section(name="record-errors", title=title, text=tuple(text), tables=tuple(tables))
    return section, collocated


def _uncertainty(calibration: xr.Dataset) -> Section:
    text = (
        "Calibration of the predictive standard deviation. Of a calibrated prediction 50 % of the days lie inside the "
        "50 % interval, and so on. An interval that ends at 0 m³ m⁻³ holds more than its level, because all probability "
        "below 0 lies on 0: compare coverage with the predicted probability. A higher coverage is underconfident, a lower one "
        "overconfident. Judge coverage together with width: wide intervals always cover. The second table is the histogram "
        "of the probability integral transform: equal shares if calibrated, large first and last shares if overconfident. "
        "Of the predictions as they are, on all test days.",
    )
    return Section(
        name=CALIBRATION,
        title="Calibration of the predicted uncertainty",
        text=text,
        tables=(uncertainty.calibration_table(calibration), uncertainty.pit_table(calibration)),
    )


def _largest_stored_difference(stored: xr.Dataset, compared: xr.Dataset) -> float:
    now = compared["score"].sel(sample=PAIRWISE, metric="bias", drop=True)
    before, now = xr.align(stored["bias"].reset_coords(drop=True), now.reset_coords(drop=True), join="inner")
    difference = np.abs(before.values - now.transpose(*before.dims).values)
    return float(np.nanmax(difference)) if np.isfinite(difference).any() else 0.0


def _error_types(inputs: ReportInputs) -> tuple[Section, dict[str, xr.Dataset]]:
    name, title = "errors", "Types of error"
    scores = experiments_of(
        (e.run for e in inputs.experiments),
        dataset=inputs.dataset,
        reference=inputs.main.reference,
        **inputs.main.options,
    )
    if len(scores) < 2:
        text = (
            "Types of error are differences between experiments: training days, other years, other sites, another region. "
            "Pass runs of other holdouts to `gsm3 report` to compute them.",
        )
        return Section(name=name, title=title, text=text), {}
    found = {m: error_types(scores, metric=m, confidence=inputs.main.confidence) for m in ERROR_METRICS}
    text = (
        "Positive values are a loss of skill from one experiment to the next. Forcing errors (A), nonstationarity (B) and "
        "training error (D) cannot be separated: together they are the loss from the training days to other years. "
        f"The {RESIDUAL}, shown apart, is {RESIDUAL_MEANING}; it is no difference between experiments.",
    )
    tables = tuple(t for one in found.values() for t in error_sources.error_tables(one))
    return Section(name=name, title=title, text=text, tables=tables), {
        f"error-types-{m}": one for m, one in found.items()
    }


def _strata(inputs: ReportInputs) -> Section:
    main = inputs.main
    drawings = [
        (figures.site_map(main.own, m), f"{figures.label(m)} of the run at each site; hollow: no score.")
        for m in ("R", "bias")
    ]
    drawings.append(
        (figures.boxes_by_region(main.own), f"By region ({_BOX}; eight sites or fewer: one point per site).")
    )  # fmt: skip
    tables: list[Table] = []
    if inputs.dataset is not None:
        tables += medians.strata_tables(main, inputs.dataset)
        predictions = main.run.predictions()
        predicted = prepared_series(
            tested_series(inputs.dataset, main.reference, {main.product: predictions}), inputs.dataset,
            main.reference, **main.options,
        ).sel({v.PRODUCT: main.product}, drop=True)  # fmt: skip
        observed = inputs.dataset[main.reference].load()
        tables.append(medians.season_table(predicted, observed, main))
        tables.append(medians.year_table(predicted, observed, main))
        tables += [t for t in [trends.trend_table(predicted, observed, main)] if t is not None]
    text = (
        "Medians over the sites of each stratum. A difference between strata is an association, not a cause.",
    )
    return Section(
        name="strata", title="Scores by site, region and stratum", text=text, tables=tuple(tables),
        drawings=tuple(drawings),
    )  # fmt: skip


def _excluded(inputs: ReportInputs) -> Section:
    run = inputs.main.run
    events = list(run.events())
    filled: dict[str, int] = {}
    for event in events:
        for variable, count in event.get("filled", {}).items() if event["event"] == "fold_started" else ():
            filled[variable] = max(filled.get(variable, 0), int(count))
    clipped = sum(int(e.get("clipped", 0)) for e in events if e["event"] == "fold_finished")
    rule = run.config.data.fill_forcing
    filled_inputs = ", ".join(f"{n} ({c})" for n, c in sorted(filled.items())) or "none"
    text = (
        f"A site needs at least {run.config.scores.min_days} paired days.",
        f"Filled missing input values (rule: {rule}): {filled_inputs}. Predictions clipped to 0 to 1: {clipped}.",
        *run.notes,
    )
    return Section(
        name="excluded",
        title="Excluded sites and filled values",
        text=text,
        tables=(excluded_table(inputs.main),),
    )
