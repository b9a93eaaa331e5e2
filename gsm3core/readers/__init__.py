"""Readers: files of one source to canonical names and units, one module per source."""

from __future__ import annotations

import inspect
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from gsm3core.errors import DatasetError, did_you_mean

if TYPE_CHECKING:
    from gsm3core.readers.base import Reader
    from gsm3core.readers.gridded import GridReader
    from gsm3core.readers.points import PointReader

_SITE_READERS = {
    "conus_smap": "gsm3core.readers.conus_smap:ConusSmapReader",
    "uscrn": "gsm3core.readers.uscrn:UscrnReader",
    "ismn": "gsm3core.readers.ismn.reader:IsmnReader",
    "uscrn_daily": "gsm3core.readers.uscrn_daily:UscrnDailyReader",
}

_GRID_READERS = {
    "smap_l3": "gsm3core.readers.smap_l3:SmapL3Reader",
    "smos_l3": "gsm3core.readers.smos_l3:SmosL3Reader",
    "amsr2_lprm": "gsm3core.readers.amsr2_lprm:Amsr2LprmReader",
    "gldas_noah": "gsm3core.readers.gldas_noah:GldasNoahReader",
    "somo_ml": "gsm3core.readers.somo_ml:SomoMlReader",
    "era5": "gsm3core.readers.era5.reader:Era5Reader",
    "era5_land": "gsm3core.readers.era5.reader:Era5LandReader",
    "mswep": "gsm3core.readers.mswep:MswepReader",
    "imerg": "gsm3core.readers.imerg:ImergReader",
    "modis_albedo": "gsm3core.readers.modis:ModisAlbedoReader",
    "modis_lst": "gsm3core.readers.modis:ModisLstReader",
    "modis_ndvi": "gsm3core.readers.modis:ModisNdviReader",
    "hwsd": "gsm3core.readers.attributes:HwsdReader",
    "amatulli": "gsm3core.readers.attributes:AmatulliReader",
    "esa_cci_land_cover": "gsm3core.readers.attributes:EsaCciLandCoverReader",
}

_POINT_READERS = {
    "copernicus_dem": "gsm3core.readers.copernicus_dem:CopernicusDemReader",
    "koppen_geiger": "gsm3core.readers.koppen_geiger:KoppenGeigerReader",
    "soilgrids": "gsm3core.readers.soilgrids:SoilGridsReader",
    "worldcover": "gsm3core.readers.worldcover:WorldCoverReader",
    "power": "gsm3core.readers.power:PowerReader",
    "era5_timeseries": "gsm3core.readers.era5_timeseries:Era5TimeseriesReader",
    "open_meteo_era5": "gsm3core.readers.open_meteo:OpenMeteoEra5Reader",
    "open_meteo_era5_land": "gsm3core.readers.open_meteo:OpenMeteoEra5LandReader",
}


def make_reader(name: str) -> Reader:
    """Return the reader of a source of sites.

    Raises
    ------
    DatasetError
        If the name is unknown.
    """
    if name not in _SITE_READERS:
        raise DatasetError(f"unknown reader {name!r}. {did_you_mean(name, _SITE_READERS)}")
    reader: Reader = resolve_name(_SITE_READERS[name])()
    return reader


def make_grid_reader(name: str, **options: Any) -> GridReader:
    """Return the reader of a gridded source.

    Parameters
    ----------
    name
        ``reader`` of the catalogue entry.
    **options
        Options of the reader's class, such as ``overpass="PM"``.

    Raises
    ------
    DatasetError
        If the name or an option is unknown.
    """
    if unknown := sorted(set(options) - set(known := grid_reader_options(name))):
        raise DatasetError(
            f"unknown option {unknown[0]!r} of the reader {name}. {did_you_mean(unknown[0], known)}"
        )
    reader: GridReader = _grid_class(name)(**options)
    return reader


def make_point_reader(name: str) -> PointReader:
    """Return the reader of a source of values at points.

    Raises
    ------
    DatasetError
        If the name is unknown.
    """
    if name not in _POINT_READERS:
        raise DatasetError(
            f"unknown reader of values at points {name!r}. {did_you_mean(name, _POINT_READERS)}"
        )
    reader: PointReader = resolve_name(_POINT_READERS[name])()
    return reader


def grid_reader_options(name: str) -> list[str]:
    """Return the option names of a gridded reader; with ``variables`` if it can read some of its variables only."""
    return [p for p in inspect.signature(_grid_class(name)).parameters if p not in ("args", "kwargs")]


def _grid_class(name: str) -> Any:
    if name not in _GRID_READERS:
        raise DatasetError(f"unknown gridded reader {name!r}. {did_you_mean(name, _GRID_READERS)}")
    return resolve_name(_GRID_READERS[name])
