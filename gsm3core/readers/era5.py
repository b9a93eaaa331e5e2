"""ERA5 hourly single levels from netCDF files of the CDS, before and since its change in 2024."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.catalog import source_entry
from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.readers.granules import Granule, find_granules, open_granule
from gsm3core.readers.grid_axes import decoded_times, spatial_axes
from gsm3core.readers.gridded import RawGranule, Transform, read_grid, select_variables

_STEP = pd.Timedelta("1h")
_LAND = ("swvl1", "stl1", "lai_hv", "lai_lv")
_MASK = "lsm"


class Era5Reader:
    """Reads the catalogue's variables, from one file or several as the CDS delivers them.

    Parameters
    ----------
    variables
        Canonical names; ``None`` for all that the files have.

    Notes
    -----
    Hersbach et al. (2020), doi:10.1002/qj.3803. Precipitation and radiation are amounts of the hour that ends at the
    label; they become rates labelled at its start. ``expver`` (final or preliminary) was a dimension in files of the
    CDS before 2024 and is a coordinate now.
    """

    def __init__(self, variables: Iterable[str] | None = None) -> None:
        self.variables = None if variables is None else tuple(variables)

    def open(
        self, root: Path, period: Period | None = None, *, transform: Transform | None = None
    ) -> xr.Dataset:
        """Return ``(time, lat, lon)``; see :class:`gsm3core.readers.gridded.GridReader`."""
        entry = source_entry("era5")
        granules = find_granules(entry, root, period)
        preliminary = [0]
        raw_granules = (_open_raw(g, preliminary) for g in granules)
        variables = select_variables(entry, self.variables)
        out = read_grid(
            entry, raw_granules, variables, period=period, step=_STEP, transform=transform, allow_missing=True
        )
        if self.variables and (absent := [x for x in variables if x.ours not in out]):
            raise DatasetError(
                f"{root} has no {', '.join(f'{x.theirs[0]} ({x.ours})' for x in absent)}; it has "
                f"{', '.join(map(str, out.data_vars))}. Request the missing variables from the CDS."
            )
        out.attrs["preliminary_steps"] = preliminary[0]
        return out


@contextmanager
def _open_raw(granule: Granule, preliminary: list[int]) -> Iterator[RawGranule]:
    with open_granule(granule.path, "ERA5 hourly data") as opened:
        ds = spatial_axes(opened, granule.path)
        name = next((n for n in ("valid_time", v.TIME) if n in ds.variables), v.TIME)
        times = decoded_times(ds, granule.path, name)
        if name not in ds.dims:
            ds = ds.drop_vars(name).expand_dims(name)
        ds = ds.drop_vars(v.TIME, errors="ignore") if name != v.TIME else ds
        ds = ds.rename({name: v.TIME}) if name != v.TIME else ds
        ds = _one_version(ds.assign_coords({v.TIME: times}), preliminary)
        if "number" in ds.dims:
            if ds.sizes["number"] > 1:
                raise DatasetError(
                    f"{granule.path} has {ds.sizes['number']} ensemble members; expected the reanalysis."
                )
            ds = ds.isel(number=0, drop=True)
        other = set(ds.dims) - {v.TIME, v.LAT, v.LON}
        data = ds[
            [n for n in ds.data_vars if not set(ds[n].dims) & other and {v.LAT, v.LON} <= set(ds[n].dims)]
        ]
        sea = {"not_land": ~(data[_MASK] >= 0.5).transpose(v.TIME, v.LAT, v.LON)} if _MASK in data else {}
        yield RawGranule(
            path=granule.path,
            raw=data.transpose(v.TIME, v.LAT, v.LON, ...),
            masks=dict.fromkeys(_LAND, sea),
        )


def _one_version(ds: xr.Dataset, preliminary: list[int]) -> xr.Dataset:
    """Return the final analysis, filled with the preliminary one (expver 5), and count the preliminary steps."""
    if "expver" not in ds.variables:
        return ds
    versions = [int(x) for x in ds["expver"].values.ravel()]
    if "expver" in ds.dims:
        first = ds.isel(expver=versions.index(1), drop=True) if 1 in versions else None
        last = ds.isel(expver=versions.index(5), drop=True) if 5 in versions else None
        if first is None or last is None:
            return first if first is not None else ds.isel(expver=0, drop=True)
        name = next(n for n in first.data_vars if v.TIME in first[n].dims)
        preliminary[0] += int(first[name].isnull().all([v.LAT, v.LON]).sum())
        merged = first.fillna(last)
        return merged.assign({n: merged[n].assign_attrs(first[n].attrs) for n in merged.data_vars})
    preliminary[0] += sum(x == 5 for x in versions)
    return ds.drop_vars("expver")
