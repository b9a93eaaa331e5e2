"""Compiled loops for moments of ranks and of anomalies from a moving mean or a climatology."""

from __future__ import annotations

import numpy as np

from gsm3core.metrics.kernel import block_moments, compiled


@compiled
def _moments_of(a, c, edges, out):  # type: ignore[no-untyped-def]
    one = np.empty((1, a.shape[0]))
    two = np.empty((1, a.shape[0]))
    one[0] = a
    two[0] = c
    full = np.empty((1, edges.shape[0] - 1, 6))
    block_moments(one, two, 0, edges, full, 0, 1)
    out[:] = full[0]


@compiled
def _ranks(v):  # type: ignore[no-untyped-def]
    """Ranks from 1; ties share their mean rank."""
    order = np.argsort(v)
    ranks = np.empty(v.shape[0])
    k = 0
    while k < v.shape[0]:
        end = k
        while end + 1 < v.shape[0] and v[order[end + 1]] == v[order[k]]:
            end += 1
        for j in range(k, end + 1):
            ranks[order[j]] = 0.5 * (k + end) + 1.0
        k = end + 1
    return ranks


@compiled
def rank_moments(x, y, edges, out, first, last):  # type: ignore[no-untyped-def]
    """Moments of the ranks over the paired days of each block."""
    for i in range(first, last):
        a_row = x[i]
        c_row = y[i % y.shape[0]]
        for b in range(edges.shape[0] - 1):
            size = edges[b + 1] - edges[b]
            a = np.empty(size)
            c = np.empty(size)
            n = 0
            for t in range(edges[b], edges[b + 1]):
                if abs(a_row[t]) < np.inf and abs(c_row[t]) < np.inf:
                    a[n] = a_row[t]
                    c[n] = c_row[t]
                    n += 1
            _moments_of(_ranks(a[:n]), _ranks(c[:n]), np.array([0, n]), out[i, b : b + 1])


@compiled
def _moving_mean_anomaly(v, half, min_days, out):  # type: ignore[no-untyped-def]
    """Anomaly from the mean of the valid values within ``half`` days; NaN with fewer than ``min_days`` of them."""
    days = v.shape[0]
    total = 0.0
    n = 0
    for t in range(days):
        if abs(v[t]) < np.inf:
            total += v[t]
            n += 1
    shift = total / n if n else 0.0
    sums = np.zeros(days + 1)
    counts = np.zeros(days + 1, np.int64)
    for t in range(days):
        ok = abs(v[t]) < np.inf
        sums[t + 1] = sums[t] + (v[t] - shift if ok else 0.0)
        counts[t + 1] = counts[t] + (1 if ok else 0)
    for t in range(days):
        low = max(0, t - half)
        high = min(days, t + half + 1)
        inside = counts[high] - counts[low]
        if abs(v[t]) < np.inf and inside >= min_days:
            out[t] = v[t] - shift - (sums[high] - sums[low]) / inside
        else:
            out[t] = np.nan


@compiled
def _climatology_anomaly(v, day_of_year, half, min_days, out):  # type: ignore[no-untyped-def]
    """Anomaly from the mean over all years of the days within ``half`` days of this day of the year."""
    total = 0.0
    n = 0
    for t in range(v.shape[0]):
        if abs(v[t]) < np.inf:
            total += v[t]
            n += 1
    shift = total / n if n else 0.0
    sums = np.zeros(366)
    counts = np.zeros(366, np.int64)
    for t in range(v.shape[0]):
        if abs(v[t]) < np.inf:
            sums[day_of_year[t] - 1] += v[t] - shift
            counts[day_of_year[t] - 1] += 1
    mean = np.empty(366)
    for d in range(366):
        s = 0.0
        k = 0
        for j in range(d - half, d + half + 1):
            s += sums[j % 366]
            k += counts[j % 366]
        mean[d] = s / k if k >= min_days and k > 0 else np.nan
    for t in range(v.shape[0]):
        out[t] = v[t] - shift - mean[day_of_year[t] - 1] if abs(v[t]) < np.inf else np.nan


@compiled
def anomaly_moments(x, y, day_of_year, half, min_days, edges, out, first, last):  # type: ignore[no-untyped-def]
    """Moments of the anomalies of both series over their paired days.

    An empty ``day_of_year`` selects the moving window.
    """
    for i in range(first, last):
        a_row = x[i]
        c_row = y[i % y.shape[0]]
        days = a_row.shape[0]
        a = np.empty(days)
        c = np.empty(days)
        for t in range(days):
            ok = (abs(a_row[t]) < np.inf) & (abs(c_row[t]) < np.inf)
            a[t] = a_row[t] if ok else np.nan
            c[t] = c_row[t] if ok else np.nan
        da = np.empty(days)
        dc = np.empty(days)
        if day_of_year.shape[0] == 0:
            _moving_mean_anomaly(a, half, min_days, da)
            _moving_mean_anomaly(c, half, min_days, dc)
        else:
            _climatology_anomaly(a, day_of_year, half, min_days, da)
            _climatology_anomaly(c, day_of_year, half, min_days, dc)
        _moments_of(da, dc, edges, out[i])
