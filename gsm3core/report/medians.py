"""Tables of medians over sites: all sites, Table 1 of the paper, strata and seasons."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.evaluation.error_types import GLOBAL
from gsm3core.evaluation.periods import PERIOD, period_scores
from gsm3core.evaluation.strata import available_strata, site_strata
from gsm3core.evaluation.stratified import SEASON, STRATUM, season_scores, stratified_scores
from gsm3core.files import texts
from gsm3core.report.inputs import Experiment
from gsm3core.report.published import EXPERIMENTS, METRICS, paper_table
from gsm3core.report.tables import JOIN, NOTHING, Cell, Table, display_name, interval, number

_PARTS = ("", "_lower", "_upper", "_q25", "_q75", "_sites")
_NAMES = ("median", "lower", "upper", "q25", "q75", "sites")
FEW_NETWORKS_NOTE = (
    "* Fewer than five networks: sites are resampled, and the interval is too narrow where networks differ."
)


def by_region(scores: xr.Dataset, confidence: float) -> xr.Dataset:
    """Return medians of every product by region; the stratum ``Global`` is all sites.

    Parameters
    ----------
    scores
        ``(product, site)``, with the coordinate ``region``.
    confidence
        Level of the intervals.
    """
    region = xr.DataArray(
        texts(scores[v.REGION].values), dims=v.SITE, coords={v.SITE: scores[v.SITE]}, name=v.REGION,
        attrs={"order": [*v.REGIONS, v.NO_REGION]},
    )  # fmt: skip
    everywhere = xr.full_like(region, GLOBAL, dtype="<U6").assign_attrs(order=[GLOBAL])
    parts = [stratified_scores(scores, s, confidence=confidence) for s in (region, everywhere)]
    return xr.concat(parts, STRATUM)


def headline(experiment: Experiment, medians: xr.Dataset) -> Table:
    """Return the medians of the run and every product over all sites.

    Parameters
    ----------
    experiment, medians
        The run, and its :func:`by_region`.
    """
    over_all = medians.sel({STRATUM: GLOBAL})
    rows = [
        [
            (f"{p}{_star(over_all.sel({v.PRODUCT: p}))}",),
            *_cells(over_all.sel({v.PRODUCT: p})),
            (_count(over_all.sel({v.PRODUCT: p})),),
        ]
        for p in over_all[v.PRODUCT].values
    ]
    return Table(
        name="medians",
        caption=f"Median over sites with its {experiment.confidence:.0%} interval, on the test days",
        head=("", *METRICS, "sites with R"),
        rows=rows,
        frame=_frame(medians, "region"),
        notes=_starred(over_all),
    )


def table_one(experiments: dict[str, xr.Dataset]) -> Table:
    """Return Table 1 of the paper: experiments and metrics by region, with the published value in each cell.

    Parameters
    ----------
    experiments
        :func:`by_region` of each run's own product, by holdout.
    """
    paper = paper_table()
    found = [str(r) for m in experiments.values() for r in m[STRATUM].values]
    regions = [*v.REGIONS, *([v.NO_REGION] if v.NO_REGION in found else []), GLOBAL]
    rows: list[list[Cell]] = []
    frames = []
    for name in (*EXPERIMENTS, *(e for e in experiments if e not in EXPERIMENTS)):
        own = experiments.get(name)
        for metric in METRICS:
            cells: list[Cell] = []
            for region in regions:
                selected = own.sel({STRATUM: region}) if own is not None and region in own[STRATUM] else None
                known = (name, metric) in paper.index and region in paper.columns
                published = str(paper.loc[(name, metric), region]) if known else ""
                cells.append(_median_and_published(selected, metric, published, run=own is not None))
                frames.append(_row(selected, name, metric, region, published))
            rows.append([(display_name(name), metric), *cells])
        if own is not None:
            counts = [_count(own.sel({STRATUM: r})) if r in own[STRATUM] else "0" for r in regions]
            rows.append([(display_name(name), "sites with R"), *((c,) for c in counts)])
    return Table(
        name="table1",
        caption="Medians over sites by region, in the layout of the paper's Table 1",
        head=("", *map(display_name, regions)),
        rows=rows,
        frame=pd.DataFrame(frames),
    )


def strata_tables(experiment: Experiment, dataset: xr.Dataset) -> list[Table]:
    """Return the run's medians by every stratification available in the dataset."""
    tables = []
    for by in available_strata(dataset):
        if by != v.REGION:
            labels = site_strata(dataset, by)
            labels = labels.assign_coords({v.SITE: texts(labels[v.SITE].values)})
            own = experiment.own.assign_coords({v.SITE: texts(experiment.own[v.SITE].values)})
            medians = stratified_scores(own, labels, confidence=experiment.confidence)
            tables.append(_by_stratum(medians, by))
    return tables


def season_table(predicted: xr.DataArray, observed: xr.DataArray, experiment: Experiment) -> Table:
    """Return the run's medians by the local season of each site.

    Parameters
    ----------
    predicted, observed
        ``(site, time)``, the run on its test days and its reference.
    """
    scores = season_scores(predicted, observed, min_days=experiment.run.config.scores.min_days)
    everywhere = xr.DataArray(np.full(scores.sizes[v.SITE], GLOBAL), dims=v.SITE, name=SEASON)
    medians = stratified_scores(scores, everywhere, confidence=experiment.confidence)
    medians = medians.isel({STRATUM: 0}, drop=True).rename({SEASON: STRATUM})
    return _by_stratum(medians, SEASON)


def year_table(predicted: xr.DataArray, observed: xr.DataArray, experiment: Experiment) -> Table:
    """Return the run's medians by calendar year.

    Parameters
    ----------
    predicted, observed
        As for :func:`season_table`.
    """
    scores = period_scores(
        predicted, observed, by="year", min_days=experiment.run.config.scores.min_days, intervals="none"
    )
    everywhere = xr.DataArray(np.full(scores.sizes[v.SITE], GLOBAL), dims=v.SITE, name=PERIOD)
    medians = stratified_scores(scores, everywhere, confidence=experiment.confidence)
    return _by_stratum(medians.isel({STRATUM: 0}, drop=True).rename({PERIOD: STRATUM}), "year")


def _by_stratum(medians: xr.Dataset, by: str) -> Table:
    rows = []
    for stratum in medians[STRATUM].values:
        one = medians.sel({STRATUM: stratum})
        rows.append([(f"{display_name(str(stratum))}{_star(one)}",), *_cells(one), (_count(one),)])
    return Table(
        name=f"strata-{by.replace('_', '-')}",
        caption=f"By {display_name(by)}",
        head=("", *METRICS, "sites with R"),
        rows=rows,
        frame=_frame(medians, by),
        notes=_starred(medians),
    )


def _cells(one: xr.Dataset) -> list[Cell]:
    return [
        (number(float(one[m])), interval(float(one[m + "_lower"]), float(one[m + "_upper"])))
        if np.isfinite(one[m])
        else (NOTHING,)
        for m in METRICS
    ]


def _median_and_published(selected: xr.Dataset | None, metric: str, published: str, *, run: bool) -> Cell:
    paper = f"paper{JOIN}{published.replace('-', '−')}" if published else ""
    if not run:
        return ("not run", paper)
    if selected is None or not np.isfinite(selected[metric]):
        return ("no sites", paper)
    ends = interval(float(selected[metric + "_lower"]), float(selected[metric + "_upper"])) + _star(selected)
    return (number(float(selected[metric])), ends, paper)


def _row(
    selected: xr.Dataset | None, experiment: str, metric: str, region: str, published: str
) -> dict[str, object]:
    numbers = {
        n: float(selected[metric + p]) if selected is not None else np.nan
        for n, p in zip(_NAMES, _PARTS, strict=True)
    }
    resampled = str(selected["resampled"].item()) if selected is not None else ""
    return {
        "experiment": experiment,
        "metric": metric,
        "region": region,
        **numbers,
        "resampled": resampled,
        "paper": published or np.nan,
    }


def _frame(medians: xr.Dataset, by: str) -> pd.DataFrame:
    """Return one row per stratum, product and metric."""
    dims = [d for d in (STRATUM, v.PRODUCT) if d in medians.dims]
    parts = []
    for metric in METRICS:
        one = xr.Dataset({n: medians[metric + p] for n, p in zip(_NAMES, _PARTS, strict=True)})
        one["resampled"] = medians["resampled"]
        parts.append(one.reset_coords(drop=True).to_dataframe(dim_order=dims).assign(metric=metric))
    table = pd.concat(parts).set_index("metric", append=True).reset_index()
    return table.rename(columns={STRATUM: by})


def _count(one: xr.Dataset) -> str:
    return str(int(one["R_sites"]))


def _star(one: xr.Dataset) -> str:
    return "*" if str(one["resampled"].item()) == "sites" else ""


def _starred(medians: xr.Dataset) -> tuple[str, ...]:
    return (FEW_NETWORKS_NOTE,) if (medians["resampled"] == "sites").any() else ()
