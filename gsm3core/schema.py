"""The SiteDataset contract: what a dataset must be before anything else in GSM3 will touch it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError, did_you_mean
from gsm3core.files import atomic_write

_PERCENT_HINT = " It looks like percent: divide by 100 and set units = 'm3 m-3'."
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
        If the file is missing or unreadable, or breaks the contract; every breach found is listed.
    """
    path = Path(path)
    if not path.exists():
        raise DatasetError(
            f"{path} does not exist. Build a dataset with `gsm3 data build`, or check the path."
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
    return ds


def open_series(path: str | Path) -> xr.DataArray:
    """Open the one soil-moisture series of a netCDF file, to be scored.

    Parameters
    ----------
    path
        A netCDF-4 file with one variable of dimensions ``(site, time)`` or ``(product, site, time)``.

    Raises
    ------
    DatasetError
        If the file cannot be read, or has none or several such variables.
    """
    path = Path(path)
    if not path.is_file():
        raise DatasetError(f"{path} does not exist or is not a file; expected a netCDF-4 file.")
    try:
        with xr.open_dataset(path, engine="h5netcdf") as ds:
            ds = _with_fixed_strings(ds.load())
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read as netCDF-4: {error}.") from error
    shapes = ({v.SITE, v.TIME}, {v.PRODUCT, v.SITE, v.TIME})
    # A run's predictions hold their spread too; it is no series of soil moisture.
    candidates = [a for a in ds.data_vars.values() if a.name != v.SM_PREDICTED_STD]
    series = [a for a in candidates if set(a.dims) in shapes and a.dtype.kind == "f"]
    if len(series) != 1:
        names = ", ".join(str(a.name) for a in series) or "none"
        raise DatasetError(f"{path} must hold one soil-moisture variable (site, time); it has {names}.")
    return series[0]


def save_dataset(ds: xr.Dataset, path: str | Path, *, overwrite: bool = False) -> Path:
    """Check a SiteDataset and write it whole or not at all (Zarr for ``.zarr``, netCDF-4 for ``.nc``).

    Parameters
    ----------
    ds
        The dataset, as :func:`check_dataset` wants it.
    path
        Where to write; the suffix chooses the format.
    overwrite
        Replace what is there. Otherwise an existing path is an error.

    Raises
    ------
    DatasetError
        If the dataset breaks the contract, the suffix is unknown, or ``path`` exists.
    """
    path = Path(path)
    check_suffix(path)
    if path.exists() and not overwrite:
        raise DatasetError(f"{path} exists. Choose another name, or pass overwrite=True (--overwrite).")
    check_dataset(ds, name=str(path))
    atomic_write(ds, path)
    return path


def check_suffix(path: Path) -> None:
    """Raise unless a dataset can be written under this name."""
    if path.suffix not in (".zarr", ".nc", ".nc4"):
        raise DatasetError(
            f"{path}: a dataset is written as .zarr or .nc; {path.suffix or 'no suffix'!r} was given."
        )


def _with_fixed_strings(ds: xr.Dataset) -> xr.Dataset:
    """Read texts as numpy's fixed-length ones, which all of numpy and pandas can handle."""
    texts = {n: a for n, a in ds.coords.items() if a.dtype.kind in "OT"}
    return ds.assign_coords(
        {n: (a.dims, np.array([str(t) for t in a.values.tolist()]), a.attrs) for n, a in texts.items()}
    )


def check_dataset(ds: xr.Dataset, *, name: str = "dataset") -> None:
    """Raise one error that lists every breach of the SiteDataset contract.

    Parameters
    ----------
    ds
        The candidate. Values are reduced (minimum, maximum), lazily where the data are lazy.
    name
        What to call the dataset in the message: its path.

    Raises
    ------
    DatasetError
        With one line per breach: which variable, coordinate or site, what was found, what was expected.
    """
    breaches = list(_structure(ds)) or [*_time_axis(ds), *_sites(ds), *_metadata(ds), *_values(ds)]
    if breaches:
        listed = "\n".join(f"  - {b}" for b in breaches)
        raise DatasetError(f"{name} is not a valid SiteDataset:\n{listed}")


def forcing_names(ds: xr.Dataset) -> list[str]:
    """Return the names of the daily inputs: every ``(site, time)`` variable that is not soil moisture."""
    return sorted(
        str(n)
        for n, a in ds.data_vars.items()
        if set(a.dims) == {v.SITE, v.TIME} and n not in v.SOIL_MOISTURE
    )


def attribute_names(ds: xr.Dataset) -> list[str]:
    """Return the names of the static inputs: every numeric ``(site)`` data variable."""
    return sorted(str(n) for n, a in ds.data_vars.items() if a.dims == (v.SITE,) and a.dtype.kind in "fiub")


def target_names(ds: xr.Dataset) -> list[str]:
    """Return the soil-moisture records a model can learn from, in-situ first."""
    return [t for t in v.TARGETS if t in ds.data_vars]


def is_categorical(variable: xr.DataArray) -> bool:
    """Tell whether an attribute holds class numbers (CF ``flag_values``), which must not be averaged."""
    return "flag_values" in variable.attrs


def is_simulated(ds: xr.Dataset) -> bool:
    """Tell whether the dataset is the demonstration world, which is called simulated wherever it is shown."""
    return str(ds.attrs.get("simulated", "false")).lower() in ("true", "1")


def products(ds: xr.Dataset) -> dict[str, xr.DataArray]:
    """Return every soil-moisture product to compare with in-situ, ``(site, time)`` each, by its name."""
    found = {v.SMAP: ds[v.SM_SMAP]} if v.SM_SMAP in ds.data_vars else {}
    if v.SM_PRODUCT in ds.data_vars:
        found |= {str(p): ds[v.SM_PRODUCT].sel({v.PRODUCT: p}, drop=True) for p in ds[v.PRODUCT].values}
    return found


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
        yield f"no soil-moisture record: expected {' or '.join(map(repr, v.TARGETS))} with dimensions (site, time)."
    shapes = {(v.SITE,), (v.SITE, v.TIME), (v.PRODUCT, v.SITE, v.TIME)}
    for name, array in ds.data_vars.items():
        if array.dims not in shapes:
            yield f"variable {name!r} has dimensions {array.dims}; expected (site,), (site, time) or (product, site, time)."
    for name in ds.coords:
        if name not in _KNOWN_COORDINATES:
            yield f"coordinate {name!r} is not known. {did_you_mean(str(name), _KNOWN_COORDINATES)}"


def _time_axis(ds: xr.Dataset) -> Iterator[str]:
    if ds[v.TIME].dtype.kind != "M":
        yield f"coordinate 'time' has type {ds[v.TIME].dtype}; expected datetime64 (CF 'days since ...')."
        return
    days = pd.DatetimeIndex(ds[v.TIME].values)
    off = days[days != days.normalize()]
    if len(off):
        yield f"time {off[0]} is not a UTC day (00:00); daily means are labelled by their day."
    steps = np.diff(days.normalize().to_numpy()).astype("timedelta64[D]").astype(int)
    for k in np.flatnonzero(steps != 1)[:_SHOWN]:
        before, after = days[k].date(), days[k + 1].date()
        if steps[k] == 0:
            yield f"time {after} is there twice."
        elif steps[k] < 0:
            yield f"time goes backwards from {before} to {after}; sort the dataset by time."
        else:
            yield f"time has a hole: {steps[k] - 1} day(s) missing between {before} and {after}; insert them as missing values."


def _sites(ds: xr.Dataset) -> Iterator[str]:
    ids = pd.Index(ds[v.SITE].values)
    twice = ids[ids.duplicated()].unique()
    if len(twice):
        yield f"site id {', '.join(map(repr, twice[:_SHOWN]))} is there more than once; site ids are unique."
    for coord, limit in ((v.LAT, 90.0), (v.LON, 180.0)):
        values = np.asarray(ds[coord].values, float)
        bad = ~(np.abs(values) <= limit)
        if bad.any():
            k = int(np.flatnonzero(bad)[0])
            yield f"coordinate {coord!r} is {values[k]} at site {ids[k]!r}; expected -{limit:g} to {limit:g} degrees."
    known = {*v.REGIONS, v.NO_REGION}
    for region in sorted(set(map(str, ds[v.REGION].values)) - known):
        yield f"region {region!r} is not known. {did_you_mean(region, known)}"


def _metadata(ds: xr.Dataset) -> Iterator[str]:
    for name, array in ds.data_vars.items():
        if array.dtype.kind not in "fiubSUOT":
            yield f"variable {name!r} has type {array.dtype}; expected numbers."
        if "units" not in array.attrs:
            expected = (
                f" Expected {v.VARIABLES[str(name)].units!r}."
                if name in v.VARIABLES
                else " Use '1' where there is none."
            )
            yield f"variable {name!r} has no units.{expected}"
        elif name in v.VARIABLES and array.attrs["units"] != v.VARIABLES[str(name)].units:
            percent = name in v.SOIL_MOISTURE and str(array.attrs["units"]).strip().lower() in (
                "%",
                "percent",
                "vol%",
            )
            yield (
                f"variable {name!r} has units {array.attrs['units']!r}; expected {v.VARIABLES[str(name)].units!r}."
                + (" Soil moisture in percent: divide by 100." if percent else "")
            )
        for key in ("source", "license"):
            if not (array.attrs.get(key) or ds.attrs.get(key)):
                yield f"variable {name!r} has no {key}, and neither has the dataset: say where it is from and on what terms."
    if v.PRODUCT in ds.dims:
        names = pd.Index(ds[v.PRODUCT].values)
        for twice in names[names.duplicated()].unique():
            yield f"product {twice!r} is there more than once."


def _values(ds: xr.Dataset) -> Iterator[str]:
    numeric = [str(n) for n, a in ds.data_vars.items() if a.dtype.kind in "fiu"]
    # A chunk without any value has no minimum: fill with what never wins, instead of a warning per chunk.
    low = ds[numeric].fillna(np.inf).min().compute()
    high = ds[numeric].fillna(-np.inf).max().compute()
    for name in numeric:
        lowest, highest = float(low[name]), float(high[name])
        if lowest > highest:
            continue
        if np.isinf(lowest) or np.isinf(highest):
            yield f"variable {name!r} holds infinite values; a missing value is NaN."
            continue
        known = v.VARIABLES.get(name)
        if known is None:
            continue
        if known.valid_max is not None and highest > known.valid_max:
            percent = name in v.SOIL_MOISTURE and highest <= 100
            yield (
                f"variable {name!r} reaches {highest:g} {known.units}; at most {known.valid_max:g} is possible."
                + (_PERCENT_HINT if percent else "")
            )
        if known.valid_min is not None and lowest < known.valid_min:
            yield f"variable {name!r} goes down to {lowest:g} {known.units}; at least {known.valid_min:g} is possible."
