"""What a visitor takes away: tables as CSV and the sites as netCDF, each saying what it is."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from app.services.comparison import Comparison
from app.services.evaluation import ALL_YEAR, Evaluation
from app.services.run_progress import Losses
from app.services.site_filters import Shown
from app.services.site_series import SiteSeries
from app.services.store import Store
from gsm3core import vocabulary as v
from gsm3core.files import atomic_write
from gsm3core.schema import attribute_names

MOST_BYTES = 60_000_000  # of records before compression; more is for a script
_SCORED = "scored_product"
_OF_A_SITE = [v.STATION, v.NETWORK, v.REGION, v.LAT, v.LON]


def csv(table: pd.DataFrame, about: list[str]) -> io.BytesIO:
    """Return a table as CSV, with lines above it that begin with ``#`` and say what it is."""
    head = "".join(f"# {line}\n" for line in about)
    return io.BytesIO((head + table.to_csv(lineterminator="\n")).encode())


def answer(found: xr.Dataset, about: list[str]) -> io.BytesIO:
    """Return what was worked out as netCDF-4; attributes that netCDF cannot hold become text."""
    told = {n: x if isinstance(x, (str, int, float)) else str(x) for n, x in found.attrs.items()}
    told = {n: int(x) if isinstance(x, bool) else x for n, x in told.items()}
    kept = found.reset_coords(drop=False).assign_attrs(told | {"about": "; ".join(about)})
    return _as_bytes(kept)


def about(evaluation: Evaluation, shown: Shown, title: str) -> list[str]:
    """Return what a table is of, for its head."""
    lines = [
        f"{title}; GSM3",
        f"dataset: {evaluation.dataset}; run: {evaluation.run or 'none'}; compared with: {evaluation.against}",
        f"sites: {shown.words}; days: {'all' if evaluation.season == ALL_YEAR else evaluation.season}"
        + (" test days" if evaluation.run else ""),
        "errors and soil moisture in m3 m-3",
    ]
    return (
        [*lines, "SIMULATED: made by a model of a made-up world, not measured"]
        if evaluation.simulated
        else lines
    )


def of_sites(evaluation: Evaluation, shown: Shown, product: str) -> pd.DataFrame:
    """Return the sites shown with every score of a product."""
    return evaluation.table(product)[shown.mask].drop(columns=["x", "y"])


def of_groups(groups: dict[str, np.ndarray], metric: str, column: str) -> pd.DataFrame:
    """Return the scores behind boxes, a row a site."""
    rows = [(name, value) for name, values in groups.items() for value in values]
    return pd.DataFrame(rows, columns=[column, metric]).set_index(column)


def of_ranks(found: Comparison, product: str, other: str, sample: str, metric: str) -> pd.DataFrame:
    """Return every product by rank."""
    return found.ranks(sample, metric)


def of_pairs(found: Comparison, product: str, other: str, sample: str, metric: str) -> pd.DataFrame:
    """Return one product against each of the others."""
    return found.against_others(sample, metric, product)


def of_two(found: Comparison, product: str, other: str, sample: str, metric: str) -> pd.DataFrame:
    """Return the scores of two products at every site, and their difference."""
    a, b = (found.scores(sample, metric, name) for name in (product, other))
    scores = {f"{metric} of {product}": a, f"{metric} of {other}": b, "difference": a - b}
    return found.sites[_OF_A_SITE].assign(**scores)


def of_best(found: Comparison, product: str, other: str, sample: str, metric: str) -> pd.DataFrame:
    """Return the best product at every site, and every product's score."""
    scores = {f"{metric} of {name}": found.scores(sample, metric, name) for name in found.products}
    return found.sites[_OF_A_SITE].assign(best=found.at(sample, metric)["best"].values.astype(str), **scores)


def of_days(series: SiteSeries) -> pd.DataFrame:
    """Return everything that is drawn at one site, a row a day."""
    columns: dict[str, np.ndarray] = dict(series.records)
    if series.predicted is not None and series.in_test is not None:
        columns |= {series.own: series.predicted, "test day": series.in_test}
    if series.spread is not None:
        columns[f"{series.own} standard deviation"] = series.spread
    if series.precipitation is not None:
        columns["precipitation (mm)"] = series.precipitation
    days = pd.Index(np.datetime_as_string(series.time, "D"), name="day")
    return pd.DataFrame(columns, index=days)


def of_losses(losses: Losses) -> pd.DataFrame:
    """Return the loss after every epoch; the lines of two networks are apart, their gap is left out."""
    table = pd.DataFrame(
        {"in situ": losses.insitu, "SMAP": losses.satellite, "sites held back": losses.validation},
        index=pd.Index(losses.epoch, name="epoch"),
    )
    return table.dropna(how="all")


def netcdf(store: Store, evaluation: Evaluation, shown: Shown) -> io.BytesIO:
    """Return the sites shown as netCDF-4: their scores, what they are like, and their records where they are not too many.

    Notes
    -----
    Scores are ``score_R`` and so on, ``(scored_product, site)``; records keep the names of the dataset.
    """
    at = np.flatnonzero(shown.mask)
    ds = store.dataset(evaluation.dataset).isel({v.SITE: at})
    records = [n for n in (v.SM_INSITU, v.SM_SMAP, v.SM_PRODUCT) if n in ds]
    fits = sum(ds[n].nbytes for n in records) <= MOST_BYTES
    taken = ds[[*attribute_names(ds), *(records if fits else [])]].load()
    if evaluation.products:
        scores = evaluation.scores.isel({v.SITE: at}).rename({v.PRODUCT: _SCORED}).reset_coords(drop=True)
        scores = scores.rename({n: f"score_{n}" for n in scores.data_vars})
        taken = xr.merge(
            [taken, scores.assign_coords({v.SITE: taken[v.SITE].values})],
            compat="override",
            combine_attrs="override",
        )
    kept = "with their records" if fits else "without their records, which are too many for a download"
    taken.attrs |= {"title": f"GSM3: {shown.words} of {evaluation.dataset}, {kept}", "run": evaluation.run}
    return _as_bytes(taken)


def _as_bytes(ds: xr.Dataset) -> io.BytesIO:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "taken.nc"
        atomic_write(ds, path)
        return io.BytesIO(path.read_bytes())
