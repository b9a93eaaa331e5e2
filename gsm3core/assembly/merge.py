"""Merge sites and sampled sources into one SiteDataset, lazily, so that it need not fit in memory."""

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
from gsm3core.assembly.mean_records import with_record
from gsm3core.assembly.sampling import Source
from gsm3core.assembly.variable_spec import VariableSpec
from gsm3core.assembly.work_cache import CachedPiece
from gsm3core.config import Period
from gsm3core.download.fetch import FetchResult
from gsm3core.files import STORE_CHUNKS
from gsm3core.scaling.long_term_means import MIN_DAYS, MIN_MONTHS

_KEPT_ATTRIBUTES = ("units", "long_name", "standard_name", "source", "license", "cell_methods", "collocation",
                    "flag_values", "flag_meanings", "overpass", "year", "grid")  # fmt: skip


@dataclass(slots=True)
class SampledSource:
    """A source sampled at the sites.

    Parameters
    ----------
    source
        The source.
    variables
        Its variables in the dataset.
    chunks
        Days, whether they lie in the dataset's period, and the piece with their values, in order of time.
    static
        The piece of a source without time.
    download
        What was downloaded for a source of values at points.
    """

    source: Source
    variables: list[VariableSpec]
    chunks: list[tuple[Period, bool, CachedPiece]] = field(default_factory=list)
    static: CachedPiece | None = None
    download: FetchResult | None = None

    @property
    def pieces(self) -> list[CachedPiece]:
        """All pieces."""
        return [p for _, _, p in self.chunks] + ([self.static] if self.static else [])


def merge_sources(
    base: xr.Dataset, sampled: Sequence[SampledSource]
) -> tuple[xr.Dataset, dict[str, list[str]]]:
    """Return the dataset with lazy daily values, and the names of the stations' own variables that were replaced.

    Parameters
    ----------
    base
        Sites with their records, on the dataset's days.
    sampled
        All gridded sources.
    """
    inputs: dict[str, xr.DataArray] = {}
    products: dict[str, xr.DataArray] = {}
    for source in sampled:
        in_period = any(inside for _, inside, _ in source.chunks)
        daily = _open_daily(source) if in_period else xr.Dataset()
        for spec in source.variables:
            if spec.role == "product" and spec.name != v.SM_SMAP:
                products[spec.name] = daily[spec.daily_name]
            elif spec.role in ("forcing", "product"):
                inputs[spec.name] = _with_attributes(daily[spec.daily_name], spec.name)
            elif spec.is_static:
                assert source.static is not None
                with xr.open_dataset(source.static.path, engine="h5netcdf") as ds:
                    inputs[spec.name] = _with_attributes(ds[spec.variable].load(), spec.name)
            else:
                mean = _long_term_mean(source, spec)
                inputs |= with_record(
                    mean, spec, source.variables, daily, base[v.TIME], monthly=_is_monthly(source)
                )
    replaced = {"replaced": sorted(set(inputs) & set(map(str, base.data_vars)))}
    out = base.assign(
        {n: a.drop_vars([c for c in a.coords if c not in (v.SITE, v.TIME)]) for n, a in inputs.items()}
    )
    if products:
        stacked = xr.concat(
            list(products.values()),
            dim=v.PRODUCT,
            join="exact",
            combine_attrs="drop",
            coords="minimal",
            compat="override",
        )
        out = out.assign_coords({v.PRODUCT: list(products)}).assign(
            {v.SM_PRODUCT: stacked.astype(np.float32)}
        )
        out[v.SM_PRODUCT].attrs = _product_attributes(products)
    out = out.transpose(v.PRODUCT, v.SITE, v.TIME, missing_dims="ignore")
    return out.assign(
        {n: a.chunk(STORE_CHUNKS) for n, a in out.data_vars.items() if v.TIME in a.dims}
    ), replaced


def _is_monthly(sampled: SampledSource) -> bool:
    return sampled.source.entry.step == "P1M"


def cell_distances(sampled: SampledSource) -> np.ndarray | None:
    """Return the distance from each site to the centre of the source's nearest cell, km.

    NaN outside the source's grid; None if no file of the source was read.
    """
    for piece in sampled.pieces:
        with xr.open_dataset(piece.path, engine="h5netcdf") as ds:
            if DISTANCE in ds:
                return ds[DISTANCE].to_numpy()
    return None


def _open_daily(sampled: SampledSource) -> xr.Dataset:
    """Open the pieces of the dataset's period as one; attributes are those of the first piece with data."""
    paths = [str(p.path) for _, inside, p in sampled.chunks if inside]
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


def _long_term_mean(sampled: SampledSource, spec: VariableSpec) -> xr.DataArray:
    """Average one piece after the other, in double precision."""
    days = spec.days
    assert days is not None
    total: Any = 0.0
    count: Any = 0
    attrs: dict[str, Any] = {}
    for chunk, _, piece in sampled.chunks:
        if not spec.averages(chunk):
            continue
        with _loaded(piece.path, spec.daily_name) as array:
            total = total + array.astype(np.float64).sum(v.TIME)
            count = count + array.notnull().sum(v.TIME)
            attrs = attrs or dict(array.attrs)
    needed, unit = (MIN_MONTHS, "months") if _is_monthly(sampled) else (MIN_DAYS, "days")
    mean: xr.DataArray = (total / np.maximum(count, 1)).where(count >= needed).astype(np.float32)
    mean.attrs = {k: x for k, x in attrs.items() if k in _KEPT_ATTRIBUTES} | {
        "cell_methods": "time: mean",
        "averaged": f"{days.start} to {days.end}, at least {needed} {unit}",
        v.PERIOD_START: str(days.start),
        v.PERIOD_END: str(days.end),
    }
    return _with_attributes(mean, spec.name, f"long-term mean of {attrs.get('long_name', spec.variable)}")


@contextmanager
def _loaded(path: Path, name: str) -> Iterator[xr.DataArray]:
    with xr.open_dataset(path, engine="h5netcdf") as ds:
        yield ds[name].load()


def _with_attributes(array: xr.DataArray, name: str, long_name: str = "") -> xr.DataArray:
    known = v.VARIABLES.get(name)
    out = array.astype(np.float32)
    kept = (*_KEPT_ATTRIBUTES, "averaged", v.PERIOD_START, v.PERIOD_END)
    out.attrs = {k: x for k, x in array.attrs.items() if k in kept}
    if long_name:
        out.attrs["long_name"] = long_name
    if known:
        out.attrs["long_name"] = known.long_name
        if known.standard_name:
            out.attrs["standard_name"] = known.standard_name
    return out


def _product_attributes(products: dict[str, xr.DataArray]) -> dict[str, str]:
    known = v.VARIABLES[v.SM_PRODUCT]
    by_product = {
        k: " + ".join(f"{n}: {a.attrs.get(k, '')}" for n, a in products.items())
        for k in ("source", "license", "collocation")
    }
    return {
        "units": known.units,
        "long_name": known.long_name,
        "standard_name": known.standard_name or "",
        **by_product,
    }
