"""U.S. Climate Reference Network from one netCDF file of daily values per station."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.config import Period
from gsm3core.readers.base import Conversion, convert_classes, convert_variables, open_netcdf, select_period
from gsm3core.readers.era5_climatology import CLASSES, CLIMATE

_STATION = "USCRN daily product CRND0103, {}"
_MJ_PER_DAY_IN_W = 1e6 / 86400.0

_DAILY = {
    v.SM_INSITU: Conversion(
        theirs="sm", units="m3 m-3", source=_STATION.format("soil moisture at 5 cm, three-probe mean")
    ),
    "precipitation": Conversion(
        theirs="precip", units="mm/day", source=_STATION.format("precipitation gauge")
    ),
    "air_temperature": Conversion(
        theirs="t2m_mean", units="degC", offset=273.15, source=_STATION.format("mean air temperature")
    ),
    "air_temperature_max": Conversion(
        theirs="t2m_max", units="degC", offset=273.15, source=_STATION.format("maximum air temperature")
    ),
    "air_temperature_min": Conversion(
        theirs="t2m_min", units="degC", offset=273.15, source=_STATION.format("minimum air temperature")
    ),
    "shortwave_down": Conversion(
        theirs="swdown",
        units="MJ m-2 day-1",
        scale=_MJ_PER_DAY_IN_W,
        source=_STATION.format("solar radiation"),
    ),
    "surface_temperature": Conversion(
        theirs="lst", units="degC", offset=273.15, source=_STATION.format("infrared surface")
    ),
    "relative_humidity": Conversion(
        theirs="rh", units="percent", scale=0.01, source=_STATION.format("mean relative humidity")
    ),
    "soil_temperature": Conversion(
        theirs="ts5", units="degC", offset=273.15, source=_STATION.format("soil temperature at 5 cm")
    ),
}


class UscrnReader:
    """Reads soil moisture at 5 cm and the stations' weather."""

    def open(self, root: Path, period: Period | None = None) -> xr.Dataset:
        """Return the stations as sites.

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
        needed = [t.theirs for t in (_DAILY | CLIMATE).values()] + [
            *CLASSES.values(),
            "station",
            "static_depth",
        ]
        with open_netcdf(root, needed, "a USCRN file") as ds:
            converted = convert_variables(ds, _DAILY | CLIMATE, root)
            converted |= {
                ours: convert_classes(ds[theirs], ours, ds[theirs].attrs.get("long_name", theirs))
                for ours, theirs in CLASSES.items()
            }
            out = xr.Dataset(converted, coords={n: ds[n] for n in (v.SITE, v.TIME, v.LAT, v.LON)})
            names = np.array([str(s).replace("_", " ") for s in ds["station"].values])
            out = out.assign_coords(
                {
                    v.NETWORK: (v.SITE, np.full(out.sizes[v.SITE], "USCRN")),
                    v.STATION: (v.SITE, names),
                    v.DEPTH: (v.SITE, ds["static_depth"].values, {"units": "m", "long_name": "sensor depth"}),
                }
            )
            return select_period(out, period).load()
