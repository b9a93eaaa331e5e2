"""SMAP L3 with NLDAS-2 forcings over CONUS from one netCDF file (layout of the hydroDL example data)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.config import Period
from gsm3core.readers.base import Conversion, convert_classes, convert_variables, open_netcdf, select_period
from gsm3core.readers.era5_climatology import CLASSES, CLIMATE

_NLDAS = "NLDAS-2 {}, daily, as distributed with hydroDL"
_SOIL = "soil map, as distributed with hydroDL"
_FLAGS = "SMAP L3 retrieval parameters and flags, as distributed with hydroDL"

_DAILY = {
    v.SM_SMAP: Conversion(theirs="smap_am", units="m3 m-3", source="SMAP L3 (36 km), morning overpass"),
    "precipitation": Conversion(theirs="precip", units="mm/day", source=_NLDAS.format("APCP")),
    "air_temperature": Conversion(theirs="t2m", units="K", source=_NLDAS.format("TMP 2 m")),
    "shortwave_down": Conversion(theirs="swdown", units="W m-2", source=_NLDAS.format("DSWRF")),
    "longwave_down": Conversion(theirs="lwdown", units="W m-2", source=_NLDAS.format("DLWRF")),
    "specific_humidity": Conversion(theirs="spfh", units="kg kg-1", source=_NLDAS.format("SPFH 2 m")),
    "wind_u": Conversion(theirs="u10", units="m s-1", source=_NLDAS.format("UGRD 10 m")),
    "wind_v": Conversion(theirs="v10", units="m s-1", source=_NLDAS.format("VGRD 10 m")),
}
_STATIC = CLIMATE | {
    "sand": Conversion(theirs="static_sand", units=None, scale=0.01, source=_SOIL),
    "clay": Conversion(theirs="static_clay", units=None, scale=0.01, source=_SOIL),
    "silt": Conversion(theirs="static_silt", units=None, scale=0.01, source=_SOIL),
    "bulk_density": Conversion(theirs="static_bulk", units=None, source=_SOIL),
    "water_capacity": Conversion(theirs="static_capa", units=None, source=_SOIL),
    "ndvi": Conversion(theirs="static_ndvi", units=None, source=_SOIL.replace("soil map", "long-term mean NDVI")),
    "smap_albedo": Conversion(theirs="static_flag_albedo", units=None, source=_FLAGS, long_name="SMAP vegetation albedo"),
    "smap_roughness": Conversion(theirs="static_flag_roughness", units=None, source=_FLAGS, long_name="SMAP surface roughness"),
    "smap_dense_vegetation": Conversion(
        theirs="static_flag_vegdense", units=None, source=_FLAGS, long_name="SMAP flag: dense vegetation"
    ),
    "smap_water": Conversion(theirs="static_flag_waterbody", units=None, source=_FLAGS, long_name="SMAP water fraction"),
}  # fmt: skip


class ConusSmapReader:
    """Reads SMAP soil moisture, forcings and attributes per cell."""

    def open(self, root: Path, period: Period | None = None) -> xr.Dataset:
        """Return the cells as sites; the forcings extend beyond the SMAP record.

        Parameters
        ----------
        root
            The netCDF file.
        period
            Days to keep.

        Raises
        ------
        DatasetError
            If the file is missing or has another layout.
        """
        needed = [t.theirs for t in (_DAILY | _STATIC).values()] + list(CLASSES.values())
        with open_netcdf(root, needed, "a SMAP-over-CONUS file") as ds:
            converted = convert_variables(ds, _DAILY | _STATIC, root)
            converted |= {
                ours: convert_classes(ds[theirs], ours, ds[theirs].attrs.get("long_name", theirs))
                for ours, theirs in CLASSES.items()
            }
            converted[v.SM_SMAP].attrs["grid"] = "M36"
            out = xr.Dataset(converted, coords={n: ds[n] for n in (v.SITE, v.TIME, v.LAT, v.LON)})
            cells = out.sizes[v.SITE]
            out = out.assign_coords({
                v.NETWORK: (v.SITE, np.full(cells, "SMAP cells")),
                v.STATION: (v.SITE, np.array([f"Cell {i}" for i in out[v.SITE].values.astype(str)])),
            })  # fmt: skip
            return select_period(out, period).load()
