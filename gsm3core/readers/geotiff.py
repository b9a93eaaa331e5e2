"""One-band GeoTIFFs of any projection, scale and orientation, read with rasterio."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError


def open_geotiff(path: Path, what: str) -> tuple[xr.DataArray, tuple[str, ...]]:
    """Return a raster with the coordinates of its cell centres, and sentences about what was done to it.

    Nodata are NaN, and the scale and offset of the band are applied. A projected or rotated raster is brought to longitude
    and latitude with the nearest cell.

    Parameters
    ----------
    what
        Expected content, for messages.

    Raises
    ------
    DatasetError
        If the file cannot be read, has several bands or no georeference.

    Notes
    -----
    GDAL's raster data model: https://gdal.org/user/raster_data_model.html.
    """
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioError
    from rasterio.vrt import WarpedVRT

    notes: tuple[str, ...] = ()
    try:
        with warnings.catch_warnings():
            # A file without georeference is refused below.
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            opened = rasterio.open(path)
        with opened as source:
            if source.count != 1 or (source.crs is None and source.transform.is_identity):
                raise DatasetError(
                    f"{path} is not a GeoTIFF of {what}: it has {source.count} band(s) and "
                    f"{'no' if source.transform.is_identity else 'a'} georeference; expected one band with a georeference. "
                    "Write the band that is needed with gdal_translate -b 1 -of GTiff, with -a_srs EPSG:4326 -a_ullr if the "
                    "georeference is lost."
                )
            known = source.crs is not None and (source.crs.is_geographic or source.crs.is_projected)
            if not known and (source.crs is not None or not _in_degrees(source.bounds)):
                raise DatasetError(
                    f"{path} is a GeoTIFF of {what} in an unknown projection; expected longitude and latitude. Convert it with "
                    "gdalwarp -t_srs EPSG:4326, with -s_srs for its projection."
                )
            turned = source.transform.b != 0 or source.transform.d != 0
            if (source.crs is not None and source.crs.is_projected) or turned:
                notes = (
                    f"brought from {_name_of(source.crs)} to longitude and latitude with the nearest cell",
                )
                with WarpedVRT(
                    source, crs="EPSG:4326", resampling=rasterio.enums.Resampling.nearest
                ) as warped:
                    return _read(warped), notes
            return _read(source), notes
    except (RasterioError, OSError, ValueError) as error:
        raise DatasetError(
            f"{path} cannot be read as a TIFF of {what}: {error}. Compare its size ({path.stat().st_size} bytes) with the "
            "distributor's: if it is smaller, download it again."
        ) from error


def _read(source: Any) -> xr.DataArray:
    values = source.read(1).astype(np.float64)
    nodata, scale, offset = source.nodata, source.scales[0], source.offsets[0]
    if nodata is not None and not np.isnan(nodata):
        # Nodata is decimal text, the raster single precision.
        values[np.isclose(values, nodata, rtol=1e-6, atol=0.0)] = np.nan
    if (scale, offset) != (1.0, 0.0):
        values = values * scale + offset
    t, (rows, columns) = source.transform, values.shape
    return xr.DataArray(
        values,
        dims=(v.LAT, v.LON),
        coords={v.LAT: t.f + (np.arange(rows) + 0.5) * t.e, v.LON: t.c + (np.arange(columns) + 0.5) * t.a},
    )


def _in_degrees(bounds: Any) -> bool:
    return bool(
        max(abs(bounds.bottom), abs(bounds.top)) <= 90.1 and -180.1 <= bounds.left < bounds.right <= 360.1
    )


def _name_of(crs: Any) -> str:
    return str(crs.to_string())[:60] if crs is not None else "a rotated grid"
