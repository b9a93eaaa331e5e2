"""The Reader protocol, and conversion of variables to canonical names, units and attributes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.config import Period
from gsm3core.errors import DatasetError


class Reader(Protocol):
    """Opens the files of one source with canonical names and units."""

    def open(self, root: Path, period: Period | None = None) -> xr.Dataset:
        """Return ``(site, time)`` variables, attributes ``(site)`` and the coordinates lat and lon.

        Parameters
        ----------
        root
            File or folder of the source.
        period
            Days to keep; all by default.

        Raises
        ------
        DatasetError
            If the files are missing, unreadable or have another layout.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """Conversion of one variable of a source to canonical units: ``value * scale + offset``.

    Parameters
    ----------
    theirs
        Name in the source.
    units
        Units that the source must state; ``None`` where it states none.
    source
        Origin of the values, for the variable's attributes.
    long_name, our_units
        For variables that are not in the vocabulary.
    days
        First and last day of a climatology; a run compares them with its test days.
    """

    theirs: str
    units: str | None
    source: str
    scale: float = 1.0
    offset: float = 0.0
    long_name: str = ""
    our_units: str = "1"
    days: tuple[str, str] | None = None


def open_netcdf(path: Path, needed: list[str], what: str) -> xr.Dataset:
    """Open a netCDF-4 file and check that it has the needed variables.

    Raises
    ------
    DatasetError
        Naming the file and the missing variables.
    """
    if not path.is_file():
        raise DatasetError(f"{path} does not exist or is not a file; expected a netCDF-4 file ({what}).")
    try:
        ds = xr.open_dataset(path, engine="h5netcdf")
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read as netCDF-4: {error}.") from error
    if missing := [n for n in needed if n not in ds.variables]:
        raise DatasetError(
            f"{path} is not {what}: it lacks {', '.join(missing)}. It has: {', '.join(sorted(map(str, ds.variables)))}."
        )
    return ds


def convert_variables(ds: xr.Dataset, table: dict[str, Conversion], path: Path) -> dict[str, xr.DataArray]:
    """Return the canonical variables of a source.

    Raises
    ------
    DatasetError
        If a variable states other units than the table expects.
    """
    converted = {}
    for ours, t in table.items():
        array = ds[t.theirs]
        stated = array.attrs.get("units")
        if t.units is not None and stated != t.units:
            raise DatasetError(
                f"{path}: {t.theirs!r} has units {stated!r}; expected {t.units!r}. Use a file with these units."
            )
        known = v.VARIABLES.get(ours)
        values = array.astype(np.float64) * t.scale + t.offset
        converted[ours] = values.astype(np.float32)
        converted[ours].attrs = {
            "units": known.units if known else t.our_units,
            "long_name": t.long_name or (known.long_name if known else ours),
            "source": t.source,
        }
        if known and known.standard_name:
            converted[ours].attrs["standard_name"] = known.standard_name
        if t.days:
            converted[ours].attrs |= {v.PERIOD_START: t.days[0], v.PERIOD_END: t.days[1]}
    return converted


def convert_classes(array: xr.DataArray, ours: str, source: str) -> xr.DataArray:
    """Return a categorical attribute with its classes as CF ``flag_values`` and ``flag_meanings``."""
    classes = v.CLASSES[ours]
    converted = array.astype(np.float32) if array.dtype.kind == "f" else array.astype(np.int16)
    converted.attrs = {
        "units": "1",
        "long_name": v.VARIABLES[ours].long_name,
        "source": source,
        "flag_values": np.array(list(classes), np.int16),
        "flag_meanings": " ".join(m.replace(" ", "_") for m in classes.values()),
    }
    return converted


def select_period(ds: xr.Dataset, period: Period | None) -> xr.Dataset:
    """Return the days of a period; all for None.

    Raises
    ------
    DatasetError
        If no day is left.
    """
    if period is None:
        return ds
    kept = ds.sel({v.TIME: slice(str(period.start), str(period.end))})
    if not kept.sizes[v.TIME]:
        raise DatasetError(
            f"no day of {period.start} to {period.end} is in the source, which has "
            f"{str(ds[v.TIME].values[0])[:10]} to {str(ds[v.TIME].values[-1])[:10]}."
        )
    return kept
