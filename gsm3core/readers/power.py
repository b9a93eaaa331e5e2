"""NASA POWER daily values at points: the JSON of its point service."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.catalog import source_entry
from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.readers.point_files import Cell, check_longitudes, files_of_points, load_json, numbers
from gsm3core.readers.points import Points, RawSeries, join_series

POWER = "power"
_ROWS, _COLUMNS = 0.5, 0.625  # degrees, the grid of MERRA-2
_RADIATION = 1.0  # degrees, the grid of CERES SYN1deg
WHAT = "the NASA POWER daily service"


class PowerReader:
    """Reads daily weather of MERRA-2 and radiation of CERES from NASA POWER.

    Notes
    -----
    Format: https://power.larc.nasa.gov/docs/services/api/temporal/daily/. Values are of the native cell that contains the
    point: 0.5 x 0.625 degrees for weather, 1 x 1 degree for radiation. The distance is to the centre of the former.
    """

    def files(
        self, root: Path, points: Points, period: Period | None = None, variables: Iterable[str] | None = None
    ) -> list[Path]:
        """Return the files that would be read; see :class:`gsm3core.readers.points.PointReader`."""
        return [f.path for f, _ in files_of_points(source_entry(POWER), root, power_cells(points), period)]

    def open(
        self, root: Path, points: Points, period: Period | None = None, variables: Iterable[str] | None = None
    ) -> xr.Dataset:
        """Return ``(time, site)``; see :class:`gsm3core.readers.points.PointReader`.

        Raises
        ------
        DatasetError
            Also if days are not of UTC: the service has local solar time by default.
        """
        entry = source_entry(POWER)
        found = files_of_points(entry, root, power_cells(points), period)
        lat, lon = meteorology_centres(points)

        def series() -> Iterator[RawSeries]:
            for file, sites in found:
                centre = (float(lat[sites[0]]), float(lon[sites[0]]))
                yield RawSeries(path=file.path, raw=read_response(file.path), sites=sites, cell=centre)

        return join_series(
            entry, series(), variables, points=points, period=period, step=pd.Timedelta(days=1),
            allow_missing=True,
        )  # fmt: skip


def meteorology_centres(points: Points) -> tuple[np.ndarray, np.ndarray]:
    """Return latitude and longitude of the centre of the MERRA-2 cell of each point, degrees.

    Centres lie at multiples of 0.5 degrees from 90 S and of 0.625 degrees from 180 W (Gelaro et al. 2017,
    doi:10.1175/JCLI-D-16-0758.1; GMAO Office Note 9).
    """
    rows = np.floor((np.asarray(points.lat, float) + 90) / _ROWS + 0.5)
    columns = np.floor((check_longitudes(points) + 180) / _COLUMNS + 0.5)
    return rows * _ROWS - 90, columns * _COLUMNS - 180


def power_cells(points: Points) -> list[Cell]:
    """Return for each point the latitude and longitude at which to request its values.

    All points in the same MERRA-2 cell and the same CERES cell have the same values. The place is the centre of the
    overlap of both cells, which no rounding moves into a neighbour.
    """
    lat, lon = meteorology_centres(points)
    south = np.clip(np.floor(np.asarray(points.lat, float) / _RADIATION), -90, 89) * _RADIATION
    west = np.floor(check_longitudes(points) / _RADIATION) * _RADIATION
    low = np.maximum(lat - _ROWS / 2, south), np.maximum(lon - _COLUMNS / 2, west)
    high = (
        np.minimum(lat + _ROWS / 2, south + _RADIATION),
        np.minimum(lon + _COLUMNS / 2, west + _RADIATION),
    )
    middle = [np.round((a + b) / 2, 5) for a, b in zip(low, high, strict=True)]
    return list(zip(*(m.tolist() for m in middle), strict=True))


def read_response(path: Path, expected: Sequence[str] = ()) -> xr.Dataset:
    """Return a response of the point service: variables ``(time)`` with their stated units, fill values NaN.

    Parameters
    ----------
    expected
        Parameters that it must have.

    Raises
    ------
    DatasetError
        If the file is an error message, its days are not of UTC, or a parameter or its units are missing.
    """
    content = load_json(path, WHAT)
    again = "" if path.suffix == ".part" else " Delete the file and rerun the command without --offline."
    table = (content.get("properties") or {}).get("parameter")
    if not isinstance(table, dict) or not table:
        raise DatasetError(
            f"{path} has no values; {WHAT} says: {error_message(content) or 'nothing'}.{again}"
        )
    header = content.get("header") or {}
    standard = str(header.get("time_standard", "not stated"))
    if standard.upper() != "UTC":
        raise DatasetError(
            f"{path}: the days are of the time standard {standard!r}; expected UTC. If the service has no UTC days in this "
            f"period, choose other days or another source.{again}"
        )
    if absent := [x for x in expected if x not in table]:
        raise DatasetError(f"{path}: {WHAT} returned no {', '.join(absent)}.")
    fill = header.get("fill_value", -999.0)
    stated = content.get("parameters") or {}
    arrays: dict[str, xr.DataArray] = {}
    keys: list[str] = []
    try:
        for name, days in table.items():
            if list(days) != keys:
                keys = list(days)
                labels = pd.to_datetime(keys, format="%Y%m%d").to_numpy()
            values = numbers(days.values(), float(fill))
            units = str((stated.get(name) or {}).get("units", ""))
            arrays[name] = xr.DataArray(values, dims=v.TIME, coords={v.TIME: labels}, attrs={"units": units})
    except (ValueError, TypeError, AttributeError) as error:
        raise DatasetError(f"{path}: {name!r} is not a daily series of {WHAT}: {error}.") from error
    return xr.Dataset(arrays).sortby(v.TIME)


def error_message(content: Any) -> str:
    """Return the service's explanation of a refused request (``messages``, or ``detail`` of its validation)."""
    if not isinstance(content, dict):
        return ""
    for key in ("messages", "message", "detail", "header"):
        found = content.get(key)
        texts = found if isinstance(found, list) else [found]
        shown = [str(t.get("msg", t)) if isinstance(t, dict) else str(t) for t in texts if t]
        if shown and (key != "header" or isinstance(found, str)):
            return "; ".join(shown)[:500]
    return ""
