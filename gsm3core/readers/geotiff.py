"""One-band GeoTIFFs in geographic coordinates, read with Pillow instead of GDAL."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError

_SCALE, _TIEPOINT, _KEYS, _NODATA = 33550, 33922, 34735, 42113
_MODEL_TYPE, _GEOGRAPHIC = 1024, 2
_RASTER_TYPE, _POINT = 1025, 2


def read_geotiff(path: Path, what: str) -> xr.DataArray:
    """Return a raster with the coordinates of its cell centres, nodata as NaN.

    Parameters
    ----------
    path
        File with one band, north up, longitude and latitude.
    what
        Expected content, for messages.

    Raises
    ------
    DatasetError
        If the file is not such a GeoTIFF.

    Notes
    -----
    Tags of OGC GeoTIFF 1.1 (OGC 19-008r4): ModelPixelScale, ModelTiepoint, GeoKeyDirectory; nodata is GDAL's tag.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            # Pillow only warns of a truncated header.
            warnings.simplefilter("error", UserWarning)
            # A global map is large; Pillow's limit guards against untrusted images.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                tags = dict(getattr(image, "tag_v2", {}))
                bands = len(image.getbands())
                values = np.asarray(image, dtype=np.float64)
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError, UserWarning) as error:
        raise DatasetError(
            f"{path} cannot be read as a TIFF of {what}: {error}. The file is truncated or damaged: download it again."
        ) from error
    if bands != 1 or _SCALE not in tags or _TIEPOINT not in tags:
        raise DatasetError(
            f"{path} is not a GeoTIFF of {what}: it has {bands} band(s) and "
            f"{'no' if _SCALE not in tags else 'a'} pixel scale; expected one band with ModelPixelScale and "
            "ModelTiepoint. Convert it with gdal_translate -of GTiff."
        )
    keys = np.asarray(tags.get(_KEYS, ()), int)[4:].reshape(-1, 4)
    table = {int(k): int(value) for k, location, _, value in keys if location == 0}
    if table.get(_MODEL_TYPE, _GEOGRAPHIC) != _GEOGRAPHIC:
        raise DatasetError(
            f"{path} is a projected GeoTIFF; expected longitude and latitude. Convert it with gdalwarp -t_srs EPSG:4326."
        )
    dx, dy = (float(x) for x in tags[_SCALE][:2])
    column, row, _, x, y = (float(t) for t in tags[_TIEPOINT][:5])
    # A tie point is a corner of a cell; with PixelIsPoint it is the centre.
    half = 0.0 if table.get(_RASTER_TYPE) == _POINT else 0.5
    rows, columns = values.shape
    if _NODATA in tags:
        nodata = float(str(tags[_NODATA]).strip("\0 "))
        # Nodata is decimal text, the raster single precision.
        values[np.isclose(values, nodata, rtol=1e-6, atol=0.0)] = np.nan
    return xr.DataArray(
        values,
        dims=(v.LAT, v.LON),
        coords={
            v.LAT: y - (np.arange(rows) - row + half) * dy,
            v.LON: x + (np.arange(columns) - column + half) * dx,
        },
    )
