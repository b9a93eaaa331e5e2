"""Gridded inputs in the layouts of producers and distributors, written by code: a function per file, right values known.

Names and layouts: CDS files since 2024 (valid_time, number, expver); GES DISC's names of IMERG and GLDAS; netCDF of GDAL and
rioxarray; GeoTIFF of GDAL with a band scale (https://github.com/rasterio/rasterio/issues/2219); HEGOUT files of NSIDC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

DAYS = pd.date_range("2024-06-01", "2024-06-03")
SITE = (50.25, 9.75)
LAT = np.array([50.5, 50.25, 50.0])
LON = np.array([9.5, 9.75, 10.0])
_EPOCH = pd.Timestamp("1970-01-01")
_UNITS = {"t2m": "K", "tp": "m", "ssrd": "J m**-2"}


def write_places(work: Path, sites: Mapping[str, tuple[float, float]] | None = None) -> None:
    """Write places.csv: by default one site, ``a``, in the grid of :data:`LAT` and :data:`LON`."""
    rows = [f"{name},{lat},{lon}" for name, (lat, lon) in (sites or {"a": SITE}).items()]
    (work / "places.csv").write_text("site,lat,lon\n" + "\n".join(rows) + "\n")


def hours(first: str, last: str) -> pd.DatetimeIndex:
    """Return every hour from the first to 00 h after the last day."""
    return pd.date_range(first, pd.Timestamp(last) + pd.Timedelta(days=1), freq="h")


def seconds(times: pd.DatetimeIndex) -> NDArray[np.int64]:
    """Return seconds since 1970."""
    return np.asarray((times - _EPOCH) // pd.Timedelta("1s"), np.int64)


def era5(
    path: Path,
    values: Mapping[str, ArrayLike],
    times: pd.DatetimeIndex,
    lat: Sequence[float] | NDArray[np.floating] = LAT,
    lon: Sequence[float] | NDArray[np.floating] = LON,
    time: str = "valid_time",
) -> xr.Dataset:
    """Write a file in the layout of the CDS since 2024 and return its contents.

    Parameters
    ----------
    values
        By name of the CDS: ``(time)``, the same in all cells, or ``(time, latitude, longitude)``; in its units.
    """
    shape = (len(times), len(lat), len(lon))
    data = {}
    for name, array in values.items():
        array = np.asarray(array, np.float32)
        full = np.broadcast_to(array if array.ndim == 3 else array.reshape(-1, 1, 1), shape)
        data[name] = ((time, "latitude", "longitude"), full, {"units": _UNITS[name], "GRIB_paramId": 0})
    ds = xr.Dataset(
        data,
        coords={
            time: (time, seconds(times), {"units": "seconds since 1970-01-01", "calendar": "proleptic_gregorian"}),
            "latitude": ("latitude", np.asarray(lat, float), {"units": "degrees_north"}),
            "longitude": ("longitude", np.asarray(lon, float), {"units": "degrees_east"}),
            "number": ((), 0), "expver": (time, np.full(len(times), "0001", "U4")),
        },
        attrs={"GRIB_centre": "ecmf", "Conventions": "CF-1.7",
               "institution": "European Centre for Medium-Range Weather Forecasts"},
    )  # fmt: skip
    return save(ds, path)


def save(ds: xr.Dataset, path: Path) -> xr.Dataset:
    """Write netCDF-4 without fill values that the dataset does not state, and return the dataset."""
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = {str(n): {"_FillValue": None} for n in ds.variables if "_FillValue" not in ds[n].attrs}
    ds.to_netcdf(path, engine="h5netcdf", encoding=plain)
    return ds


def steady(times: pd.DatetimeIndex, first: float = 290.0) -> NDArray[np.float64]:
    """Return a value for every time: ``first`` on the first day, one more on each next day."""
    return first + np.asarray((times.normalize() - times[0].normalize()).days, float)


def imerg_day(
    folder: Path,
    day: str,
    rain: float,
    *,
    run: str = "",
    tail: str = ".nc4",
    lat: NDArray[np.floating] | None = None,
    lon: NDArray[np.floating] | None = None,
) -> None:
    """Write a daily file of IMERG V07: mm/day, dimensions (time, lon, lat). ``run``: ``-L`` is Late, ``-E`` Early."""
    lat = np.arange(49.95, 50.6, 0.1) if lat is None else lat
    lon = np.arange(9.45, 10.1, 0.1) if lon is None else lon
    number = (pd.Timestamp(day) - _EPOCH).days
    stamp = day.replace("-", "")
    save(
        xr.Dataset(
            {"precipitation": (("time", "lon", "lat"), np.full((1, len(lon), len(lat)), rain, np.float32),
                               {"units": "mm/day", "_FillValue": np.float32(-9999.9)})},
            coords={"time": ("time", [number], {"units": "days since 1970-01-01 00:00:00Z", "calendar": "standard"}),
                    "lat": ("lat", lat.astype(np.float32), {"units": "degrees_north"}),
                    "lon": ("lon", lon.astype(np.float32), {"units": "degrees_east"})},
        ),
        folder / f"3B-DAY{run}.MS.MRG.3IMERG.{stamp}-S000000-E235959.V07B{tail}",
    )  # fmt: skip


def imerg_half_hours(
    folder: Path, day: str, rate: float, tail: str = "V07B.HDF5.dap.nc4", name: str = "precipitation"
) -> None:
    """Write the 48 files of a day as OPeNDAP delivers them: mm/hr at the root, no group Grid."""
    lat, lon = np.arange(50.05, 50.5, 0.1), np.arange(9.55, 10.0, 0.1)
    for k in range(48):
        start = pd.Timestamp(day) + pd.Timedelta(minutes=30 * k)
        end = start + pd.Timedelta(seconds=1799)
        since = int((start - pd.Timestamp("1980-01-06")) / pd.Timedelta("1s"))
        save(
            xr.Dataset(
                {name: (("time", "lon", "lat"), np.full((1, 5, 5), rate, np.float32),
                                   {"units": "mm/hr", "_FillValue": np.float32(-9999.9)})},
                coords={"time": ("time", [since], {"units": "seconds since 1980-01-06 00:00:00 UTC", "calendar": "julian"}),
                        "lat": ("lat", lat.astype(np.float32), {"units": "degrees_north"}),
                        "lon": ("lon", lon.astype(np.float32), {"units": "degrees_east"})},
            ),
            folder / f"3B-HHR.MS.MRG.3IMERG.{start:%Y%m%d}-S{start:%H%M%S}-E{end:%H%M%S}.{30 * k:04d}.{tail}",
        )  # fmt: skip


def gldas_day(
    folder: Path,
    day: str,
    water: float,
    *,
    name: str = "NOAH025_3H",
    tail: str = ".021.nc4",
    cell: float = 0.25,
) -> None:
    """Write the eight files of a day: water of the top 100 mm in kg m-2, so that soil moisture is a hundredth."""
    lat = np.arange(48 + cell / 2, 52, cell)
    lon = np.arange(8 + cell / 2, 12, cell)
    for t in pd.date_range(day, periods=8, freq="3h"):
        minutes = (t - pd.Timestamp("2000-01-01T03")) / pd.Timedelta("1min")
        save(
            xr.Dataset(
                {"SoilMoi0_10cm_inst": (("time", "lat", "lon"), np.full((1, len(lat), len(lon)), water, np.float32),
                                        {"units": "kg m-2", "_FillValue": np.float32(-9999)})},
                coords={"time": ("time", [minutes], {"units": "minutes since 2000-01-01 03:00:00"}),
                        "lat": ("lat", lat.astype(np.float32), {"units": "degrees_north"}),
                        "lon": ("lon", lon.astype(np.float32), {"units": "degrees_east"})},
                attrs={"title": "GLDAS2.1 LIS land surface model output", "DX": cell, "DY": cell},
            ),
            folder / f"GLDAS_{name}.A{t:%Y%m%d.%H%M}{tail}",
        )  # fmt: skip


def smap_day(path: Path, values: NDArray[np.floating], *, corner: tuple[int, int] | None = None) -> None:
    """Write a morning map of SMAP L3, all retrievals recommended.

    Parameters
    ----------
    values
        ``(row, column)`` m3 m-3: the whole globe, or a part of it whose first row and column are ``corner``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        group = file.create_group("Soil_Moisture_Retrieval_Data_AM")
        options = {"compression": "gzip", "compression_opts": 1}
        soil = group.create_dataset("soil_moisture", data=values.astype(np.float32), **options)
        soil.attrs.update({"_FillValue": np.float32(-9999), "units": np.bytes_("cm**3/cm**3")})
        flag = group.create_dataset("retrieval_qual_flag", data=np.zeros(values.shape, np.uint16), **options)
        flag.attrs["_FillValue"] = np.uint16(65534)
        if corner is not None:
            rows, columns = np.indices(values.shape)
            for name, index in (
                ("EASE_row_index", rows + corner[0]),
                ("EASE_column_index", columns + corner[1]),
            ):
                group.create_dataset(name, data=index.astype(np.uint16)).attrs["_FillValue"] = np.uint16(
                    65534
                )


def ndvi(
    path: Path,
    values: NDArray[np.floating],
    lat: NDArray[np.floating],
    lon: NDArray[np.floating],
    *,
    axes: tuple[str, str] = ("lat", "lon"),
    name: str = "CMG_0_05_Deg_Monthly_NDVI",
    attrs: Mapping[str, object] | None = None,
    stored: str = "int16",
) -> None:
    """Write monthly NDVI as GDAL (axes lat, lon) or rioxarray (y, x) converts it; ``values`` are as stored."""
    y, x = axes
    save(
        xr.Dataset(
            {name: ((y, x), values.astype(stored), {"long_name": "CMG 0.05 Deg Monthly NDVI"} | dict(attrs or {}))},
            coords={y: (y, lat, {"units": "degrees_north"}), x: (x, lon, {"units": "degrees_east"})},
            attrs={"Conventions": "CF-1.5"},
        ),
        path,
    )  # fmt: skip


def geotiff(
    path: Path,
    values: NDArray[np.generic],
    west: float,
    north: float,
    cell: float,
    *,
    scale: float = 1.0,
    south_up: bool = False,
) -> None:
    """Write a one-band GeoTIFF in longitude and latitude with rasterio; ``values`` are as stored, north first.

    Parameters
    ----------
    scale
        Scale of the band, in GDAL's metadata.
    south_up
        Store the southern row first, with a transform that says so.
    """
    import rasterio
    from rasterio.transform import Affine

    rows, columns = values.shape
    transform = Affine(cell, 0, west, 0, -cell, north)
    if south_up:
        values, transform = values[::-1], Affine(cell, 0, west, 0, cell, north - rows * cell)
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver="GTiff", height=rows, width=columns, count=1, dtype=values.dtype, crs="EPSG:4326",
        transform=transform, nodata=-9999,
    ) as file:  # fmt: skip
        file.write(values, 1)
        file.scales = (scale,)
