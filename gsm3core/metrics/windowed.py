"""Scores by time window (season, month, year or labels) for DataArrays; Dask arrays stay lazy."""

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
from gsm3core.metrics.registry import METRICS, Series, paired_metrics

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
    """Score a product against observations in every time window.

    Parameters
    ----------
    predicted, observed
        Any dimensions with ``time`` (UTC days) among them, broadcast against each other; NaN is missing. Sites
        and days are matched by label. Dask arrays stay lazy; chunks of the time axis are scored by merging their
        moments (ranks and anomalies need the whole axis and rechunk it to one chunk).
    by
        ``"all"``, ``"season"`` (calendar seasons DJF, MAM, JJA, SON, also in the southern hemisphere), ``"month"``,
        ``"year"``, or labels of your own, one per day, with dimension ``time``; days with an empty label or NaN
        belong to no window.
    metrics
        Names in :data:`gsm3core.metrics.PAIRED_METRICS`.
    min_days
        Fewest paired days for a score.

    Returns
    -------
    xarray.Dataset
        One variable per metric and ``n_valid``, with dimension ``window`` in place of ``time``.
    """
    wanted = paired_metrics(metrics)
    predicted, observed = xr.align(predicted, observed, join="inner", exclude=_all_dims(predicted, observed))
    windows = _windows(observed[v.TIME], by)
    scores = xr.Dataset()
    kinds: set[Series] = {"values", *(m.computed_on for m in wanted)}
    moments = {kind: _moments(predicted, observed, windows, kind) for kind in kinds}
    count = moments["values"].isel({_MOMENT: 0}, drop=True)
    for metric in wanted:
        score = _apply(_from_moments(metric.from_moments), moments[metric.computed_on])
        # A day without an anomaly does not count towards min_days.
        own_count = moments[metric.computed_on].isel({_MOMENT: 0}, drop=True)
        scores[metric.name] = score.where(own_count >= min_days).assign_attrs(
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
            raise DatasetError(f"by has dimensions {by.dims}. Expected ('time',): one label per day.")
        labels = by.reindex({v.TIME: time}).values
        return [(name, labels == name) for name in pd.unique(pd.Series(labels).dropna()) if name != ""]
    if by not in _CALENDARS:
        raise DatasetError(f"unknown time window by={by!r}. {did_you_mean(by, _CALENDARS)}")
    if by == "all":
        return [("all", np.ones(len(days), bool))]
    if by == "season":
        season = np.array(SEASONS)[days.month.to_numpy() % 12 // 3]
        return [(name, season == name) for name in SEASONS]
    numbers = np.asarray(days.month if by == "month" else days.year)
    return [(int(name), numbers == name) for name in np.unique(numbers)]


def _moments(
    predicted: xr.DataArray,
    observed: xr.DataArray,
    windows: list[tuple[Any, NDArray[np.bool_]]],
    kind: Series,
) -> xr.DataArray:
    """Moments ``(..., window, moment)``, merged over the chunks of the time axis."""
    member = np.array([mask for _, mask in windows]).reshape(len(windows), -1)
    if kind != "values":
        return _chunk_moments(_one_chunk(predicted), _one_chunk(observed), member, kind)
    ends = np.cumsum([0, *_time_chunks(predicted, observed)])
    chunks = [
        _chunk_moments(
            _one_chunk(predicted.isel({v.TIME: slice(a, b)})),
            _one_chunk(observed.isel({v.TIME: slice(a, b)})),
            member[:, a:b],
            kind,
        )
        for a, b in itertools.pairwise(ends)
    ]
    if len(chunks) == 1:
        return chunks[0]
    return xr.apply_ufunc(
        lambda packed: PairedMoments.from_array(np.moveaxis(packed, -3, 0)).merge(axis=0).to_array(),
        xr.concat(chunks, _CHUNK).chunk({_CHUNK: -1})
        if any(c.chunks for c in chunks)
        else xr.concat(chunks, _CHUNK),
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


def _chunk_moments(
    predicted: xr.DataArray, observed: xr.DataArray, member: NDArray[np.bool_], kind: Series
) -> xr.DataArray:
    day_of_year = pd.DatetimeIndex(observed[v.TIME].values).day_of_year.to_numpy()

    def row_moments(x: NDArray[np.floating], y: NDArray[np.floating]) -> NDArray[np.float64]:
        return np.stack([m.to_array() for m in _window_moments(x, y, member, kind, day_of_year)], -2)

    return xr.apply_ufunc(
        row_moments,
        predicted,
        observed,
        input_core_dims=[[v.TIME], [v.TIME]],
        output_core_dims=[[WINDOW, _MOMENT]],
        dask="parallelized",
        dask_gufunc_kwargs={"output_sizes": {WINDOW: len(member), _MOMENT: 6}},
        output_dtypes=[np.float64],
    )


def _window_moments(
    x: NDArray[np.floating],
    y: NDArray[np.floating],
    member: NDArray[np.bool_],
    kind: Series,
    doy: NDArray[Any],
) -> Iterable[PairedMoments]:
    if kind == "ranks":  # rank moments of two windows cannot be merged
        return [rank_moments(x[..., days], y[..., days]) for days in member]
    changes = np.flatnonzero((member[:, 1:] != member[:, :-1]).any(0)) + 1
    edges = np.unique(np.concatenate([[0], changes, [member.shape[1]]])).astype(np.int64)
    if kind == "values":
        blocks = blocked_moments(x, y, edges)
    else:
        blocks = anomaly_moments(
            x, y, edges=edges, day_of_year=doy if kind == "climatology anomalies" else None
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
