"""The xarray face of the kernel: scores by window of time from one read of the data, lazy where the data are lazy."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError, did_you_mean
from gsm3core.metrics.moments import PairedMoments, anomaly_moments, blocked_moments, rank_moments
from gsm3core.metrics.registry import METRICS, Series, metrics_named

WINDOW = "window"
SEASONS = ("DJF", "MAM", "JJA", "SON")
_MOMENT = "moment"
_CHUNK = "chunk"
_CALENDARS = ("all", "season", "month", "year")


def windowed_scores(
    predicted: xr.DataArray,
    observed: xr.DataArray,
    *,
    by: str | xr.DataArray = "all",
    metrics: Sequence[str] = tuple(METRICS),
    min_days: int = 2,
) -> xr.Dataset:
    """Score a product against observations in every window of time, from one read of the data.

    Parameters
    ----------
    predicted, observed
        Any dimensions with ``time`` (UTC days) among them, broadcast against each other; NaN is missing. Sites
        and days are matched by label. Dask arrays stay lazy; a time axis in several chunks is merged from the
        chunks' moments (ranks and anomalies need the whole axis and put it into one chunk).
    by
        ``"all"``, ``"season"`` (DJF, MAM, JJA, SON: calendar seasons, which south of the equator are the other
        half-year's), ``"month"``, ``"year"``, or labels of your own, one per day, with dimension ``time``; days
        with an empty label or NaN belong to no window.
    metrics
        Names in :data:`gsm3core.metrics.ALL_METRICS`.
    min_days
        Fewest paired days for a score.

    Returns
    -------
    xarray.Dataset
        One variable per metric and ``n_valid``, with dimension ``window`` in place of ``time``.
    """
    wanted = metrics_named(metrics)
    predicted, observed = xr.align(predicted, observed, join="inner", exclude=_all_dims(predicted, observed))
    windows = _windows(observed[v.TIME], by)
    scores = xr.Dataset()
    moments = {of: _moments(predicted, observed, windows, of) for of in {"values", *(m.of for m in wanted)}}
    count = moments["values"].isel({_MOMENT: 0}, drop=True)
    for metric in wanted:
        found = _apply(_from_moments(metric.from_moments), moments[metric.of])
        # Where anomalies or ranks are fewer than the paired days, their own number decides.
        own = moments[metric.of].isel({_MOMENT: 0}, drop=True)
        scores[metric.name] = found.where(own >= min_days).assign_attrs(
            units=metric.units, long_name=metric.meaning
        )
    scores["n_valid"] = count.fillna(0).assign_attrs(units="1", long_name="days valid in both series")
    return scores.assign_coords({WINDOW: [name for name, _ in windows]})


def _all_dims(*arrays: xr.DataArray) -> set[Hashable]:
    return {d for a in arrays for d in a.dims} - {v.SITE, v.TIME}


def _windows(time: xr.DataArray, by: str | xr.DataArray) -> list[tuple[Any, NDArray[np.bool_]]]:
    days = pd.DatetimeIndex(time.values)
    if isinstance(by, xr.DataArray):
        if by.dims != (v.TIME,):
            raise DatasetError(f"by has dimensions {by.dims}; expected ('time',): one label per day.")
        labels = by.reindex({v.TIME: time}).values
        return [(name, labels == name) for name in pd.unique(pd.Series(labels).dropna()) if name != ""]
    if by not in _CALENDARS:
        raise DatasetError(f"by is {by!r}, which is no window of time. {did_you_mean(by, _CALENDARS)}")
    if by == "all":
        return [("all", np.ones(len(days), bool))]
    if by == "season":
        season = np.array(SEASONS)[days.month.to_numpy() % 12 // 3]
        return [(name, season == name) for name in SEASONS]
    numbers = np.asarray(days.month if by == "month" else days.year)
    return [(int(name), numbers == name) for name in np.unique(numbers)]


def _moments(
    predicted: xr.DataArray, observed: xr.DataArray, windows: list[tuple[Any, NDArray[np.bool_]]], of: Series
) -> xr.DataArray:
    """Moments ``(..., window, moment)``, merged over the chunks of the time axis."""
    member = np.array([mask for _, mask in windows]).reshape(len(windows), -1)
    if of != "values":
        return _of_piece(_one_chunk(predicted), _one_chunk(observed), member, of)
    ends = np.cumsum([0, *_time_chunks(predicted, observed)])
    pieces = [
        _of_piece(
            _one_chunk(predicted.isel({v.TIME: slice(a, b)})),
            _one_chunk(observed.isel({v.TIME: slice(a, b)})),
            member[:, a:b],
            of,
        )
        for a, b in itertools.pairwise(ends)
    ]
    if len(pieces) == 1:
        return pieces[0]
    return xr.apply_ufunc(
        lambda packed: PairedMoments.from_array(np.moveaxis(packed, -3, 0)).merge(axis=0).to_array(),
        xr.concat(pieces, _CHUNK).chunk({_CHUNK: -1})
        if any(p.chunks for p in pieces)
        else xr.concat(pieces, _CHUNK),
        input_core_dims=[[_CHUNK, WINDOW, _MOMENT]],
        output_core_dims=[[WINDOW, _MOMENT]],
        dask="parallelized",
        output_dtypes=[np.float64],
    )


def _time_chunks(*arrays: xr.DataArray) -> tuple[int, ...]:
    for array in arrays:
        if array.chunks is not None:
            chunks: tuple[int, ...] = array.chunksizes[v.TIME]
            return chunks
    return (arrays[0].sizes[v.TIME],)


def _one_chunk(array: xr.DataArray) -> xr.DataArray:
    return array.chunk({v.TIME: -1}) if array.chunks is not None else array


def _of_piece(
    predicted: xr.DataArray, observed: xr.DataArray, member: NDArray[np.bool_], of: Series
) -> xr.DataArray:
    day_of_year = pd.DatetimeIndex(observed[v.TIME].values).day_of_year.to_numpy()

    def of_rows(x: NDArray[np.floating], y: NDArray[np.floating]) -> NDArray[np.float64]:
        return np.stack([m.to_array() for m in _by_window(x, y, member, of, day_of_year)], -2)

    return xr.apply_ufunc(
        of_rows,
        predicted,
        observed,
        input_core_dims=[[v.TIME], [v.TIME]],
        output_core_dims=[[WINDOW, _MOMENT]],
        dask="parallelized",
        dask_gufunc_kwargs={"output_sizes": {WINDOW: len(member), _MOMENT: 6}},
        output_dtypes=[np.float64],
    )


def _by_window(
    x: NDArray[np.floating], y: NDArray[np.floating], member: NDArray[np.bool_], of: Series, doy: NDArray[Any]
) -> Iterable[PairedMoments]:
    if of == "ranks":  # ranks of two windows do not merge: each window is ranked by itself
        return [rank_moments(x[..., days], y[..., days]) for days in member]
    changes = np.flatnonzero((member[:, 1:] != member[:, :-1]).any(0)) + 1
    edges = np.unique(np.concatenate([[0], changes, [member.shape[1]]])).astype(np.int64)
    if of == "values":
        blocks = blocked_moments(x, y, edges)
    else:
        blocks = anomaly_moments(
            x, y, edges=edges, day_of_year=doy if of == "climatology anomalies" else None
        )
    return [blocks.merge(where=mask[edges[:-1]]) for mask in member]


def _from_moments(formula: Any) -> Any:
    return lambda packed: formula(PairedMoments.from_array(packed))


def _apply(function: Any, moments: xr.DataArray) -> xr.DataArray:
    return xr.apply_ufunc(
        function,
        moments,
        input_core_dims=[[_MOMENT]],
        dask="parallelized",
        output_dtypes=[np.float64],
    )
