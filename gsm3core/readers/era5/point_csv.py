"""Point series of ERA5 as CSV, as the CDS delivers its time series, in the form of an open netCDF file."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import xarray as xr

from gsm3core.catalog import SourceEntry
from gsm3core.errors import DatasetError

_TIMES = ("valid_time", "time")
_PLACE = ("latitude", "longitude")
_POINT = "point"


def read_csv(path: Path, entry: SourceEntry) -> xr.Dataset:
    """Return the places of a table as ``(time, point)``; nothing if it is no table of ERA5.

    Parameters
    ----------
    path
        Columns ``valid_time``, ``latitude``, ``longitude`` and variables by their names in the catalogue, in its first units
        (https://cds.climate.copernicus.eu/datasets/reanalysis-era5-single-levels-timeseries).

    Raises
    ------
    DatasetError
        If a number or a time cannot be read, or a place has a time twice.
    """
    try:
        table = pd.read_csv(path)
    except (ValueError, OSError) as error:
        raise DatasetError(f"{path} cannot be read as CSV: {error}.") from error
    units = {t: next(iter(x.units)) for x in entry.variables for t in x.theirs}
    names = [str(c) for c in table.columns if c in units]
    time = next((t for t in _TIMES if t in table.columns), None)
    if time is None or not names or not set(_PLACE) <= set(table.columns):
        return xr.Dataset()
    if bad := [n for n in (*names, *_PLACE) if table[n].dtype.kind not in "fi"]:
        raise DatasetError(f"{path}: column {bad[0]!r} has text {table[bad[0]].iloc[0]!r}; expected numbers.")
    try:
        table[time] = pd.to_datetime(table[time], utc=True).dt.tz_localize(None)
    except (ValueError, TypeError) as error:
        raise DatasetError(
            f"{path}: column {time!r} has {table[time].iloc[0]!r}; expected times, UTC."
        ) from error
    if (twice := table.duplicated([time, *_PLACE])).any():
        row = table[twice].iloc[0]
        raise DatasetError(
            f"{path} has {row[time]} at {row['latitude']}, {row['longitude']} twice; times must not repeat."
        )
    places = table[list(_PLACE)].drop_duplicates().reset_index(drop=True)
    table[_POINT] = places.reset_index().merge(table, on=list(_PLACE), how="right")["index"].to_numpy()
    ds = table.set_index([time, _POINT])[names].to_xarray()
    for name in names:
        ds[name].attrs["units"] = units[name]
    seconds = ds[time].values.astype("M8[s]").astype(int)
    ds = ds.assign_coords({n: (_POINT, places[n].to_numpy(float)) for n in _PLACE})
    return ds.assign_coords({time: (time, seconds, {"units": "seconds since 1970-01-01"})}).drop_vars(_POINT)
