"""MODIS albedo, land surface temperature and NDVI from netCDF and HDF5; HDF4-EOS must be converted first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.catalog import SourceEntry, source_entry
from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.readers.granules import Granule, find_granules, open_granule
from gsm3core.readers.grid_axes import decoded_times, spatial_axes
from gsm3core.readers.gridded import RawGranule, Transform, read_grid, select_variables

_HDF4 = (
    "which need the HDF4 library and are not supported. For tiles (MCD43A3, MYD11A1) order netCDF-4 in projection "
    "Geographic from AppEEARS (https://appeears.earthdatacloud.nasa.gov); for MOD13C2 run h4toh5 on each file (HDF Group), "
    "or gdal_translate -of netCDF."
)
_ALBEDO_QUALITY = "BRDF_Albedo_Band_Mandatory_Quality_shortwave"
_CMG_GROUP = "MOD_Grid_monthly_CMG_VI/Data Fields"
_RELIABILITY = ("CMG 0.05 Deg Monthly pixel reliability", "CMG_0_05_Deg_Monthly_pixel_reliability")


class ModisAlbedoReader:
    """Reads black-sky and white-sky shortwave albedo (MCD43A3, doi:10.5067/MODIS/MCD43A3.061) from AppEEARS netCDF.

    Parameters
    ----------
    max_quality
        Maximum mandatory quality: 0 full inversions only, 1 also magnitude inversions.
    """

    def __init__(self, max_quality: int = 1) -> None:
        self.max_quality = max_quality

    def open(
        self, root: Path, period: Period | None = None, *, transform: Transform | None = None
    ) -> xr.Dataset:
        """Return ``(time, lat, lon)``; see :class:`gsm3core.readers.gridded.GridReader`."""

        def masks(ds: xr.Dataset) -> Mapping[str, Mapping[str, xr.DataArray]]:
            bad = {"low_quality": ~(ds[_ALBEDO_QUALITY] <= self.max_quality)} if _ALBEDO_QUALITY in ds else {}
            return {"Albedo_BSA_shortwave": bad, "Albedo_WSA_shortwave": bad}

        return _open_appeears("mcd43a3", root, period, transform, masks)


class ModisLstReader:
    """Reads land surface temperature by day and night (MYD11A1, doi:10.5067/MODIS/MYD11A1.061) from AppEEARS netCDF.

    Parameters
    ----------
    max_error
        Maximum class of the mean error (bits 6-7 of the quality flag): 0, 1, 2 for up to 1, 2, 3 K; 3 for all.
    """

    def __init__(self, max_error: int = 2) -> None:
        self.max_error = max_error

    def open(
        self, root: Path, period: Period | None = None, *, transform: Transform | None = None
    ) -> xr.Dataset:
        """Return ``(time, lat, lon)``; see :class:`gsm3core.readers.gridded.GridReader`."""

        def masks(ds: xr.Dataset) -> Mapping[str, Mapping[str, xr.DataArray]]:
            flags = {}
            for when in ("Day", "Night"):
                if f"QC_{when}" in ds:
                    bits = ds[f"QC_{when}"].fillna(255).astype(np.uint8)
                    flags[f"LST_{when}_1km"] = {
                        "not_produced": (bits & 3) > 1,
                        "large_error": (bits >> 6) > self.max_error,
                    }
            return flags

        return _open_appeears("myd11a1", root, period, transform, masks)


class ModisNdviReader:
    """Reads monthly NDVI at 0.05 degree (MOD13C2, doi:10.5067/MODIS/MOD13C2.061) from HDF5 or netCDF conversions.

    Parameters
    ----------
    max_reliability
        Maximum pixel reliability: 0 good, 1 marginal, 2 snow, 3 cloud, 4 estimated.
    """

    def __init__(self, max_reliability: int = 1) -> None:
        self.max_reliability = max_reliability

    def open(
        self, root: Path, period: Period | None = None, *, transform: Transform | None = None
    ) -> xr.Dataset:
        """Return ``ndvi`` ``(time, lat, lon)``, labelled by the first day of the month."""
        entry = source_entry("mod13c2")
        raw_granules = (self._open_raw(g) for g in _granules(entry, root, period))
        return read_grid(
            entry,
            raw_granules,
            select_variables(entry, None),
            period=period,
            step=pd.Timedelta("30D"),
            transform=transform,
        )

    @contextmanager
    def _open_raw(self, granule: Granule) -> Iterator[RawGranule]:
        path, group = granule.path, _CMG_GROUP if granule.path.suffix == ".h5" else None
        # decode=False: the file's scale_factor of 10000 divides, against the CF convention that xarray follows.
        with open_granule(path, "MOD13C2 vegetation index", group=group, decode=False) as ds:
            known = source_entry("mod13c2").variable("ndvi").theirs
            name = next((n for n in known if n in ds.data_vars), None)
            if name is None:
                raise DatasetError(
                    f"{path} has no {' or '.join(map(repr, known))}; it has {', '.join(map(str, ds.data_vars))}."
                )
            array = ds[name]
            rows, columns = array.shape
            if columns != 2 * rows:
                raise DatasetError(
                    f"{path}: {name!r} has shape {array.shape}; expected a global map, 3600 x 7200."
                )
            axes = dict(zip(array.dims, (v.LAT, v.LON), strict=True))
            raw = (
                xr.Dataset({name: array, **{n: ds[n] for n in _RELIABILITY if n in ds}})
                .reset_coords(drop=True)
                .rename(axes)
            )
            cell = 180.0 / rows
            raw = raw.assign_coords({
                v.LAT: 90 - (np.arange(rows) + 0.5) * cell,
                v.LON: -180 + (np.arange(columns) + 0.5) * cell,
            })  # fmt: skip
            raw[name].attrs["units"] = ""
            flag = next((raw[n] for n in _RELIABILITY if n in raw), None)
            masks = {} if flag is None else {"unreliable": (flag < 0) | (flag > self.max_reliability)}
            yield RawGranule(path=path, raw=raw.expand_dims({v.TIME: [granule.stamp]}), masks={name: masks})


def _granules(entry: SourceEntry, root: Path, period: Period | None) -> list[Granule]:
    """Find the files; raise with advice if there are only the producer's HDF4-EOS files."""
    root = Path(root)
    if root.is_dir():
        short = entry.example.split(".")[0]
        hdf4 = sorted(p.name for p in root.rglob(f"{short}.*.hdf"))
        if hdf4 and not any(p for p in root.rglob(f"{short}*") if p.suffix in (".nc", ".nc4", ".h5")):
            raise DatasetError(f"{root} has {len(hdf4)} HDF4-EOS files ({hdf4[0]}, ...), {_HDF4}")
    elif root.suffix == ".hdf":
        raise DatasetError(f"{root} is one of the HDF4-EOS files, {_HDF4}")
    return find_granules(entry, root, period)


def _open_appeears(
    name: str, root: Path, period: Period | None, transform: Transform | None, masks: object
) -> xr.Dataset:
    entry = source_entry(name)

    @contextmanager
    def open_raw(granule: Granule) -> Iterator[RawGranule]:
        with open_granule(granule.path, entry.title) as opened:
            ds = spatial_axes(opened, granule.path)
            ds = ds.assign_coords({v.TIME: decoded_times(ds, granule.path)})
            data = ds[[n for n in ds.data_vars if set(ds[n].dims) == {v.TIME, v.LAT, v.LON}]]
            data = data.transpose(v.TIME, v.LAT, v.LON)
            yield RawGranule(path=granule.path, raw=data, masks=masks(data))  # type: ignore[operator]

    raw_granules = (open_raw(g) for g in _granules(entry, root, period))
    return read_grid(
        entry,
        raw_granules,
        select_variables(entry, None),
        period=period,
        step=pd.Timedelta("1D"),
        transform=transform,
        allow_missing=True,
    )
