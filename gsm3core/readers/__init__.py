"""From the files of one source to canonical names and units; one file per source."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import TYPE_CHECKING, Any

from gsm3core.errors import DatasetError, did_you_mean

if TYPE_CHECKING:
    from gsm3core.readers.base import Reader
    from gsm3core.readers.gridded import GridReader

_REGISTRY = {
    "conus_smap": "gsm3core.readers.conus_smap:ConusSmapReader",
    "uscrn": "gsm3core.readers.uscrn:UscrnReader",
    "ismn": "gsm3core.readers.ismn.reader:IsmnReader",
    "uscrn_daily": "gsm3core.readers.uscrn_daily:UscrnDailyReader",
}

_GRIDDED = {
    "smap_l3": "gsm3core.readers.smap_l3:SmapL3Reader",
    "smos_l3": "gsm3core.readers.smos_l3:SmosL3Reader",
    "amsr2_lprm": "gsm3core.readers.amsr2_lprm:Amsr2LprmReader",
    "gldas_noah": "gsm3core.readers.gldas_noah:GldasNoahReader",
    "somo_ml": "gsm3core.readers.somo_ml:SomoMlReader",
    "era5": "gsm3core.readers.era5:Era5Reader",
    "mswep": "gsm3core.readers.mswep:MswepReader",
    "imerg": "gsm3core.readers.imerg:ImergReader",
    "modis_albedo": "gsm3core.readers.modis:ModisAlbedoReader",
    "modis_lst": "gsm3core.readers.modis:ModisLstReader",
    "modis_ndvi": "gsm3core.readers.modis:ModisNdviReader",
    "hwsd": "gsm3core.readers.attributes:HwsdReader",
    "amatulli": "gsm3core.readers.attributes:AmatulliReader",
    "esa_cci_land_cover": "gsm3core.readers.attributes:EsaCciLandCoverReader",
}


def make_reader(name: str) -> Reader:
    """Return the reader of a source.

    Raises
    ------
    DatasetError
        If the name is not known.
    """
    if name not in _REGISTRY:
        raise DatasetError(f"reader {name!r} is not known. {did_you_mean(name, _REGISTRY)}")
    module, _, cls = _REGISTRY[name].partition(":")
    reader: Reader = getattr(import_module(module), cls)()
    return reader


def make_grid_reader(name: str, **options: Any) -> GridReader:
    """Return the reader of a gridded source.

    Parameters
    ----------
    name
        As the catalogue's entry says (``reader``).
    **options
        Of the reader's class, such as ``overpass="PM"``.

    Raises
    ------
    DatasetError
        If the name or an option is not known.
    """
    if unknown := sorted(set(options) - set(known := grid_reader_options(name))):
        raise DatasetError(
            f"the reader {name} has no option {unknown[0]!r}. {did_you_mean(unknown[0], known)}"
        )
    reader: GridReader = _grid_class(name)(**options)
    return reader


def grid_reader_options(name: str) -> list[str]:
    """Return the names of a gridded reader's options; ``variables`` is one of them where it can choose what to read."""
    return [p for p in inspect.signature(_grid_class(name)).parameters if p not in ("args", "kwargs")]


def _grid_class(name: str) -> Any:
    if name not in _GRIDDED:
        raise DatasetError(f"gridded reader {name!r} is not known. {did_you_mean(name, _GRIDDED)}")
    module, _, cls = _GRIDDED[name].partition(":")
    return getattr(import_module(module), cls)
