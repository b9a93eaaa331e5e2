"""Sample a gridded source at the sites: read, collocate, average to days, and count every value lost."""

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
from gsm3core.assembly.work_cache import Metadata
from gsm3core.catalog import SourceEntry
from gsm3core.config import Period
from gsm3core.errors import ConfigError, DatasetError
from gsm3core.readers import grid_reader_options, make_grid_reader
from gsm3core.readers.granules import NoDataInPeriodError
from gsm3core.readers.gridded import GridReader

_DAY = 86_400.0  # s
_NOTES = ("preliminary_steps", "product_version")

DailyVariables = Sequence[tuple[str, Statistic]]


@dataclass(frozen=True, slots=True)
class SamplePoints:
    """Names and coordinates (degrees) of the sites to sample at."""

    site: NDArray[np.str_]
    lat: NDArray[np.float64]
    lon: NDArray[np.float64]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of names and coordinates."""
        text = json.dumps([a.tolist() for a in (self.site, self.lat, self.lon)])
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Source:
    """A gridded source, the folder of its files, and how they are read.

    Parameters
    ----------
    resolution
        As for :func:`gsm3core.assembly.collocate.to_sites`.
    """

    entry: SourceEntry
    root: Path
    settings: SourceSettings
    resolution: float | None = None

    def at(self, ds: xr.Dataset, points: SamplePoints) -> xr.Dataset:
        """Return the values of a block of the source at the sites."""
        return to_sites(
            ds,
            points.lat,
            points.lon,
            method=self.settings.method,
            site=points.site,
            resolution=self.resolution,
        )

    def reader(self, variables: Iterable[str]) -> GridReader:
        """Return a reader of these variables; of all, where the reader has no choice."""
        options: dict[str, Any] = dict(self.settings.options)
        if "variables" in options:
            raise ConfigError(
                f"{self.entry.name}: invalid option 'variables'; name them in forcings, attributes or products."
            )
        if "variables" in grid_reader_options(self.entry.reader):
            options["variables"] = sorted(set(variables))
        return make_grid_reader(self.entry.reader, **options)


def sample_days(
    source: Source, points: SamplePoints, period: Period, variables: DailyVariables
) -> tuple[xr.Dataset, Metadata, list[Path]]:
    """Return the daily values of a source at the sites, their counts, and the files with values.

    Parameters
    ----------
    period
        UTC days. All are in the result; days without data are missing.
    variables
        Variable and daily statistic.

    Returns
    -------
    xarray.Dataset
        ``VARIABLE_STATISTIC`` (site, time), and ``distance_km`` (site) to the centre of the nearest cell. A monthly
        source keeps its months.
    dict
        By ``VARIABLE_STATISTIC``: ``present``, ``short_of_steps`` (site-days with too few steps), ``lacking`` (days
        for which the source has too few steps or none), ``screening`` (of the whole grids that were read).
    list of Path
        The files with values.

    Raises
    ------
    DatasetError
        If the files cannot be read or lack a variable; source, variable and days are named.
    """
    labels: dict[str, list[NDArray[np.datetime64]]] = {}

    def at_sites(ds: xr.Dataset) -> xr.Dataset:
        for name in ds.data_vars:
            labels.setdefault(str(name), []).append(ds[v.TIME].values)
        return source.at(ds, points)

    days = pd.date_range(period.start, period.end, freq="D", unit="ns", name=v.TIME)
    try:
        found = source.reader(x for x, _ in variables).open(source.root, period, transform=at_sites)
    except NoDataInPeriodError:
        return _empty(points, days, variables)
    except DatasetError as error:
        raise DatasetError(f"{source.entry.name}, {period.start} to {period.end}: {error}") from error
    if absent := sorted({x for x, _ in variables if x not in found}):
        raise DatasetError(
            f"{source.entry.name}, {period.start} to {period.end}: no {', '.join(absent)} in {source.root}; "
            f"the files have {', '.join(map(str, found.data_vars))}."
        )
    inputs = [Path(p) for p in found.attrs["inputs"]]
    step = float(found.attrs["time_step"])
    names = dict.fromkeys(x for x, _ in variables)
    screening = {x: json.loads(found[x].attrs.pop("screening")) for x in names}
    steps = xr.Dataset({f"{x}_{s}": found[x] for x, s in variables}, attrs={"time_step": step})
    if step <= _DAY:
        how = {f"{x}_{s}": s for x, s in variables}
        daily = to_daily(steps, how=how, minimum=source.settings.minimum).reindex({v.TIME: days})
    else:
        daily = steps
    counts: Metadata = {}
    for x, s in variables:
        name = f"{x}_{s}"
        daily[name].attrs |= {k: found[x].attrs[k] for k in ("units", "long_name", "source", "license")}
        counts[name] = {
            "present": int(daily[name].notnull().sum()),
            "short_of_steps": int(daily[name].attrs.pop("days_short_of_steps", 0)),
            "lacking": _missing_days(labels[x], days, step, source.settings.minimum),
            "screening": screening[x],
        }
    counts |= {note: found.attrs[note] for note in _NOTES if note in found.attrs}
    out = daily.transpose(v.SITE, v.TIME).drop_attrs(deep=False).reset_coords(drop=True)
    out[DISTANCE] = (v.SITE, np.asarray(found[DISTANCE].values, np.float32))
    return out, counts, inputs


def sample_static(
    source: Source, points: SamplePoints, variables: Iterable[str]
) -> tuple[xr.Dataset, Metadata, list[Path]]:
    """Return a source without time at the sites with ``distance_km`` (site), its counts, and its files.

    Raises
    ------
    DatasetError
        As :func:`sample_days`.
    """
    names = list(dict.fromkeys(variables))
    try:
        found = source.reader(names).open(
            source.root,
            transform=lambda ds: source.at(ds, points),
        )
    except DatasetError as error:
        raise DatasetError(f"{source.entry.name}: {error}") from error
    if absent := [x for x in names if x not in found]:
        raise DatasetError(
            f"{source.entry.name}: no {', '.join(absent)} in {source.root}; "
            f"the files have {', '.join(map(str, found.data_vars))}."
        )
    inputs = [Path(p) for p in found.attrs["inputs"]]
    counts: Metadata = {
        x: {
            "present": int(found[x].notnull().sum()),
            "screening": json.loads(found[x].attrs.pop("screening")),
        }
        for x in names
    }
    out = found[names].drop_attrs(deep=False).reset_coords(drop=True)
    out[DISTANCE] = (v.SITE, np.asarray(found[DISTANCE].values, np.float32))
    return out, counts, inputs


def _missing_days(
    labels: list[NDArray[np.datetime64]], days: pd.DatetimeIndex, step: float, minimum: float
) -> list[str]:
    """Return the days for which the source has too few steps, whatever their values."""
    if step > _DAY:
        return []
    needed = int(np.ceil(minimum * round(_DAY / step) - 1e-9))
    found = pd.DatetimeIndex(np.unique(np.concatenate(labels))).normalize().value_counts()
    steps = found.reindex(days, fill_value=0)
    return [str(d.date()) for d in days[(steps < needed).to_numpy()]]


def _empty(
    points: SamplePoints, days: pd.DatetimeIndex, variables: DailyVariables
) -> tuple[xr.Dataset, Metadata, list[Path]]:
    nan = np.full((len(points.site), len(days)), np.nan, np.float32)
    out = xr.Dataset(
        {f"{x}_{s}": ((v.SITE, v.TIME), nan) for x, s in variables},
        coords={v.SITE: points.site, v.TIME: days},
    )
    missing = [str(d.date()) for d in days]
    counts: Metadata = {
        f"{x}_{s}": {"present": 0, "short_of_steps": 0, "lacking": missing, "screening": {}}
        for x, s in variables
    }
    return out, counts, []
