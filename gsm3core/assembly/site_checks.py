"""Sites whose satellite cell is uncertain, and sites of one place: columns of the station table, and notes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.assembly.twins import TWIN_KM, find_twins
from gsm3core.geography.neighbours import pairs_within
from gsm3core.geography.places import shares_in_other_cells

_GRID = "M09"
_SHOWN = 5
UNCERTAIN, TWINS = "cell_uncertain", "sites_within_1_km"


def check_sites(ds: xr.Dataset, table: pd.DataFrame | None = None) -> tuple[pd.DataFrame, list[str]]:
    """Return the station table with two more columns, and sentences for the summary.

    Parameters
    ----------
    ds
        The used sites with ``lat`` and ``lon``, perhaps with ``sm_insitu``.
    table
        One row per site, used or not; by default the sites of ``ds``.

    Returns
    -------
    pandas.DataFrame
        With ``cell_uncertain``: whether the 9 km cell of a site may be another one, because its coordinates have at most two
        decimals; and ``sites_within_1_km``, with distance and correlation of the records.
    list of str
        Sentences; none if nothing was found.
    """
    names = ds[v.SITE].values.astype(str)
    if table is None:
        table = pd.DataFrame({"site": names, "outcome": "used"})
    share = shares_in_other_cells(ds[v.LAT].values, ds[v.LON].values, _GRID)
    uncertain = share > 0
    near: dict[str, list[str]] = {}
    pairs, same = _pairs(ds)
    for first, second, text in pairs:
        near.setdefault(first, []).append(f"{second} ({text})")
        near.setdefault(second, []).append(f"{first} ({text})")
    used = table["outcome"] == "used"
    by_site = dict(zip(names.tolist(), uncertain.tolist(), strict=True))
    rows = list(zip(table["site"], used, strict=True))
    table = table.copy()
    table[UNCERTAIN] = [by_site.get(s) if u else None for s, u in rows]
    table[TWINS] = ["; ".join(near.get(s, [])) if u else "" for s, u in rows]
    notes = []
    if uncertain.any():
        notes.append(
            f"{int(uncertain.sum())} of {len(names)} sites have coordinates with at most two decimals and are nearer to the edge "
            f"of their 9 km cell than this rounding: the chance that their value of SMAP is that of the neighbouring cell is "
            f"{share[uncertain].mean():.0%} on average ({_some(names[uncertain])}; column {UNCERTAIN})."
        )
    if pairs:
        record = (
            f", {same} of them with records of the same station: these count twice in medians" if same else ""
        )
        notes.append(
            f"{len(pairs)} pair(s) of sites are within {TWIN_KM:g} km of each other{record} (column {TWINS}). Experiments hold "
            "them out together (holdout.group_km)."
        )
    return table, notes


def _pairs(ds: xr.Dataset) -> tuple[list[tuple[str, str, str]], int]:
    """Return the two sites and a text for each pair, and the number of pairs of one station."""
    if v.SM_INSITU in ds:
        table = find_twins(ds)
        rows = table.to_dict("records")
        texts = [
            f"{r['km']:g} km" + (f", R {r['correlation']:.2f}" if np.isfinite(r["correlation"]) else "")
            for r in rows
        ]
        pairs = [(r["first"], r["second"], t) for r, t in zip(rows, texts, strict=True)]
        return pairs, int(table["same_station"].sum())
    names = ds[v.SITE].values.astype(str)
    found, km = pairs_within(ds[v.LAT].values, ds[v.LON].values, TWIN_KM)
    return [(names[a], names[b], f"{d:.2f} km") for (a, b), d in zip(found, km, strict=True)], 0


def _some(names: np.ndarray) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
