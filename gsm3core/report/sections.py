"""The sections of the page in their order, each made from one part of the evaluation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.evaluation.comparison import compare_products
from gsm3core.evaluation.error_types import TRAIN, error_types
from gsm3core.evaluation.pairing import PAIRWISE
from gsm3core.evaluation.test_days import tested_series
from gsm3core.report import error_sources as losses
from gsm3core.report import figures, medians, products, uncertainty
from gsm3core.report.excluded import excluded_table
from gsm3core.report.inputs import AGAINST, ReportInputs, train_scores
from gsm3core.report.published import EXPERIMENTS
from gsm3core.report.tables import Table

ERROR_METRICS = ("R", "RMSE")
_BOX = "half of the sites in the box, nine in ten within the whiskers"
_SITES_DRAWN = "Fewer than five networks: single sites are resampled, and intervals are too narrow where networks differ."


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One part of the page.

    Parameters
    ----------
    name, title
        Of the link to it, and its heading.
    text, cautions
        Paragraphs before the tables; cautions are set apart.
    tables, drawings
        In their order; drawings are pairs of SVG and caption.
    """

    name: str
    title: str
    text: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    drawings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Findings:
    """The sections, and the datasets that are written beside the page.

    Parameters
    ----------
    sections
        In the order of the page.
    datasets
        By the name of their netCDF file, without suffix.
    """

    sections: list[Section]
    datasets: dict[str, xr.Dataset]


def findings(material: ReportInputs) -> Findings:
    """Evaluate everything that the report shows.

    Parameters
    ----------
    material
        Of :func:`gsm3core.report.inputs.read_inputs`.
    """
    main = material.main
    by_region = {e.holdout: medians.by_region(e) for e in material.experiments}
    datasets = {f"scores-{e.run.id}": e.scores for e in material.experiments}
    against = AGAINST.get(main.reference, main.reference)
    headline = Section(
        name="medians", title="Scores over all sites", tables=(medians.headline(main, by_region[main.holdout]),),
        text=(f"Against {against}. bias is product minus {against}: positive is too wet.",),
    )  # fmt: skip
    own = {e.holdout: by_region[e.holdout].sel({v.PRODUCT: e.product}) for e in material.experiments}
    sections = [headline, _table_one(material, own)]
    if material.dataset is not None:
        section, compared = _products(material, material.dataset)
        sections.append(section)
        datasets |= compared
        if (judged := uncertainty.judged(main, material.dataset)) is not None:
            sections.append(_uncertainty(judged))
            datasets["calibration"] = judged
    section, types = _error_types(material)
    sections += [section, _where(material), _excluded(material)]
    return Findings(sections=sections, datasets=datasets | types)


def _table_one(material: ReportInputs, by_region: dict[str, xr.Dataset]) -> Section:
    cautions = []
    if material.simulated:
        cautions.append(
            "These data are simulated: the paper's numbers are of real sites and cannot be compared."
        )
    if material.main.reference != v.SM_INSITU:
        cautions.append(
            "The paper's numbers are against in-situ soil moisture, these against SMAP: they cannot be compared."
        )
    if not cautions:
        cautions.append(
            "The paper's numbers are of its own 1317 ISMN sites, temporal on 2015-04-01 to 2016-03-31, the others on "
            "2015-04-01 to 2020-12-31. Where sites or days here are others, a difference is not the model's alone."
        )
    missing = [e.replace("_", " ") for e in EXPERIMENTS if e not in by_region]
    text = "Each cell: the median over sites here, its interval, and the paper's number, where it has one."
    if missing:
        text += f" Not run, or not given to this report: {', '.join(missing)}."
    return Section(
        name="table-1", title="Beside the paper's Table 1", text=(text,), cautions=tuple(cautions),
        tables=(medians.table_one(by_region),),
    )  # fmt: skip


def _products(material: ReportInputs, dataset: xr.Dataset) -> tuple[Section, dict[str, xr.Dataset]]:
    main = material.main
    name, title = "products", "Products beside each other"
    if main.scores.sizes[v.PRODUCT] < 2:
        nothing = "There is no other product to compare the run with."
        return Section(name=name, title=title, text=(nothing,)), {}
    compared = compare_products(
        tested_series(dataset, main.reference, {main.product: main.run.predictions()}),
        dataset[main.reference].load(), metrics=medians.METRICS, min_effective=0.0,
        min_days=main.run.config.scores.min_days, confidence=main.confidence,
    )  # fmt: skip
    drawn = compared.attrs["resampled"]
    text = (
        f"Intervals resample {drawn}; the draws are the same for every product, so that differences are paired. p is "
        "Wilcoxon's signed-rank test over sites with Holm's correction for all pairs of products. It takes sites as "
        "independent, which sites of one network are not: where it and the interval disagree, trust the interval. "
        "A product may have been made with some of these sites or days; the run has not seen those that test it.",
    )
    cautions = [_SITES_DRAWN] if drawn == "sites" else []
    if (apart := _stored_differently(main.scores, compared)) > 1e-6:
        cautions.append(
            f"Scores stored with the run differ from those computed now by up to {apart:.2g}: it was scored by another "
            "version. This section is computed now; the others show what is stored."
        )
    section = Section(
        name=name, title=title, text=text, cautions=tuple(cautions),
        tables=(*products.median_tables(compared), *products.pair_tables(compared, main.product)),
        drawings=((figures.boxes_by_product(main.scores), f"All sites by product: {_BOX}."),),
    )  # fmt: skip
    return section, {"comparison": compared}


def _uncertainty(judged: xr.Dataset) -> Section:
    text = (
        "The run predicts a standard deviation beside each value. If it is right, half of the days lie inside its 50 % "
        "interval, and so on; more inside is too cautious, fewer too sure. Coverage and width belong together: an "
        "interval of everything covers everything.",
    )
    return Section(
        name="calibration",
        title="Whether its uncertainty is right",
        text=text,
        tables=(uncertainty.calibration_table(judged),),
    )


def _stored_differently(stored: xr.Dataset, compared: xr.Dataset) -> float:
    now = compared["score"].sel(sample=PAIRWISE, metric="bias", drop=True)
    before, now = xr.align(stored["bias"].reset_coords(drop=True), now.reset_coords(drop=True), join="inner")
    apart = np.abs(before.values - now.transpose(*before.dims).values)
    return float(np.nanmax(apart)) if np.isfinite(apart).any() else 0.0


def _error_types(material: ReportInputs) -> tuple[Section, dict[str, xr.Dataset]]:
    name, title = "errors", "Where the error comes from"
    by_holdout = {e.holdout: e for e in material.experiments}
    scores = {h: e.own for h, e in by_holdout.items() if h in EXPERIMENTS}
    if "temporal" in by_holdout and material.dataset is not None:
        trained = train_scores(by_holdout["temporal"], material.dataset)
        if trained is not None:
            scores[TRAIN] = trained
    if len(scores) < 2:
        text = (
            "An error is divided into types by setting experiments side by side: the fit to the training data, other "
            "years, other sites, other continents. Give runs of other holdouts to `gsm3 report` to see it.",
        )
        return Section(name=name, title=title, text=text), {}
    found = {m: error_types(scores, metric=m, confidence=material.main.confidence) for m in ERROR_METRICS}
    text = (
        "Positive is lost. D is what the model misses of its own training data; A+B what other years cost (forcing "
        "errors and nonstationarity), C what other sites cost (spatial heterogeneity), extrapolation what another "
        "continent costs beyond that. Types are differences between experiments and do not add up to a total.",
    )
    tables = tuple(t for one in found.values() for t in losses.error_tables(one))
    return Section(name=name, title=title, text=text, tables=tables), {
        f"error-types-{m}": one for m, one in found.items()
    }


def _where(material: ReportInputs) -> Section:
    main = material.main
    drawings = [
        (figures.site_map(main.own, m), f"{figures.label(m)} of the run at each site; hollow: no score.")
        for m in ("R", "bias")
    ]
    drawings.append(
        (figures.boxes_by_region(main.own), f"By region: {_BOX}; eight sites or fewer are drawn one by one.")
    )  # fmt: skip
    tables: list[Table] = []
    if material.dataset is not None:
        tables += medians.strata_tables(main, material.dataset)
        predictions = main.run.predictions()
        predicted = predictions[v.SM_PREDICTED].where(predictions[v.IN_TEST])
        observed = material.dataset[main.reference].load()
        tables.append(medians.season_table(predicted, observed, main))
    text = (
        "Medians over the sites of a kind. What goes along with a good score need not be what makes it good.",
    )
    return Section(
        name="where", title="Where the run is good, and where not", text=text, tables=tuple(tables),
        drawings=tuple(drawings),
    )  # fmt: skip


def _excluded(material: ReportInputs) -> Section:
    run = material.main.run
    events = list(run.events())
    filled: dict[str, int] = {}
    for event in events:
        for variable, count in event.get("filled", {}).items() if event["event"] == "fold_started" else ():
            filled[variable] = max(filled.get(variable, 0), int(count))
    clipped = sum(int(e.get("clipped", 0)) for e in events if e["event"] == "fold_finished")
    how = run.config.data.fill_forcing
    inputs = ", ".join(f"{n} ({c})" for n, c in sorted(filled.items())) or "none"
    text = (
        f"A site needs at least {run.config.scores.min_days} days on which both it and the product are valid.",
        f"Missing input values that were filled (rule: {how}): {inputs}. Predictions clipped to 0 to 1: {clipped}.",
    )
    return Section(
        name="excluded",
        title="What was left out, and why",
        text=text,
        tables=(excluded_table(material.main),),
    )
