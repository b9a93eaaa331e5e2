"""The SiteDataset contract: dimensions, coordinates, units and value ranges that every dataset of GSM3 must have."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError, DatasetWarning, did_you_mean
from gsm3core.files import atomic_write

_PERCENT = ("%", "percent", "vol%")
_KNOWN_COORDINATES = {v.SITE, v.TIME, v.PRODUCT, *v.SITE_COORDINATES}
_SHOWN = 5


def open_dataset(path: str | Path) -> xr.Dataset:
    """Open a SiteDataset and check it against the contract.

    Parameters
    ----------
    path
        A Zarr store (a folder, ``.zarr``) or a netCDF-4 file (``.nc``, ``.nc4``).

    Returns
    -------
    xarray.Dataset
        Lazy (read when computed); dimensions ``site``, ``time`` and, with other products, ``product``.

    Raises
    ------
    DatasetError
        If the file is missing or unreadable, or violates the contract; all violations are listed.

    Warns
    -----
    DatasetWarning
        If variables have no licence.
    """
    path = Path(path)
    if not path.exists():
        raise DatasetError(
            f"{path} does not exist. Check the path, or build a dataset with `gsm3 data build`."
        )
    try:
        ds = (
            xr.open_zarr(path, consolidated=False)
            if path.is_dir()
            else xr.open_dataset(path, engine="h5netcdf")
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"{path} cannot be read as {'Zarr' if path.is_dir() else 'netCDF-4'}: {error}. "
            "Expected a Zarr folder or a netCDF-4 file written by `gsm3 data build`."
        ) from error
    ds = _with_fixed_strings(ds)
    check_dataset(ds, name=str(path))
    _warn_without_licence(ds, path)
    return ds


def save_dataset(ds: xr.Dataset, path: str | Path, *, overwrite: bool = False) -> Path:
    """Check a SiteDataset and write it atomically (Zarr for ``.zarr``, netCDF-4 for ``.nc`` and ``.nc4``).

    Parameters
    ----------
    overwrite
        Replace an existing dataset. Otherwise an existing path is an error.

    Raises
    ------
    DatasetError
        If the dataset violates the contract, the suffix is unknown, or ``path`` exists.

    Warns
    -----
    DatasetWarning
        If variables have no licence.
    """
    path = Path(path)
    check_suffix(path)
    if path.exists() and not overwrite:
        raise DatasetError(f"{path} exists. Choose another path, or pass overwrite=True (--overwrite).")
    check_dataset(ds, name=str(path))
    _warn_without_licence(ds, path)
    atomic_write(ds, path)
    return path


def check_suffix(path: Path) -> None:
    """Raise unless the suffix of a dataset's path is known."""
    if path.suffix not in (".zarr", ".nc", ".nc4"):
        raise DatasetError(f"{path} has the suffix {path.suffix!r}; expected .zarr, .nc or .nc4.")


def _with_fixed_strings(ds: xr.Dataset) -> xr.Dataset:
    """Return text coordinates as fixed-length numpy text, which all of numpy and pandas can handle."""
    texts = {n: a for n, a in ds.coords.items() if a.dtype.kind in "OT"}
    return ds.assign_coords(
        {n: (a.dims, np.array([str(t) for t in a.values.tolist()]), a.attrs) for n, a in texts.items()}
    )


def check_dataset(ds: xr.Dataset, *, name: str = "dataset") -> None:
    """Raise one error that lists all violations of the SiteDataset contract.

    Parameters
    ----------
    ds
        Minimum and maximum of its values are computed, lazily where the data are lazy.
    name
        Name or path of the dataset in the message.

    Raises
    ------
    DatasetError
        With one line per kind of violation and the list of variables, coordinates or sites concerned.
    """
    problems = list(_structure(ds)) or [*_time_axis(ds), *_sites(ds), *_metadata(ds), *_values(ds)]
    if problems:
        listed = "\n".join(f"  - {p}" for p in problems)
        raise DatasetError(f"{name} is not a valid SiteDataset:\n{listed}")


def _warn_without_licence(ds: xr.Dataset, path: Path) -> None:
    names = _without(ds, "license")
    if names:
        warnings.warn(
            f"{path}: {_count(names)} no licence: {', '.join(names)}; set the attribute `license` on them or on the dataset "
            "before sharing it.",
            DatasetWarning,
            stacklevel=3,
        )


def forcing_names(ds: xr.Dataset) -> list[str]:
    """Return the names of the forcings: every ``(site, time)`` variable but soil moisture, its flag and mean records."""
    others = {*v.SOIL_MOISTURE, *v.QUALITY_FLAGS.values(), *mean_record_names(ds)}
    daily = (n for n, a in ds.data_vars.items() if set(a.dims) == {v.SITE, v.TIME})
    return sorted(str(n) for n in daily if n not in others)


def mean_record_names(ds: xr.Dataset) -> list[str]:
    """Return the daily records kept only for long-term means (attribute ``record_of``): no inputs."""
    return sorted(str(n) for n, a in ds.data_vars.items() if v.RECORD_OF in a.attrs and v.TIME in a.dims)


def precipitation_names(ds: xr.Dataset, forcings: Iterable[str] | None = None) -> list[str]:
    """Return the forcings that are total daily precipitation; derived inputs and the bucket use the first.

    Parameters
    ----------
    forcings
        Names to choose from; all forcings of the dataset by default.

    Returns
    -------
    list of str
        Those of the vocabulary in its order (``precipitation`` first), then the others in the given order.

    Notes
    -----
    A name of the vocabulary has the vocabulary's standard name, any other its attribute ``standard_name`` (CF
    conventions, section 3.3): one of :data:`gsm3core.vocabulary.TOTAL_PRECIPITATION`. Snowfall, rainfall and convective
    precipitation have other standard names; the extreme of a day (``cell_methods``) is no amount.
    """
    names = list(forcing_names(ds) if forcings is None else forcings)
    known = [n for n in v.FORCINGS if n in names and v.FORCINGS[n].standard_name in v.TOTAL_PRECIPITATION]
    return known + [n for n in names if n in ds and n not in v.VARIABLES and _is_precipitation(ds[n])]


def daily_precipitation(ds: xr.Dataset, name: str) -> NDArray[np.float64]:
    """Return one precipitation forcing ``(site, time)``, mm d-1.

    Raises
    ------
    DatasetError
        If its units are not in :data:`gsm3core.vocabulary.MM_PER_DAY`.
    """
    units = str(ds[name].attrs.get("units", v.FORCINGS["precipitation"].units))
    if units not in v.MM_PER_DAY:
        raise DatasetError(
            f"forcing {name!r} is precipitation in {units!r}; expected one of {', '.join(v.MM_PER_DAY)}. Convert it and set "
            "its attribute `units`, or leave it out of data.forcings."
        )
    return ds[name].transpose(v.SITE, v.TIME).values.astype(float) * v.MM_PER_DAY[units]


def _is_precipitation(variable: xr.DataArray) -> bool:
    extreme = any(word in str(variable.attrs.get("cell_methods", "")) for word in ("maximum", "minimum"))
    return variable.attrs.get("standard_name") in v.TOTAL_PRECIPITATION and not extreme


def attribute_names(ds: xr.Dataset) -> list[str]:
    """Return the names of the static attributes: every numeric ``(site)`` data variable."""
    return sorted(str(n) for n, a in ds.data_vars.items() if a.dims == (v.SITE,) and a.dtype.kind in "fiub")


def target_names(ds: xr.Dataset) -> list[str]:
    """Return the names of the training targets, in-situ soil moisture first."""
    return [t for t in v.TARGETS if t in ds.data_vars]


def is_categorical(variable: xr.DataArray) -> bool:
    """Return whether an attribute holds class numbers (CF ``flag_values``), which must not be averaged."""
    return "flag_values" in variable.attrs


def is_simulated(ds: xr.Dataset) -> bool:
    """Return whether the dataset is simulated (the demonstration dataset), which every figure and page states."""
    return str(ds.attrs.get("simulated", "false")).lower() in ("true", "1")


def products(ds: xr.Dataset) -> dict[str, xr.DataArray]:
    """Return the soil-moisture products to compare with in-situ data, ``(site, time)`` each, by name."""
    found = {v.SMAP: ds[v.SM_SMAP]} if v.SM_SMAP in ds.data_vars else {}
    if v.SM_PRODUCT in ds.data_vars:
        found |= {str(p): ds[v.SM_PRODUCT].sel({v.PRODUCT: p}, drop=True) for p in ds[v.PRODUCT].values}
    return found


def _count(names: list[str]) -> str:
    return "1 variable has" if len(names) == 1 else f"{len(names)} variables have"


def _without(ds: xr.Dataset, key: str) -> list[str]:
    """Return the variables without an attribute that may stand on the dataset instead."""
    return sorted(str(n) for n, a in ds.data_vars.items() if not (a.attrs.get(key) or ds.attrs.get(key)))


def _structure(ds: xr.Dataset) -> Iterator[str]:
    for dim in (v.SITE, v.TIME):
        if dim not in ds.dims:
            yield f"dimension {dim!r} is missing; found {sorted(map(str, ds.dims))}."
        elif dim not in ds.coords:
            yield f"coordinate {dim!r} is missing: the dimension has no labels."
        elif ds.sizes[dim] == 0:
            yield f"dimension {dim!r} is empty."
    for coord in (v.LAT, v.LON, v.REGION):
        if coord not in ds.coords:
            yield f"coordinate {coord!r} (site) is missing."
        elif ds[coord].dims != (v.SITE,):
            yield f"coordinate {coord!r} has dimensions {ds[coord].dims}; expected ('site',)."
    if not target_names(ds):
        yield f"no training target; expected {' or '.join(map(repr, v.TARGETS))} with dimensions (site, time)."
    shapes = {(v.SITE,), (v.SITE, v.TIME), (v.PRODUCT, v.SITE, v.TIME)}
    if wrong := [f"{n} {a.dims}" for n, a in ds.data_vars.items() if a.dims not in shapes]:
        expected = "(site,), (site, time) or (product, site, time)"
        yield f"{_count(wrong)} invalid dimensions: {', '.join(wrong)}; expected {expected}."
    if unknown := [str(n) for n in ds.coords if n not in _KNOWN_COORDINATES]:
        yield f"unknown coordinates: {', '.join(unknown)}. {did_you_mean(unknown[0], _KNOWN_COORDINATES)}"


def _time_axis(ds: xr.Dataset) -> Iterator[str]:
    if ds[v.TIME].dtype.kind != "M":
        yield f"coordinate 'time' has type {ds[v.TIME].dtype}; expected datetime64 (CF 'days since ...')."
        return
    days = pd.DatetimeIndex(ds[v.TIME].values)
    off = days[days != days.normalize()]
    if len(off):
        yield f"time {off[0]} is not a UTC day (00:00); label daily means by their day."
    steps = np.diff(days.normalize().to_numpy()).astype("timedelta64[D]").astype(int)

    def listed(found: NDArray[np.bool_], text: str) -> str:
        at = np.flatnonzero(found)
        shown = [text.format(days[k].date(), days[k + 1].date(), steps[k] - 1) for k in at[:_SHOWN]]
        return ", ".join(shown) + (", ..." if len(at) > _SHOWN else "")

    if (steps == 0).any():
        yield f"duplicate time {listed(steps == 0, '{1}')}; days must be unique."
    if (steps < 0).any():
        yield f"time goes backwards: {listed(steps < 0, '{0} to {1}')}; sort the dataset by time."
    if (steps > 1).any():
        gaps = listed(steps > 1, "{2} day(s) between {0} and {1}")
        yield f"gaps in time: {gaps}; insert these days as missing values."


def _sites(ds: xr.Dataset) -> Iterator[str]:
    ids = pd.Index(ds[v.SITE].values)
    twice = ids[ids.duplicated()].unique()
    if len(twice):
        more = ", ..." if len(twice) > _SHOWN else ""
        yield f"duplicate site id {', '.join(map(repr, twice[:_SHOWN]))}{more}; site ids must be unique."
    for coord, limit in ((v.LAT, 90.0), (v.LON, 180.0)):
        values = np.asarray(ds[coord].values, float)
        bad = ~(np.abs(values) <= limit)
        if bad.any():
            k = int(np.flatnonzero(bad)[0])
            others = f" and {bad.sum() - 1} more" if bad.sum() > 1 else ""
            yield f"coordinate {coord!r} is {values[k]} at site {ids[k]!r}{others}; expected -{limit:g} to {limit:g} degrees."
    known = {*v.REGIONS, v.NO_REGION}
    if unknown := sorted(set(map(str, ds[v.REGION].values)) - known):
        yield f"unknown region {', '.join(map(repr, unknown))}. {did_you_mean(unknown[0], known)}"


def _metadata(ds: xr.Dataset) -> Iterator[str]:
    if types := [f"{n} ({a.dtype})" for n, a in ds.data_vars.items() if a.dtype.kind not in "fiubSUOT"]:
        yield f"{_count(types)} an invalid type: {', '.join(types)}; expected numbers."
    stated = {n: ds[n].attrs.get("units") for n in sorted(map(str, ds.data_vars))}
    expected = {n: v.VARIABLES[n].units for n in stated if n in v.VARIABLES}
    if missing := [
        n + (f" (expected {expected[n]!r})" if n in expected else "")
        for n, units in stated.items()
        if units is None
    ]:
        yield f"{_count(missing)} no units: {', '.join(missing)}; set the attribute `units`, '1' for dimensionless numbers."
    wrong = [n for n, units in expected.items() if stated[n] not in (None, units)]
    if wrong:
        percent = any(n in v.SOIL_MOISTURE and str(stated[n]).strip().lower() in _PERCENT for n in wrong)
        yield (
            f"{_count(wrong)} wrong units: {', '.join(f'{n} ({stated[n]!r}; expected {expected[n]!r})' for n in wrong)}."
            + (" Soil moisture in percent: divide by 100." if percent else "")
        )
    if missing := _without(ds, "source"):
        yield f"{_count(missing)} no source: {', '.join(missing)}; set the attribute `source` on them or on the dataset."
    if v.PRODUCT in ds.dims:
        names = pd.Index(ds[v.PRODUCT].values)
        if twice := [repr(n) for n in names[names.duplicated()].unique()]:
            yield f"duplicate product name {', '.join(twice)}; product names must be unique."


def _values(ds: xr.Dataset) -> Iterator[str]:
    numeric = [str(n) for n, a in ds.data_vars.items() if a.dtype.kind in "fiu"]
    # Chunks without any value have no minimum and would warn each: fill with values that are never the extreme.
    low = ds[numeric].fillna(np.inf).min().compute()
    high = ds[numeric].fillna(-np.inf).max().compute()
    ranges = {n: (float(low[n]), float(high[n])) for n in numeric if float(low[n]) <= float(high[n])}
    if infinite := [n for n, pair in ranges.items() if np.isinf(pair).any()]:
        yield f"{_count(infinite)} infinite values: {', '.join(infinite)}; expected NaN for a missing value."
    above, below, percent = [], [], False
    for name, (lowest, highest) in ranges.items():
        known = v.VARIABLES.get(name)
        if known is None or name in infinite:
            continue
        if known.valid_max is not None and highest > known.valid_max:
            above.append(f"{name} ({highest:g} {known.units}; at most {known.valid_max:g})")
            percent |= name in v.SOIL_MOISTURE and highest <= 100
        if known.valid_min is not None and lowest < known.valid_min:
            below.append(f"{name} ({lowest:g} {known.units}; at least {known.valid_min:g})")
    if above:
        hint = " Soil moisture looks like percent: divide by 100 and set units = 'm3 m-3'." if percent else ""
        yield f"{_count(above)} values above the valid range: {', '.join(above)}.{hint}"
    if below:
        yield f"{_count(below)} values below the valid range: {', '.join(below)}."
