"""A table of scores that somebody else has published, as a factor table: one row a site."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError, did_you_mean
from gsm3core.factors.table import FactorTable, factor_table

# Columns that say where a site is, under the name that they have as factors.
_AS_FACTOR = {v.REGION: "region class", v.NETWORK: "network class", v.LAT: "latitude", v.LON: "longitude"}


def read_score_table(
    path: str | Path, score: str, factors: Sequence[str], *, metric: str = "R", clusters: Sequence[str] = ()
) -> FactorTable:
    """Read a CSV of per-site scores beside what describes the sites.

    Parameters
    ----------
    path
        A CSV with a header, one row a site. Columns ``site``, ``network``, ``region``, ``lat``, ``lon`` are taken for
        what they are, where there are any.
    score
        Column to be explained.
    metric
        What it is: an R is kept within -1 and 1.
    factors
        Columns to explain it by; texts are classes.
    clusters
        Columns whose values, taken together, name the cluster that a site belongs to, for instance cells of one coarse
        climate cell, which share their climate to the last digit. By default ``network``.

    Raises
    ------
    DatasetError
        If the file cannot be read, a column is missing, named twice or no number where one is needed, an R is not
        within -1 and 1, or fewer than 20 sites have a score.
    """
    path = Path(path)
    frame = _read(path)
    if not factors:
        raise DatasetError(f"No factor was named. {path.name} has the columns {', '.join(frame.columns)}.")
    for name in (score, *factors, *clusters):
        if name not in frame.columns:
            raise DatasetError(f"{path.name} has no column {name!r}. {did_you_mean(name, frame.columns)}")
    named = [_name(n) for n in factors]
    if v.SITE in factors:
        raise DatasetError(f"{v.SITE!r} names the sites and cannot be a factor.")
    if len(set(named)) < len(named):
        raise DatasetError(f"A factor is named twice: {', '.join(factors)}.")
    if score in factors:
        raise DatasetError(f"{score!r} is the score and cannot be a factor of itself.")
    site = (
        frame[v.SITE].astype(str) if v.SITE in frame else pd.Series([f"row {k}" for k in range(len(frame))])
    )
    if site.duplicated().any():
        raise DatasetError(f"{path.name} has the site {site[site.duplicated()].iloc[0]!r} more than once.")
    coords: dict[str, object] = {v.SITE: site.to_numpy(str)}
    for name in (v.LAT, v.LON):
        if name in frame:
            coords[name] = v.SITE, _numbers(frame, name, path)
    by = list(clusters) or [name for name in (v.NETWORK,) if name in frame]
    if by:
        coords[v.NETWORK] = v.SITE, frame.groupby(by, dropna=False).ngroup().astype(str).to_numpy(str)
    if v.REGION in frame:
        coords[v.REGION] = v.SITE, frame[v.REGION].fillna("").astype(str).to_numpy(str)
    # A column that is a coordinate and a factor too needs another name as a factor.
    attributes = xr.Dataset({_name(n): _factor(frame, n, path) for n in factors}, coords=coords)
    values = _numbers(frame, score, path)
    if metric == "R" and (np.abs(values) > 1).any():
        raise DatasetError(
            f"{path.name}: {score} is {values[np.abs(values) > 1][0]:g} in one row, which no R can be. Name the metric "
            "that it is (--metric RMSE, for instance)."
        )
    scores = xr.Dataset({metric: (v.SITE, values)}, coords={v.SITE: coords[v.SITE]})
    return factor_table(scores, attributes, metric=metric, factors=named)


def _read(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_csv(path)
    except FileNotFoundError:
        raise DatasetError(f"{path} does not exist.") from None
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read as CSV: {error}.") from error
    if frame.empty:
        raise DatasetError(f"{path} has no row.")
    return frame.rename(columns=lambda c: str(c).strip())


def _name(column: str) -> str:
    return _AS_FACTOR.get(column, column)


def _factor(frame: pd.DataFrame, name: str, path: Path) -> tuple[str, np.ndarray, dict[str, object]]:
    column = frame[name]
    if pd.api.types.is_numeric_dtype(column):
        return v.SITE, _numbers(frame, name, path), {}
    texts = column.astype("string").str.strip()
    names = sorted(texts.dropna().unique())
    numbers = (
        texts.map({text: k for k, text in enumerate(names)})
        .astype("Float64")
        .to_numpy(float, na_value=np.nan)
    )
    meanings = " ".join(text.replace(" ", "_") or "blank" for text in names)
    return v.SITE, numbers, {"flag_values": np.arange(len(names)), "flag_meanings": meanings}


def _numbers(frame: pd.DataFrame, name: str, path: Path) -> np.ndarray:
    numbers = pd.to_numeric(frame[name], errors="coerce")
    wrong = numbers.isna() & frame[name].notna()
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise DatasetError(
            f"{path.name}, row {row + 2}: {name} is {frame[name].iloc[row]!r}; expected a number or nothing."
        )
    return numbers.to_numpy(float)
