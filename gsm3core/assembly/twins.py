"""Twins: sites of one place, and the same station in several datasets."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.errors import ConfigError, DatasetError, did_you_mean
from gsm3core.geography.neighbours import pairs_within
from gsm3core.schema import is_simulated

Duplicates = Literal["first", "second", "keep", "error"]
DUPLICATES = ("first", "second", "keep", "error")
TWIN_KM = 1.0
SAME_R = 0.98  # daily means of one probe at 5 cm over UTC days and over local days in America: 0.985 to 0.999
_SAME_LEVEL = 0.01  # m3 m-3; in a month without rain the records of any two stations fall together
_UNLIKE_R = 0.5
_NAME_KM = 25.0
_MIN_DAYS = 30
_SAME_DEPTH = 0.03  # m
_SHOWN = 100
COLUMNS = (
    "first", "second", "first_dataset", "second_dataset", "km", "correlation", "days", "days_first", "days_second",
    "same_station", "rule",
)  # fmt: skip


def find_twins(*datasets: xr.Dataset, within_km: float = TWIN_KM) -> pd.DataFrame:
    """Return the pairs of sites with in-situ records that stand at one place or are the same station.

    Parameters
    ----------
    datasets
        With ``site``, ``lat``, ``lon``; optional: ``station``, ``depth``, ``sm_insitu``.
    within_km
        Geodesic distance of two sites at one place. One km is about the error of coordinates with two decimals.

    Returns
    -------
    pandas.DataFrame
        One row per pair: the two sites and the numbers of their datasets; ``km``; ``correlation`` of the records over
        their common ``days``; the days of each record; ``same_station``, and the ``rule`` that decided it.

    Notes
    -----
    Two records are of the same station if they are at one place, their depths agree, and either the names of the stations
    agree (a leading state such as "TX" and punctuation do not count) or the records correlate with at least 0.98 and differ
    by at most 0.01 m3 m-3 on average over at least 30 common days. Stations of one name up to 25 km apart are the same if
    their records agree so. Other pairs at one place are neighbours, such as the stations of a dense network. Simulated
    sites are no stations.
    """
    recorded = [_with_record(ds) for ds in datasets]
    owner = np.concatenate([np.full(ds.sizes[v.SITE], k) for k, ds in enumerate(recorded)])
    row = np.concatenate([np.arange(ds.sizes[v.SITE]) for ds in recorded])
    lat, lon = (np.concatenate([ds[n].values.astype(float) for ds in recorded]) for n in (v.LAT, v.LON))
    names = [n for ds in recorded for n in _station_names(ds)]
    sites = [str(s) for ds in recorded for s in ds[v.SITE].values]
    depth = np.concatenate(
        [ds[v.DEPTH].values if v.DEPTH in ds.coords else np.full(ds.sizes[v.SITE], np.nan) for ds in recorded]
    )
    series = [_Records(ds) for ds in recorded]
    simulated = [is_simulated(ds) for ds in recorded]
    rows: list[tuple[Any, ...]] = []
    for (a, b), km in zip(*pairs_within(lat, lon, max(within_km, _NAME_KM)), strict=True):
        named = bool(names[a]) and names[a] == names[b]
        if km > within_km and not named:
            continue
        r, apart, days, days_a, days_b = _compare(series[owner[a]].of(row[a]), series[owner[b]].of(row[b]))
        alike = days >= _MIN_DAYS and r >= SAME_R and apart <= _SAME_LEVEL
        deep = abs(depth[a] - depth[b]) > _SAME_DEPTH
        same = not deep and not simulated[owner[a]] and (alike or (named and km <= within_km))
        if km > within_km and not same:
            continue
        place = f"within {within_km:g} km" if km <= within_km else f"{km:.1f} km apart"
        why = [place, *(["same name"] if named else []), *(["records correlate"] if alike else [])]
        rows.append((
            sites[a], sites[b], int(owner[a]), int(owner[b]), round(float(km), 3), round(r, 4), days, days_a, days_b,
            same, ", ".join([*why, "other depth"] if deep else why),
        ))  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"same_station": bool})


def drop_duplicates(
    datasets: Sequence[xr.Dataset], duplicates: Duplicates = "first"
) -> tuple[list[xr.Dataset], dict[str, Any], pd.DataFrame]:
    """Return datasets in which no station is repeated, an entry for the history, and the pairs; a dataset can be empty.

    Parameters
    ----------
    duplicates
        What to do with a station of several datasets. ``first``: its site in the earliest dataset is kept, ``second``: that
        in the latest; ``keep``: all are kept; ``error``: refuse. Pairs within one dataset are reported and kept.

    Raises
    ------
    DatasetError
        With ``error``, if there are such stations.
    ConfigError
        If the rule is unknown.
    """
    if duplicates not in DUPLICATES:
        raise ConfigError(
            f"unknown rule for duplicates {duplicates!r}. {did_you_mean(duplicates, DUPLICATES)}"
        )
    table = find_twins(*datasets)
    across = table[table["first_dataset"] != table["second_dataset"]]
    same = across[across["same_station"]]
    if len(same) and duplicates == "error":
        raise DatasetError(
            f"{len(same)} station(s) are in several datasets: {_listed(same)}. Use one record of each with --duplicates first or "
            "second (duplicates in a recipe), or both with keep."
        )
    lost, kept = ("first", "second") if duplicates == "second" else ("second", "first")
    dropped: dict[tuple[int, str], dict[str, Any]] = {}
    # Pairs are sorted, so that a record which is itself dropped replaces no other one.
    order = same.sort_values(["first_dataset", "second_dataset"], ascending=duplicates != "second")
    for pair in order.to_dict("records") if duplicates != "keep" else []:
        key = (pair[f"{lost}_dataset"], pair[lost])
        if (pair[f"{kept}_dataset"], pair[kept]) not in dropped:
            dropped.setdefault(key, {
                "site": pair[lost], "kept": pair[kept], "km": pair["km"], "correlation": pair["correlation"],
                "common_days": pair["days"], "days_only_in_dropped": pair[f"days_{lost}"] - pair["days"],
            })  # fmt: skip
    result = []
    for k, ds in enumerate(datasets):
        gone = [s for d, s in dropped if d == k]
        result.append(ds.isel({v.SITE: ~np.isin(ds[v.SITE].values.astype(str), gone)}) if gone else ds)
    near, unlike = table[~table["same_station"]], same[same["correlation"] < _UNLIKE_R]
    step = {
        "within_km": TWIN_KM, "rule": duplicates, "same_station": len(same), "dropped": len(dropped),
        "days_only_in_dropped": sum(d["days_only_in_dropped"] for d in dropped.values()),
        "dropped_sites": list(dropped.values())[:_SHOWN],
        "unlike_records": _pairs_as_text(unlike, "correlation", "R {:.2f}"),
        "neighbours": len(near), "neighbouring_sites": _pairs_as_text(near, "km", "{:g} km"),
    }  # fmt: skip
    return result, step, table


def twin_notes(step: dict[str, Any]) -> list[str]:
    """Return sentences on the entry of :func:`drop_duplicates`; none without pairs."""
    notes = []
    if step["same_station"]:
        n, rule = step["same_station"], f"duplicates = {step['rule']}"
        if step["dropped"]:
            lost = "a later" if step["rule"] == "first" else "an earlier"
            shown = ", ".join(f"{d['kept']} instead of {d['site']}" for d in step["dropped_sites"][:3])
            text = f"{n} station(s) are in two datasets: {step['dropped']} record(s) of {lost} one are left out ({rule}), {shown}"
            text += ", ..." if step["dropped"] > 3 else ""
            if days := step["days_only_in_dropped"]:
                text += f"; {days:,} days are only in the records left out"
        else:
            text = f"{n} station(s) are in two datasets and kept twice ({rule}): they count twice in medians"
        notes.append(f"{text}.")
    if step["unlike_records"]:
        notes.append(
            "records of one name and place that hardly correlate, which one probe cannot have; check them: "
            f"{'; '.join(step['unlike_records'][:3])}."
        )
    if step["neighbours"]:
        notes.append(
            f"{step['neighbours']} pair(s) of sites are within {step['within_km']:g} km of each other. They are kept, and "
            "held out together (holdout.group_km)."
        )
    return notes


def with_twin_notes(ds: xr.Dataset, network: str) -> xr.Dataset:
    """Return a dataset whose last history step has notes on stations of a network that another one has too."""
    added = ds[v.NETWORK].values.astype(str) == network
    parts = [ds.isel({v.SITE: ~added}), ds.isel({v.SITE: added})]
    notes = twin_notes(drop_duplicates(parts, "keep")[1])
    if not notes:
        return ds
    *steps, last = json.loads(ds.attrs["history"])
    last["notes"] = [*last.get("notes", []), *notes]
    return ds.assign_attrs(history=json.dumps([*steps, last]))


class _Records:
    """In-situ records of a dataset, read once when the first pair needs them."""

    def __init__(self, ds: xr.Dataset) -> None:
        self._ds = ds
        self._values: np.ndarray | None = None
        self._days = ds[v.TIME].values.astype("datetime64[D]") if v.TIME in ds.coords else np.empty(0)

    def of(self, row: int) -> pd.Series:
        if self._values is None:
            self._values = self._ds[v.SM_INSITU].transpose(v.SITE, v.TIME).values
        return pd.Series(self._values[row], index=self._days).dropna()


def _with_record(ds: xr.Dataset) -> xr.Dataset:
    """Return the sites that have an in-situ record."""
    if v.SM_INSITU not in ds:
        return ds.isel({v.SITE: slice(0, 0)})
    return ds.isel({v.SITE: np.flatnonzero(ds[v.SM_INSITU].notnull().any(v.TIME).values)})


def _compare(a: pd.Series, b: pd.Series) -> tuple[float, float, int, int, int]:
    """Return the correlation and the mean absolute difference over the common days (NaN if undefined), and numbers of days.

    The days are those that both have, and those of each record.
    """
    both = a.index.intersection(b.index)
    x, y = a[both].to_numpy(np.float64), b[both].to_numpy(np.float64)
    defined = len(both) > 2 and x.std() > 0 and y.std() > 0
    r = float(np.corrcoef(x, y)[0, 1]) if defined else np.nan
    return r, float(np.abs(x - y).mean()) if len(both) else np.nan, len(both), len(a), len(b)


def _station_names(ds: xr.Dataset) -> list[str]:
    """Return comparable names: lower case without punctuation and without a leading state of two letters."""
    given = ds[v.STATION] if v.STATION in ds.coords else ds[v.SITE]
    names = []
    for text in given.values:
        words = re.findall(r"[^\W_]+", str(text).casefold())
        names.append(" ".join(words[1:] if len(words) > 1 and re.fullmatch("[a-z]{2}", words[0]) else words))
    return names


def _listed(pairs: pd.DataFrame) -> str:
    shown = ", ".join(
        f"{r['first']} and {r['second']} ({r['km']:g} km)" for r in pairs.head(3).to_dict("records")
    )
    return shown + (", ..." if len(pairs) > 3 else "")


def _pairs_as_text(pairs: pd.DataFrame, column: str, form: str) -> list[str]:
    return [
        f"{r['first']} and {r['second']}, {form.format(r[column])}"
        for r in pairs.head(_SHOWN).to_dict("records")
    ]
