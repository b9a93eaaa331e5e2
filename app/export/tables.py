"""Exported tables (CSV) and datasets (netCDF), each with a header that describes its content."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from app.services.comparison import Comparison
from app.services.evaluation import Evaluation
from app.services.run_progress import LossHistory
from app.services.site_filters import Shown
from app.services.site_series import SiteSeries
from app.services.store import Store
from gsm3core import vocabulary as v
from gsm3core.files import atomic_write
from gsm3core.schema import attribute_names

MAX_RECORD_BYTES = 60_000_000  # before compression; above it the records are left out of the download
_SCORED = "scored_product"
_SITE_COLUMNS = [v.STATION, v.NETWORK, v.REGION, v.LAT, v.LON]


def csv_file(table: pd.DataFrame, header: list[str]) -> io.BytesIO:
    """Return a table as CSV below header lines that begin with ``#``."""
    head = "".join(f"# {line}\n" for line in header)
    return io.BytesIO((head + table.to_csv(lineterminator="\n")).encode())


def results_netcdf(results: xr.Dataset, header: list[str]) -> io.BytesIO:
    """Return results as netCDF-4; attributes of types that netCDF lacks become text."""
    attrs = {n: x if isinstance(x, (str, int, float)) else str(x) for n, x in results.attrs.items()}
    attrs = {n: int(x) if isinstance(x, bool) else x for n, x in attrs.items()}
    return _as_bytes(results.reset_coords(drop=False).assign_attrs(attrs | {"about": "; ".join(header)}))


def header_lines(evaluation: Evaluation, shown: Shown, title: str) -> list[str]:
    """Return the header of a table of scores: dataset, run, reference, sites, days and units."""
    lines = [
        f"{title}; GSM3",
        f"dataset: {evaluation.dataset}; run: {evaluation.run or 'none'}; compared with: {evaluation.against}",
        f"sites: {shown.words}; days: {'test days' if evaluation.run else 'all days'}{evaluation.conditions}",
        "errors and soil moisture in m3 m-3",
    ]
    return (
        [*lines, "SIMULATED: synthetic demonstration data, not measured"] if evaluation.simulated else lines
    )


def score_table(evaluation: Evaluation, shown: Shown, product: str) -> pd.DataFrame:
    """Return all scores of a product at the sites shown."""
    return evaluation.table(product)[shown.mask].drop(columns=["x", "y"])


def group_table(groups: dict[str, np.ndarray], metric: str, column: str) -> pd.DataFrame:
    """Return the scores of grouped boxplots, one row per site."""
    rows = [(name, value) for name, values in groups.items() for value in values]
    return pd.DataFrame(rows, columns=[column, metric]).set_index(column)


def rank_table(comparison: Comparison, product: str, other: str, sample: str, metric: str) -> pd.DataFrame:
    """Return all products, ranked."""
    return comparison.ranks(sample, metric)


def pairwise_table(
    comparison: Comparison, product: str, other: str, sample: str, metric: str
) -> pd.DataFrame:
    """Return the differences of one product from each of the others."""
    return comparison.against_others(sample, metric, product)


def two_product_table(
    comparison: Comparison, product: str, other: str, sample: str, metric: str
) -> pd.DataFrame:
    """Return the scores of two products at every site, and their difference."""
    a, b = (comparison.scores(sample, metric, name) for name in (product, other))
    scores = {f"{metric} of {product}": a, f"{metric} of {other}": b, "difference": a - b}
    return comparison.sites[_SITE_COLUMNS].assign(**scores)


def best_product_table(
    comparison: Comparison, product: str, other: str, sample: str, metric: str
) -> pd.DataFrame:
    """Return the best product at every site, and the scores of all products."""
    scores = {f"{metric} of {name}": comparison.scores(sample, metric, name) for name in comparison.products}
    best = comparison.at(sample, metric)["best"].values.astype(str)
    return comparison.sites[_SITE_COLUMNS].assign(best=best, **scores)


def day_table(series: SiteSeries) -> pd.DataFrame:
    """Return all series of one site, one row per day."""
    columns: dict[str, np.ndarray] = dict(series.records)
    if series.predicted is not None and series.in_test is not None:
        columns |= {series.own: series.predicted, "test day": series.in_test}
    if series.std is not None:
        columns[f"{series.own} standard deviation"] = series.std
    if series.precipitation is not None:
        columns["precipitation (mm)"] = series.precipitation
    days = pd.Index(np.datetime_as_string(series.time, "D"), name="day")
    return pd.DataFrame(columns, index=days)


def loss_table(losses: LossHistory) -> pd.DataFrame:
    """Return the loss after every epoch, without the gaps between networks."""
    table = pd.DataFrame(
        {"in situ": losses.insitu, "SMAP": losses.satellite, "validation sites": losses.validation},
        index=pd.Index(losses.epoch, name="epoch"),
    )
    return table.dropna(how="all")


def sites_netcdf(store: Store, evaluation: Evaluation, shown: Shown) -> io.BytesIO:
    """Return scores, attributes and soil moisture records of the sites shown as netCDF-4.

    Records above ``MAX_RECORD_BYTES`` are left out. Scores are ``score_R`` etc. on ``(scored_product, site)``; records
    keep their names in the dataset.
    """
    at = np.flatnonzero(shown.mask)
    ds = store.dataset(evaluation.dataset).isel({v.SITE: at})
    records = [n for n in (v.SM_INSITU, v.SM_SMAP, v.SM_PRODUCT) if n in ds]
    fits = sum(ds[n].nbytes for n in records) <= MAX_RECORD_BYTES
    export = ds[[*attribute_names(ds), *(records if fits else [])]].load()
    if evaluation.products:
        scores = evaluation.scores.isel({v.SITE: at}).rename({v.PRODUCT: _SCORED}).reset_coords(drop=True)
        scores = scores.rename({n: f"score_{n}" for n in scores.data_vars})
        export = xr.merge(
            [export, scores.assign_coords({v.SITE: export[v.SITE].values})],
            compat="override",
            combine_attrs="override",
        )
    extent = "with records" if fits else "without records, which exceed the download limit"
    export.attrs |= {"title": f"GSM3: {shown.words} of {evaluation.dataset}, {extent}", "run": evaluation.run}
    return _as_bytes(export)


def _as_bytes(ds: xr.Dataset) -> io.BytesIO:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "export.nc"
        atomic_write(ds, path)
        return io.BytesIO(path.read_bytes())
