"""One gridded source at the sites for a run of days: read, collocated, made daily, and everything lost counted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.assembly.collocate import DISTANCE, to_sites
from gsm3core.assembly.daily import Statistic, to_daily
from gsm3core.assembly.recipe import SourceSettings
from gsm3core.assembly.work_cache import Account
from gsm3core.catalog import SourceEntry
from gsm3core.config import Period
from gsm3core.errors import ConfigError, DatasetError
from gsm3core.readers import grid_reader_options, make_grid_reader
from gsm3core.readers.files import NothingThereError
from gsm3core.readers.gridded import GridReader

_DAY = 86_400.0
_NOTES = ("preliminary_steps", "product_version")

Terms = Sequence[tuple[str, Statistic]]


@dataclass(frozen=True, slots=True)
class Spots:
    """Where values are wanted: names and degrees, one of each a site."""

    site: NDArray[np.str_]
    lat: NDArray[np.float64]
    lon: NDArray[np.float64]

    @property
    def fingerprint(self) -> str:
        """The same for the same sites alone."""
        told = json.dumps([a.tolist() for a in (self.site, self.lat, self.lon)])
        return hashlib.sha256(told.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Source:
    """A gridded source, where its files are, and how they are read."""

    entry: SourceEntry
    root: Path
    settings: SourceSettings

    def reader(self, variables: Iterable[str]) -> GridReader:
        """Return a reader of these variables (of all, where it cannot choose)."""
        options: dict[str, Any] = dict(self.settings.options)
        if "variables" in options:
            raise ConfigError(
                f"{self.entry.name}: 'variables' is no option here; name them in forcings, attributes or products."
            )
        if "variables" in grid_reader_options(self.entry.reader):
            options["variables"] = sorted(set(variables))
        return make_grid_reader(self.entry.reader, **options)


def sample_days(
    source: Source, spots: Spots, run: Period, terms: Terms
) -> tuple[xr.Dataset, Account, list[Path]]:
    """Return a source's days at the sites.

    Parameters
    ----------
    source, spots
        What and where.
    run
        UTC days. All are in the result; those without data are missing.
    terms
        Variable and statistic of the day.

    Returns
    -------
    xarray.Dataset
        ``VARIABLE_STATISTIC`` (site, time), and ``distance_km`` (site) to the centre of the nearest cell. A monthly
        source keeps its months.
    dict
        By ``VARIABLE_STATISTIC``: ``present``, ``short_of_steps`` (site-days with too few steps), ``lacking`` (days
        for which the source has too few steps or none), ``screening`` (of the whole grids that were read).
    list of Path
        The files that gave a value.

    Raises
    ------
    DatasetError
        If the files cannot be read or lack a variable; source, variable and days are named.
    """
    labels: dict[str, list[NDArray[np.datetime64]]] = {}

    def keep(ds: xr.Dataset) -> xr.Dataset:
        for name in ds.data_vars:
            labels.setdefault(str(name), []).append(ds[v.TIME].values)
        return to_sites(ds, spots.lat, spots.lon, method=source.settings.method, site=spots.site)

    days = pd.date_range(run.start, run.end, freq="D", unit="ns", name=v.TIME)
    try:
        found = source.reader(x for x, _ in terms).open(source.root, run, each=keep)
    except NothingThereError:
        return _nothing(spots, days, terms)
    except DatasetError as error:
        raise DatasetError(f"{source.entry.name}, {run.start} to {run.end}: {error}") from error
    if absent := sorted({x for x, _ in terms if x not in found}):
        raise DatasetError(
            f"{source.entry.name}, {run.start} to {run.end}: no {', '.join(absent)} in {source.root}; "
            f"the files give {', '.join(map(str, found.data_vars))}."
        )
    inputs = [Path(p) for p in found.attrs["inputs"]]
    step = float(found.attrs["time_step"])
    screening = {x: json.loads(found[x].attrs.pop("screening")) for x in dict.fromkeys(x for x, _ in terms)}
    wanted = xr.Dataset({f"{x}_{s}": found[x] for x, s in terms}, attrs={"time_step": step})
    if step <= _DAY:
        how = {f"{x}_{s}": s for x, s in terms}
        daily = to_daily(wanted, how=how, minimum=source.settings.minimum).reindex({v.TIME: days})
    else:
        daily = wanted
    account: Account = {}
    for x, s in terms:
        name = f"{x}_{s}"
        daily[name].attrs |= {k: found[x].attrs[k] for k in ("units", "long_name", "source", "license")}
        account[name] = {
            "present": int(daily[name].notnull().sum()),
            "short_of_steps": int(daily[name].attrs.pop("days_short_of_steps", 0)),
            "lacking": _lacking(labels[x], days, step, source.settings.minimum),
            "screening": screening[x],
        }
    account |= {note: found.attrs[note] for note in _NOTES if note in found.attrs}
    out = daily.transpose(v.SITE, v.TIME).drop_attrs(deep=False).reset_coords(drop=True)
    out[DISTANCE] = (v.SITE, np.asarray(found[DISTANCE].values, np.float32))
    return out, account, inputs


def sample_static(
    source: Source, spots: Spots, variables: Iterable[str]
) -> tuple[xr.Dataset, Account, list[Path]]:
    """Return a source without time at the sites, with ``distance_km`` (site), what was screened, and its files.

    Raises
    ------
    DatasetError
        As :func:`sample_days`.
    """
    wanted = list(dict.fromkeys(variables))
    try:
        found = source.reader(wanted).open(
            source.root,
            each=lambda ds: to_sites(
                ds, spots.lat, spots.lon, method=source.settings.method, site=spots.site
            ),
        )
    except DatasetError as error:
        raise DatasetError(f"{source.entry.name}: {error}") from error
    if absent := [x for x in wanted if x not in found]:
        raise DatasetError(
            f"{source.entry.name}: no {', '.join(absent)} in {source.root}; "
            f"the files give {', '.join(map(str, found.data_vars))}."
        )
    inputs = [Path(p) for p in found.attrs["inputs"]]
    account: Account = {
        x: {
            "present": int(found[x].notnull().sum()),
            "screening": json.loads(found[x].attrs.pop("screening")),
        }
        for x in wanted
    }
    out = found[wanted].drop_attrs(deep=False).reset_coords(drop=True)
    out[DISTANCE] = (v.SITE, np.asarray(found[DISTANCE].values, np.float32))
    return out, account, inputs


def _lacking(
    labels: list[NDArray[np.datetime64]], days: pd.DatetimeIndex, step: float, minimum: float
) -> list[str]:
    """Return the days for which the source has fewer steps than a day needs, whatever their values."""
    if step > _DAY:
        return []
    needed = int(np.ceil(minimum * round(_DAY / step) - 1e-9))
    there = pd.DatetimeIndex(np.unique(np.concatenate(labels))).normalize().value_counts()
    steps = there.reindex(days, fill_value=0)
    return [str(d.date()) for d in days[(steps < needed).to_numpy()]]


def _nothing(spots: Spots, days: pd.DatetimeIndex, terms: Terms) -> tuple[xr.Dataset, Account, list[Path]]:
    empty = np.full((len(spots.site), len(days)), np.nan, np.float32)
    out = xr.Dataset(
        {f"{x}_{s}": ((v.SITE, v.TIME), empty) for x, s in terms}, coords={v.SITE: spots.site, v.TIME: days}
    )
    every = [str(d.date()) for d in days]
    account: Account = {
        f"{x}_{s}": {"present": 0, "short_of_steps": 0, "lacking": every, "screening": {}} for x, s in terms
    }
    return out, account, []
