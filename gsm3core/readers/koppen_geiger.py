"""Main climate class at the sites from the map of the region scheme ``climates``, which ships with GSM3."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.catalog import region_entries, source_entry
from gsm3core.config import Period
from gsm3core.geography.regions import region_of
from gsm3core.readers.points import Points, RawSeries, join_series
from gsm3core.resources import catalog_folder

_SCHEME, _NAME, _CELL = "climates", "climate", 0.1  # degrees


class KoppenGeigerReader:
    """Reads the main class of Köppen and Geiger of the 0.1 degree cell that contains a site (doi:10.1038/sdata.2018.214)."""

    def files(
        self, root: Path, points: Points, period: Period | None = None, variables: Iterable[str] | None = None
    ) -> list[Path]:
        """Return the map; see :class:`gsm3core.readers.points.PointReader`. The folder is not used."""
        return [catalog_folder() / "regions" / region_entries()[_SCHEME].raster]

    def open(
        self, root: Path, points: Points, period: Period | None = None, variables: Iterable[str] | None = None
    ) -> xr.Dataset:
        """Return ``climate`` ``(site)``, 0 at sea; see :class:`gsm3core.readers.points.PointReader`."""
        numbers = region_entries()[_SCHEME].classes | {v.NO_REGION: 0}
        path = self.files(root, points)[0]
        series = [
            RawSeries(
                path=path,
                raw=xr.Dataset({_NAME: ((), float(numbers[name]))}),
                sites=[k],
                cell=(_centre(points.lat[k], 90), _centre(points.lon[k], 180)),
            )
            for k, name in enumerate(region_of(points.lat, points.lon, _SCHEME).tolist())
        ]
        entry = source_entry("koppen-geiger")
        out = join_series(entry, series, variables, points=points, period=None, step=None)
        out[_NAME].attrs |= {
            "collocation": "cell of 0.1 degrees that contains the site",
            "flag_values": np.array(list(v.KOPPEN_CLASSES), np.int16),
            "flag_meanings": " ".join(m.replace(" ", "_") for m in v.KOPPEN_CLASSES.values()),
        }
        at_sea = points.site[out[_NAME].values == 0]
        out.attrs["notes"] = json.dumps(
            [f"{len(at_sea)} sites lie at sea, without a class: {', '.join(map(str, at_sea[:5]))}"]
            if len(at_sea)
            else []
        )
        return out


def _centre(degrees: float, most: float) -> float:
    """Return the centre of the cell along one axis."""
    return float(
        np.clip((np.floor(degrees / _CELL + 1e-9) + 0.5) * _CELL, -most + _CELL / 2, most - _CELL / 2)
    )
