"""ERA5 climatology and classes of the distributed point datasets, under their names there."""

from __future__ import annotations

from gsm3core.readers.base import Conversion

_ERA5 = "ERA5 monthly climatology 2000-2025"
_ERA5_DAYS = ("2000-01-01", "2025-12-31")

CLIMATE = {
    "mean_air_temperature": Conversion(
        theirs="era5_clim_t2m", units="degC", offset=273.15, source=_ERA5, days=_ERA5_DAYS
    ),
    "air_temperature_range": Conversion(
        theirs="era5_clim_t2m_range", units=None, source=_ERA5, days=_ERA5_DAYS
    ),
    "mean_annual_precipitation": Conversion(
        theirs="era5_clim_tp", units="mm/year", source=_ERA5, days=_ERA5_DAYS
    ),
    "precipitation_seasonality": Conversion(
        theirs="era5_clim_tp_cv", units=None, source=_ERA5, days=_ERA5_DAYS
    ),
}
CLASSES = {"climate": "koppen_main", "land_cover": "igbp_mcd12c1"}
