"""Hourly ERA5 and ERA5-Land at points: the JSON of Open-Meteo's archive service."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.catalog import source_entry
from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.readers.point_files import Cell, check_longitudes, files_of_points, load_json, numbers
from gsm3core.readers.points import Points, RawSeries, join_series

CELLS = {"open-meteo-era5": 0.25, "open-meteo-era5-land": 0.1}
"""Degrees between the cell centres of each source; centres are multiples of it."""
MODELS = {"open-meteo-era5": "era5", "open-meteo-era5-land": "era5_land"}
"""Value of the request's key ``models`` of each source."""
WHAT = "Open-Meteo's archive service"


class OpenMeteoEra5Reader:
    """Reads hourly ERA5 of Open-Meteo's archive.

    Notes
    -----
    Format: https://open-meteo.com/en/docs/historical-weather-api. Labels are hours of GMT; precipitation and radiation are
    of the hour before the label.
    """

    source: ClassVar[str] = "open-meteo-era5"

    def files(
        self, root: Path, points: Points, period: Period | None = None, variables: Iterable[str] | None = None
    ) -> list[Path]:
        """Return the files that would be read; see :class:`gsm3core.readers.points.PointReader`."""
        cells = open_meteo_cells(self.source, points)
        return [f.path for f, _ in files_of_points(source_entry(self.source), root, cells, period)]

    def open(
        self, root: Path, points: Points, period: Period | None = None, variables: Iterable[str] | None = None
    ) -> xr.Dataset:
        """Return ``(time, site)``; see :class:`gsm3core.readers.points.PointReader`.

        Raises
        ------
        DatasetError
            Also if hours are not of GMT, or values are of another cell.
        """
        entry = source_entry(self.source)
        found = files_of_points(entry, root, open_meteo_cells(self.source, points), period)

        def series() -> Iterator[RawSeries]:
            for file, sites in found:
                raw = read_response(file.path)
                centre = check_cell(self.source, file.path, raw, file.cell)
                yield RawSeries(path=file.path, raw=raw, sites=sites, cell=centre)

        return join_series(
            entry, series(), variables, points=points, period=period, step=pd.Timedelta(hours=1),
            allow_missing=True,
        )  # fmt: skip


class OpenMeteoEra5LandReader(OpenMeteoEra5Reader):
    """Reads hourly ERA5-Land of Open-Meteo's archive; see :class:`OpenMeteoEra5Reader`."""

    source: ClassVar[str] = "open-meteo-era5-land"


def open_meteo_cells(source: str, points: Points) -> list[Cell]:
    """Return latitude and longitude of the centre of the cell that contains each point, degrees."""
    size = CELLS[source]
    lat = np.round(np.floor(np.asarray(points.lat, float) / size + 0.5) * size, 5)
    lon = np.round(np.floor(check_longitudes(points) / size + 0.5) * size, 5)
    lon = np.where(lon >= 180, lon - 360, lon)
    return list(zip(lat.tolist(), lon.tolist(), strict=True))


def read_response(path: Path, expected: Sequence[str] = ()) -> xr.Dataset:
    """Return a response of the archive service: variables ``(time)`` with their stated units, null values NaN.

    Parameters
    ----------
    expected
        Variables that it must have.

    Returns
    -------
    xarray.Dataset
        With the attributes ``latitude`` and ``longitude`` of the service's cell.

    Raises
    ------
    DatasetError
        If the file is an error message, its hours are not of GMT, or a variable or its units are missing.
    """
    content = load_json(path, WHAT)
    again = "" if path.suffix == ".part" else " Delete the file and rerun the command without --offline."
    table = content.get("hourly")
    if not isinstance(table, dict) or "time" not in table:
        raise DatasetError(
            f"{path} has no hourly values; {WHAT} says: {error_message(content) or 'nothing'}.{again}"
        )
    offset = content.get("utc_offset_seconds")
    if offset != 0:
        raise DatasetError(f"{path}: the hours are {offset} s from GMT; expected 0 s.{again}")
    if absent := [x for x in expected if x not in table]:
        raise DatasetError(f"{path}: {WHAT} returned no {', '.join(absent)}.")
    stated = content.get("hourly_units") or {}
    arrays, name = {}, "time"
    try:
        labels = pd.DatetimeIndex(pd.to_datetime(list(table["time"]), format="ISO8601")).to_numpy()
        for name, values in table.items():
            if name != "time":
                units = str(stated.get(name, ""))
                arrays[name] = xr.DataArray(
                    numbers(values), dims=v.TIME, coords={v.TIME: labels}, attrs={"units": units}
                )
        place = {k: float(content[k]) for k in ("latitude", "longitude")}
    except (ValueError, TypeError, KeyError) as error:
        raise DatasetError(f"{path}: {name!r} is not an hourly series of {WHAT}: {error}.{again}") from error
    return xr.Dataset(arrays, attrs=place)


def check_cell(source: str, path: Path, raw: xr.Dataset, cell: Cell) -> Cell:
    """Return the centre of the cell that a response states.

    Raises
    ------
    DatasetError
        If it is not the requested cell: the values are of another model or grid.
    """
    lat, lon = raw.attrs["latitude"], raw.attrs["longitude"]
    far = max(abs(lat - cell[0]), abs((lon - cell[1] + 180) % 360 - 180))
    if far > CELLS[source] / 2:
        raise DatasetError(
            f"{path}: the values are of the cell at {lat:g}, {lon:g}; expected that at {cell[0]:g}, {cell[1]:g} of the "
            f"{CELLS[source]:g} degree grid of {source}."
        )
    return lat, lon


def error_message(content: Any) -> str:
    """Return the service's explanation of a refused request (``reason``)."""
    return str(content.get("reason") or "")[:500] if isinstance(content, dict) else ""
