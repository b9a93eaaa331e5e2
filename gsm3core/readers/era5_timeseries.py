"""ERA5 at points: hourly series that the Climate Data Store delivers for one cell, netCDF or a zip archive of it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.catalog import source_entry
from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.readers.point_files import Cell, check_longitudes, files_of_points
from gsm3core.readers.points import Points, RawSeries, join_series

ERA5_TIMESERIES = "era5-timeseries"
CELL = 0.25  # degrees between cell centres, which are multiples of it
_TIMES = ("valid_time", "time")
_PLACES = (("latitude", "lat"), ("longitude", "lon"))


class Era5TimeseriesReader:
    """Reads hourly ERA5 of the data set ``reanalysis-era5-single-levels-timeseries``.

    Notes
    -----
    Format: https://confluence.ecmwf.int/pages/viewpage.action?pageId=505390919. The values are those of the grid point
    nearest to the request. Precipitation and radiation are of the hour before the label, as in ERA5.
    """

    def files(
        self, root: Path, points: Points, period: Period | None = None, variables: Iterable[str] | None = None
    ) -> list[Path]:
        """Return the files that would be read; see :class:`gsm3core.readers.points.PointReader`."""
        found = files_of_points(source_entry(ERA5_TIMESERIES), root, era5_cells(points), period)
        return [f.path for f, _ in found]

    def open(
        self, root: Path, points: Points, period: Period | None = None, variables: Iterable[str] | None = None
    ) -> xr.Dataset:
        """Return ``(time, site)``; see :class:`gsm3core.readers.points.PointReader`.

        Raises
        ------
        DatasetError
            Also if the values of a file are of another cell than its name says.
        """
        entry = source_entry(ERA5_TIMESERIES)
        found = files_of_points(entry, root, era5_cells(points), period)

        def series() -> Iterator[RawSeries]:
            for file, sites in found:
                raw = read_series(file.path)
                yield RawSeries(
                    path=file.path, raw=raw, sites=sites, cell=check_place(file.path, raw, file.cell)
                )

        return join_series(
            entry, series(), variables, points=points, period=period, step=pd.Timedelta(hours=1),
            allow_missing=True,
        )  # fmt: skip


def era5_cells(points: Points) -> list[Cell]:
    """Return latitude and longitude of the nearest grid point of ERA5, degrees."""
    lat = np.floor(np.asarray(points.lat, float) / CELL + 0.5) * CELL
    lon = np.floor(check_longitudes(points) / CELL + 0.5) * CELL
    return list(zip(lat.tolist(), np.where(lon >= 180, lon - 360, lon).tolist(), strict=True))


def read_series(path: Path) -> xr.Dataset:
    """Return the variables ``(time)`` of a file with their units, and its ``latitude`` and ``longitude`` as attributes.

    Raises
    ------
    DatasetError
        If the file is damaged, or has other dimensions than time and one place.
    """
    parts = [_squeeze(one, path) for one in _open_members(path)]
    try:
        merged = xr.merge(parts, join="outer", compat="no_conflicts", combine_attrs="drop_conflicts")
    except (ValueError, xr.MergeError) as error:
        raise DatasetError(f"{path}: its parts contradict each other: {error}.") from error
    merged.attrs = {k: parts[0].attrs[k] for k in ("latitude", "longitude")}
    return merged.sortby(v.TIME)


def check_place(path: Path, raw: xr.Dataset, cell: Cell) -> Cell:
    """Return the cell that a file states.

    Raises
    ------
    DatasetError
        If it is not the cell of the request.
    """
    lat, lon = float(raw.attrs["latitude"]), float(raw.attrs["longitude"])
    lon = (lon + 180) % 360 - 180
    if max(abs(lat - cell[0]), abs((lon - cell[1] + 180) % 360 - 180)) > CELL / 2:
        raise DatasetError(
            f"{path}: the values are of the grid point {lat:g}, {lon:g}; expected {cell[0]:g}, {cell[1]:g}. "
            "Delete the file and run the command again."
        )
    return lat, lon


def _open_members(path: Path) -> list[xr.Dataset]:
    try:
        if not zipfile.is_zipfile(path):
            return [_load(path.read_bytes())]
        with zipfile.ZipFile(path) as archive:
            names = sorted(n for n in archive.namelist() if n.endswith(".nc"))
            if not names:
                raise DatasetError(
                    f"{path} has no netCDF file; it has: {', '.join(archive.namelist()[:5]) or 'nothing'}."
                )
            return [_load(archive.read(n)) for n in names]
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DatasetError(
            f"{path} cannot be read as netCDF: {error}. Delete the file and run the command again."
        ) from error


def _load(content: bytes) -> xr.Dataset:
    engine = "scipy" if content[:3] == b"CDF" else "h5netcdf"
    with xr.open_dataset(io.BytesIO(content), engine=engine) as ds:
        return ds.load()


def _squeeze(ds: xr.Dataset, path: Path) -> xr.Dataset:
    """Return the variables along ``time`` alone; other dimensions must have the length one."""
    time = next((n for n in _TIMES if n in ds.dims), "")
    if not time:
        raise DatasetError(
            f"{path} has no dimension {' or '.join(_TIMES)}; it has: {', '.join(map(str, ds.dims)) or 'none'}."
        )
    place = {}
    for names in _PLACES:
        name = next((n for n in names if n in ds.variables and ds[n].size == 1), "")
        if not name:
            raise DatasetError(f"{path} has no single {names[0]}; expected the series of one grid point.")
        place[names[0]] = float(ds[name].values.reshape(-1)[0])
    if long := [f"{n} ({size})" for n, size in ds.sizes.items() if n != time and size != 1]:
        raise DatasetError(
            f"{path} has the dimension {', '.join(long)}; expected the series of one grid point."
        )
    ds = ds.squeeze([n for n in ds.dims if n != time], drop=True)
    ds = ds.reset_coords([n for n in ds.coords if n != time], drop=True)
    out = ds.rename({time: v.TIME}) if time != v.TIME else ds
    return out[
        [n for n in out.data_vars if out[n].dims == (v.TIME,) and out[n].dtype.kind == "f"]
    ].assign_attrs(place)
