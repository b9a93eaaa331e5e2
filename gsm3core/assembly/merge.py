"""Finished pieces put together into one SiteDataset, lazily, so that it need not fit in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.assembly.collocate import DISTANCE
from gsm3core.assembly.sampling import Source
from gsm3core.assembly.variable_spec import Wanted
from gsm3core.assembly.work_cache import Piece
from gsm3core.config import Period
from gsm3core.files import STORE_CHUNKS

MIN_DAYS, MIN_MONTHS = 30, 12  # fewest of a long-term mean
_KEPT = ("units", "long_name", "standard_name", "source", "license", "cell_methods", "collocation", "flag_values",
         "flag_meanings", "overpass", "year")  # fmt: skip


@dataclass(slots=True)
class Sampled:
    """A source's finished pieces: those of its days, in order, with whether they lie in the dataset's period."""

    source: Source
    wanted: list[Wanted]
    days: list[tuple[Period, bool, Piece]] = field(default_factory=list)
    static: Piece | None = None

    @property
    def pieces(self) -> list[Piece]:
        """All of them."""
        return [p for _, _, p in self.days] + ([self.static] if self.static else [])


def compose(base: xr.Dataset, sampled: Sequence[Sampled]) -> tuple[xr.Dataset, dict[str, list[str]]]:
    """Return the dataset, its daily values lazy, and which of the stations' own variables were replaced.

    Parameters
    ----------
    base
        Sites with their records, on the dataset's days.
    sampled
        Of every gridded source.
    """
    made: dict[str, xr.DataArray] = {}
    products: dict[str, xr.DataArray] = {}
    for one in sampled:
        daily = _series(one) if any(inside for _, inside, _ in one.days) else xr.Dataset()
        for w in one.wanted:
            if w.role == "product" and w.name != v.SM_SMAP:
                products[w.name] = daily[w.daily_name]
            elif w.role in ("forcing", "product"):
                made[w.name] = _described(daily[w.daily_name], w.name)
            elif w.static:
                assert one.static is not None
                with xr.open_dataset(one.static.path, engine="h5netcdf") as ds:
                    made[w.name] = _described(ds[w.variable].load(), w.name)
            else:
                made[w.name] = _mean(one, w)
    replaced = {"replaced": sorted(set(made) & set(map(str, base.data_vars)))}
    out = base.assign(
        {n: a.drop_vars([c for c in a.coords if c not in (v.SITE, v.TIME)]) for n, a in made.items()}
    )
    if products:
        layers = xr.concat(
            list(products.values()),
            dim=v.PRODUCT,
            join="exact",
            combine_attrs="drop",
            coords="minimal",
            compat="override",
        )
        out = out.assign_coords({v.PRODUCT: list(products)}).assign({v.SM_PRODUCT: layers.astype(np.float32)})
        out[v.SM_PRODUCT].attrs = _of_products(products)
    out = out.transpose(v.PRODUCT, v.SITE, v.TIME, missing_dims="ignore")
    return out.assign(
        {n: a.chunk(STORE_CHUNKS) for n, a in out.data_vars.items() if v.TIME in a.dims}
    ), replaced


def distances(one: Sampled) -> np.ndarray | None:
    """Return the distance from each site to the centre of the source's nearest cell, km.

    NaN outside its grid; None if no file of the source was read.
    """
    for piece in one.pieces:
        with xr.open_dataset(piece.path, engine="h5netcdf") as ds:
            if DISTANCE in ds:
                return ds[DISTANCE].to_numpy()
    return None


def _series(one: Sampled) -> xr.Dataset:
    """Open the pieces of the dataset's days as one; attributes are of the first that has data."""
    paths = [str(p.path) for _, inside, p in one.days if inside]
    ds = xr.open_mfdataset(
        paths, engine="h5netcdf", combine="nested", concat_dim=v.TIME, data_vars="minimal", coords="minimal",
        compat="override", join="exact", combine_attrs="override", chunks={v.SITE: 4096},
    ).drop_vars(DISTANCE, errors="ignore")  # fmt: skip
    missing = set(map(str, ds.data_vars))
    for path in paths:
        with xr.open_dataset(Path(path), engine="h5netcdf") as piece:
            for name in [n for n in missing if "units" in piece[n].attrs]:
                ds[name].attrs = piece[name].attrs
                missing.discard(name)
        if not missing:
            break
    return ds


def _mean(one: Sampled, wanted: Wanted) -> xr.DataArray:
    """Average the pieces one after the other, in double precision."""
    days = wanted.days
    assert days is not None
    total: Any = 0.0
    count: Any = 0
    attrs: dict[str, Any] = {}
    for run, _, piece in one.days:
        if not wanted.averages(run):
            continue
        with _loaded(piece.path, wanted.daily_name) as array:
            total = total + array.astype(np.float64).sum(v.TIME)
            count = count + array.notnull().sum(v.TIME)
            attrs = attrs or dict(array.attrs)
    needed = MIN_MONTHS if one.source.entry.step == "P1M" else MIN_DAYS
    unit = "months" if one.source.entry.step == "P1M" else "days"
    mean: xr.DataArray = (total / np.maximum(count, 1)).where(count >= needed).astype(np.float32)
    mean.attrs = {k: x for k, x in attrs.items() if k in _KEPT} | {
        "cell_methods": "time: mean",
        "averaged": f"{days.start} to {days.end}, at least {needed} {unit}",
    }
    return _described(mean, wanted.name, f"long-term mean of {attrs.get('long_name', wanted.variable)}")


@contextmanager
def _loaded(path: Path, name: str) -> Iterator[xr.DataArray]:
    with xr.open_dataset(path, engine="h5netcdf") as ds:
        yield ds[name].load()


def _described(array: xr.DataArray, name: str, long_name: str = "") -> xr.DataArray:
    known = v.VARIABLES.get(name)
    out = array.astype(np.float32)
    out.attrs = {k: x for k, x in array.attrs.items() if k in _KEPT or k == "averaged"}
    if long_name:
        out.attrs["long_name"] = long_name
    if known:
        out.attrs["long_name"] = known.long_name
        if known.standard_name:
            out.attrs["standard_name"] = known.standard_name
    return out


def _of_products(products: dict[str, xr.DataArray]) -> dict[str, str]:
    known = v.VARIABLES[v.SM_PRODUCT]
    told = {
        k: " + ".join(f"{n}: {a.attrs.get(k, '')}" for n, a in products.items())
        for k in ("source", "license")
    }
    return {
        "units": known.units,
        "long_name": known.long_name,
        "standard_name": known.standard_name or "",
        **told,
    }
