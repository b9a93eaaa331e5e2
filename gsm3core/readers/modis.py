"""MODIS albedo, land surface temperature and NDVI from netCDF and HDF5; HDF4-EOS must be converted first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.catalog import SourceEntry, source_entry
from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.readers.geotiff import open_geotiff
from gsm3core.readers.granules import Granule, Roots, find_granules, matching_files, open_granule
from gsm3core.readers.grid_axes import spatial_axes
from gsm3core.readers.gridded import RawGranule, Transform, read_grid, select_variables
from gsm3core.readers.modis_ndvi import CMG_GROUP, NDVI, RELIABILITY, vegetation_maps
from gsm3core.readers.time_axes import check_step, single_time, time_series

Masks = Callable[[xr.Dataset], Mapping[str, Mapping[str, xr.DataArray]]]

_HDF4 = (
    "which need the HDF4 library and are not supported. For tiles (MCD43A3, MYD11A1) order netCDF-4 in projection "
    "Geographic from AppEEARS (https://appeears.earthdatacloud.nasa.gov). For MOD13C2 run h4toh5 FILE.hdf FILE.h5 (HDF Group), "
    'or gdal_translate -of netCDF \'HDF4_EOS:EOS_GRID:"FILE.hdf":MOD_Grid_monthly_CMG_VI:"CMG 0.05 Deg Monthly NDVI"\' '
    "FILE.nc, and keep the producer's name before the suffix."
)
_ALBEDO_QUALITY = "BRDF_Albedo_Band_Mandatory_Quality_shortwave"
_STEP = pd.Timedelta("1D")


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
        self, root: Roots, period: Period | None = None, *, transform: Transform | None = None
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
        self, root: Roots, period: Period | None = None, *, transform: Transform | None = None
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
        self, root: Roots, period: Period | None = None, *, transform: Transform | None = None
    ) -> xr.Dataset:
        """Return ``ndvi`` ``(time, lat, lon)``, labelled by the first day of the month."""
        entry = source_entry("mod13c2")
        notes: list[str] = []
        raw_granules = (self._open_raw(g, entry) for g in _granules(entry, root, period, notes))
        return read_grid(
            entry,
            raw_granules,
            select_variables(entry, None),
            period=period,
            step=pd.Timedelta("30D"),
            transform=transform,
            notes=notes,
        )

    @contextmanager
    def _open_raw(self, granule: Granule, entry: SourceEntry) -> Iterator[RawGranule]:
        path, known = granule.path, entry.variable("ndvi").theirs
        if path.suffix.lower() in (".tif", ".tiff"):
            raster, said = open_geotiff(path, "MOD13C2 vegetation index")
            maps, notes = vegetation_maps(raster.to_dataset(name=NDVI), path)
            raw = single_time(maps, path, granule.stamp).rename({NDVI: known[0]})
            yield RawGranule(path=path, raw=raw, notes=(*said, *notes))
            return
        # decode=False: the file's scale_factor of 10000 divides, against the CF convention that xarray follows.
        with open_granule(
            path, "MOD13C2 vegetation index", group=CMG_GROUP, decode=False, wanted=known, entry=entry
        ) as ds:
            maps, notes = vegetation_maps(ds, path)
            if granule.start is None:
                raw, times = time_series(maps, path)
                check_step(times, pd.Timedelta("30D"), path, entry)
                raw = raw.assign_coords({v.TIME: times.normalize()})
            else:
                raw = single_time(maps, path, granule.stamp)
            flag = raw.get(RELIABILITY)
            masks = {} if flag is None else {"unreliable": (flag < 0) | (flag > self.max_reliability)}
            yield RawGranule(
                path=path, raw=raw.rename({NDVI: known[0]}), masks={known[0]: masks}, notes=notes
            )


def _granules(entry: SourceEntry, root: Roots, period: Period | None, notes: list[str]) -> list[Granule]:
    """Find the files; raise with advice if there are only the producer's HDF4-EOS files."""
    short = entry.example.split(".")[0]
    roots = [Path(root)] if isinstance(root, str | Path) else [Path(p) for p in root]
    for one in roots:
        if one.is_file() and one.suffix.lower() == ".hdf":
            raise DatasetError(f"{one} is one of the HDF4-EOS files, {_HDF4}")
        hdf4 = sorted(p.name for p in one.rglob("*") if p.name.startswith(f"{short}.") and p.suffix == ".hdf")
        if hdf4 and not matching_files(entry, one):
            raise DatasetError(f"{one} has {len(hdf4)} HDF4-EOS files ({hdf4[0]}, ...), {_HDF4}")
    return find_granules(entry, root, period, notes=notes)


def _open_appeears(
    name: str, root: Roots, period: Period | None, transform: Transform | None, masks: Masks
) -> xr.Dataset:
    entry, notes = source_entry(name), list[str]()
    wanted = [t for x in entry.variables for t in x.theirs]

    @contextmanager
    def open_raw(granule: Granule) -> Iterator[RawGranule]:
        path = granule.path
        with open_granule(path, entry.title, wanted=wanted, entry=entry) as opened:
            data, times = time_series(spatial_axes(opened, path), path)
            check_step(times, _STEP, path, entry)
            data = data.assign_coords({v.TIME: times.normalize()})
            found = masks(data)
            unscreened = [n for n in wanted if n in data and not found.get(n)]
            said = (f"no quality flags for {', '.join(unscreened)}: not screened",) if unscreened else ()
            yield RawGranule(path=path, raw=data, masks=found, notes=said)

    raw_granules = (open_raw(g) for g in _granules(entry, root, period, notes))
    return read_grid(
        entry,
        raw_granules,
        select_variables(entry, None),
        period=period,
        step=_STEP,
        transform=transform,
        allow_missing=True,
        notes=notes,
    )
