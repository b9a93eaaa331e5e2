"""Read a CSV of published scores, one row per site, as a factor table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError, did_you_mean
from gsm3core.factors.table import FactorTable, factor_table

# Site columns and their names as factors.
_AS_FACTOR = {v.REGION: "region class", v.NETWORK: "network class", v.LAT: "latitude", v.LON: "longitude"}


def read_score_table(
    path: str | Path, score: str, factors: Sequence[str], *, metric: str = "R", clusters: Sequence[str] = ()
) -> FactorTable:
    """Read a CSV of per-site scores and site attributes.

    Parameters
    ----------
    path
        A CSV with a header and one row per site. The columns ``site``, ``network``, ``region``, ``lat``, ``lon`` are
        optional and become the coordinates of the sites.
    score
        Column of the score to explain.
    factors
        Columns of the factors; text columns are classes.
    metric
        Metric of the score; R must be within -1 and 1.
    clusters
        Columns whose joint values identify the cluster of a site, for instance sites in one coarse climate cell, which
        have identical climate values. By default ``network``.

    Raises
    ------
    DatasetError
        If the file cannot be read, a column is missing, repeated or not numeric where it must be, an R is not within -1
        and 1, or fewer than 20 sites have a score.
    """
    path = Path(path)
    frame = _read(path)
    if not factors:
        raise DatasetError(
            f"No factors given; expected some of the columns of {path.name}: {', '.join(frame.columns)}."
        )
    for name in (score, *factors, *clusters):
        if name not in frame.columns:
            raise DatasetError(f"{path.name} has no column {name!r}. {did_you_mean(name, frame.columns)}")
    factor_names = [_name(n) for n in factors]
    if v.SITE in factors:
        raise DatasetError(f"{v.SITE!r} is the site id and cannot be a factor.")
    if len(set(factor_names)) < len(factor_names):
        raise DatasetError(f"duplicate factor in {', '.join(factors)}; give each factor once.")
    if score in factors:
        raise DatasetError(f"{score!r} is the score and cannot also be a factor.")
    site = (
        frame[v.SITE].astype(str) if v.SITE in frame else pd.Series([f"row {k}" for k in range(len(frame))])
    )
    if site.duplicated().any():
        raise DatasetError(f"{path.name}: duplicate site id {site[site.duplicated()].iloc[0]!r}.")
    coords: dict[str, object] = {v.SITE: site.to_numpy(str)}
    for name in (v.LAT, v.LON):
        if name in frame:
            coords[name] = v.SITE, _numbers(frame, name, path)
    cluster_columns = list(clusters) or [name for name in (v.NETWORK,) if name in frame]
    if cluster_columns:
        coords[v.NETWORK] = (
            v.SITE,
            frame.groupby(cluster_columns, dropna=False).ngroup().astype(str).to_numpy(str),
        )
    if v.REGION in frame:
        coords[v.REGION] = v.SITE, frame[v.REGION].fillna("").astype(str).to_numpy(str)
    # A column that is both a coordinate and a factor needs another name as a factor.
    attributes = xr.Dataset({_name(n): _factor(frame, n, path) for n in factors}, coords=coords)
    values = _numbers(frame, score, path)
    if metric == "R" and (np.abs(values) > 1).any():
        raise DatasetError(
            f"{path.name}: {score} has the value {values[np.abs(values) > 1][0]:g}; an R is within -1 and 1. Give the "
            "metric of the column, for instance --metric RMSE."
        )
    scores = xr.Dataset({metric: (v.SITE, values)}, coords={v.SITE: coords[v.SITE]})
    return factor_table(scores, attributes, metric=metric, factors=factor_names)


def _read(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_csv(path)
    except FileNotFoundError:
        raise DatasetError(f"{path} does not exist.") from None
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read as CSV: {error}.") from error
    if frame.empty:
        raise DatasetError(f"{path} has no rows.")
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
    invalid = numbers.isna() & frame[name].notna()
    if invalid.any():
        row = int(np.flatnonzero(invalid)[0])
        raise DatasetError(
            f"{path.name}, row {row + 2}: {name} is {frame[name].iloc[row]!r}; expected a number or an empty cell."
        )
    return numbers.to_numpy(float)
