"""A dataset's inputs as arrays: daily forcings, gap filling, and each site's record."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.catalog import selections
from gsm3core.config import DataConfig
from gsm3core.errors import DatasetError, did_you_mean
from gsm3core.schema import attribute_names, daily_precipitation, forcing_names, target_names


def record_span(ds: xr.Dataset, forcings: Iterable[str]) -> NDArray[np.bool_]:
    """Return the mask of each site's record ``(site, time)``: from its first to its last day with any forcing.

    Joined datasets have sites with different periods on one time axis; models neither train nor predict outside a
    site's record.
    """
    known = np.zeros((ds.sizes[v.SITE], ds.sizes[v.TIME]), bool)
    for name in forcings:
        known |= np.isfinite(ds[name].transpose(v.SITE, v.TIME).values)
    after_first = np.maximum.accumulate(known, axis=1)
    before_last = np.maximum.accumulate(known[:, ::-1], axis=1)[:, ::-1]
    return after_first & before_last


def forcing(ds: xr.Dataset, name: str, *, transform: bool, fill: str) -> NDArray[np.float64]:
    """Return one unscaled forcing ``(site, time)``.

    Parameters
    ----------
    transform
        Whether it is precipitation to be log-transformed, in mm d-1 (:func:`log_transform`).
    fill
        ``data.fill_forcing`` of the configuration.
    """
    array = ds[name].transpose(v.SITE, v.TIME).astype(np.float64)
    if transform:
        array = array.copy(data=daily_precipitation(ds, name))
    if fill == "interpolate":
        array = array.interpolate_na(v.TIME, max_gap=np.timedelta64(8, "D"))
    values: NDArray[np.float64] = array.values
    return log_transform(values) if transform else values


def log_transform(rain: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log10(sqrt(x) + 0.1), which reduces the skewness of daily precipitation (as in hydroDL)."""
    return np.log10(np.sqrt(np.maximum(rain, 0)) + 0.1)


def input_names(ds: xr.Dataset, data: DataConfig) -> tuple[list[str], list[str], list[str]]:
    """Return the names of the configured forcings, attributes and training targets; by default all of the dataset.

    Raises
    ------
    DatasetError
        If the dataset lacks some of them (all are listed), or has no forcing.
    """
    forcings, attributes, targets = data.forcings, data.attributes, data.targets
    require_variables(ds, forcing=forcings or (), attribute=attributes or (), target=targets or ())
    names = list(forcings) if forcings is not None else forcing_names(ds)
    if not names:
        raise DatasetError(
            "The dataset has no forcing: expected at least one (site, time) input besides soil moisture."
        )
    return (
        names,
        list(attributes) if attributes is not None else attribute_names(ds),
        list(targets) if targets is not None else target_names(ds),
    )


def require_variables(
    ds: xr.Dataset,
    *,
    forcing: Iterable[str] = (),
    attribute: Iterable[str] = (),
    target: Iterable[str] = (),
) -> None:
    """Raise unless the dataset has all these variables in these roles.

    Raises
    ------
    DatasetError
        Lists every variable that is missing, its source in the data catalogue, and what the dataset has.

    Notes
    -----
    The role matters, not only the name: soil moisture must not be a forcing.
    """
    problems, missing = [], []
    for role, names, has in (
        ("forcing", forcing, forcing_names(ds)),
        ("attribute", attribute, attribute_names(ds)),
        ("target", target, target_names(ds)),
    ):
        wrong = [n for n in names if n not in has]
        absent = [n for n in wrong if n not in ds]
        missing += absent
        problems += [f"{n!r} cannot be used as {role}" for n in wrong if n in ds]
        problems += [_absent(absent, role, has)] if absent else []
        problems += [f"{role}s of the dataset: {', '.join(has) or 'none'}"] if wrong else []
    if problems:
        text = "The dataset lacks variables that the configuration needs:\n"
        text += "\n".join(f"  - {p}" for p in problems)
        text += (
            "\nBuild a dataset with them, or choose others (data.forcings, data.attributes, data.targets)."
        )
        if any(map(_source, missing)):
            text += " gsm3 data describe SOURCE shows how to obtain a source; docs/data.md, how to build the dataset."
        raise DatasetError(text)


def _absent(names: list[str], role: str, has: list[str]) -> str:
    similar = [did_you_mean(n, has) for n in names if not _source(n)]
    if len(names) > 1:
        listed = ", ".join(f"{n!r}" + (f" (source {_source(n)})" if _source(n) else "") for n in names)
        text = f"{role}s {listed} are not in the dataset"
    else:
        source = _source(names[0])
        text = f"{role} {names[0]!r} is not in the dataset" + (f" (source {source})" if source else "")
    return ". ".join([text, *(s for s in similar if s.startswith("Did"))])


def _source(name: str) -> str:
    """Return the catalogue's source of an input of its selections; empty if none has the name."""
    for selection in selections().values():
        for item in (*selection.forcings, *selection.attributes):
            if item.name == name:
                return item.source
    return ""
