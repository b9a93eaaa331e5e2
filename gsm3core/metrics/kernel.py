"""Compiled loops over rows of days: block moments, spans, resampled errors.

Variances are computed in two passes, which avoids cancellation; the second pass reads the row from the cache. The
loops release the interpreter lock and run in plain threads: unlike numba's own parallel loops they may run inside
dask, inside a server's threads and after a fork.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import joblib
import numba
import numpy as np

# Sums may be reordered, so that they can be vectorised; NaN and infinity keep their meaning.
_FASTMATH = {"reassoc", "contract", "nsz", "arcp"}
# Below this many values, threads cost more than they save.
_MIN_VALUES_FOR_THREADS = 1_000_000


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a loop, with a cache on disk where one can be written."""
    options: dict[str, Any] = {"nogil": True, "fastmath": _FASTMATH}
    try:
        fast: Callable[..., Any] = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # nowhere to write a cache: compile once per process
        fast = numba.njit(**options)(function)
    return fast


def over_rows(function: Callable[..., Any], rows: int, values: int, *args: Any) -> None:
    """Call ``function(*args, first, last)`` over all rows, with one thread per processor.

    Parameters
    ----------
    function
        Compiled; writes the rows ``first`` to ``last - 1`` of its output.
    rows, values
        Number of rows and of all values.
    """
    threads = min(joblib.cpu_count(), 16)
    if threads < 2 or rows < 2 or values < _MIN_VALUES_FOR_THREADS:
        function(*args, 0, rows)
        return
    # More parts than threads, so that a processor busy elsewhere delays only a small part.
    edges = np.unique(np.linspace(0, rows, 4 * threads + 1).astype(int))
    with ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(function, *args, a, b) for a, b in itertools.pairwise(edges)]:
            future.result()


@compiled
def block_moments(x, y, lag, edges, out, first, last):  # type: ignore[no-untyped-def]
    """Moments of ``x[i, t + lag]`` with ``y[i % len(y), t]`` for the days t of each block."""
    for i in range(first, last):
        a_row = x[i]
        c_row = y[i % y.shape[0]]
        for b in range(edges.shape[0] - 1):
            n = 0
            sum_x = 0.0
            sum_y = 0.0
            for t in range(edges[b], edges[b + 1]):
                a = np.float64(a_row[t + lag])
                c = np.float64(c_row[t])
                ok = (abs(a) < np.inf) & (abs(c) < np.inf)
                n += 1 if ok else 0
                sum_x += a if ok else 0.0
                sum_y += c if ok else 0.0
            out[i, b, 0] = n
            if n == 0:
                out[i, b, 1:] = np.nan
                continue
            mean_x = sum_x / n
            mean_y = sum_y / n
            xx = 0.0
            yy = 0.0
            xy = 0.0
            for t in range(edges[b], edges[b + 1]):
                a = np.float64(a_row[t + lag])
                c = np.float64(c_row[t])
                ok = (abs(a) < np.inf) & (abs(c) < np.inf)
                dx = a - mean_x if ok else 0.0
                dy = c - mean_y if ok else 0.0
                xx += dx * dx
                yy += dy * dy
                xy += dx * dy
            out[i, b, 1] = mean_x
            out[i, b, 2] = mean_y
            out[i, b, 3] = xx / n
            out[i, b, 4] = yy / n
            out[i, b, 5] = xy / n


@compiled
def paired_span(x, y, out, first, last):  # type: ignore[no-untyped-def]
    """First and last day valid in both series (-1 if there is none), and the number of such days."""
    for i in range(first, last):
        a_row = x[i]
        c_row = y[i % y.shape[0]]
        n = 0
        start = a_row.shape[0]
        end = -1
        for t in range(a_row.shape[0]):
            ok = (abs(a_row[t]) < np.inf) & (abs(c_row[t]) < np.inf)
            n += 1 if ok else 0
            start = min(start, t if ok else start)
            end = max(end, t if ok else end)
        out[i, 0] = start if n else -1
        out[i, 1] = end
        out[i, 2] = n


@compiled
def resampled_differences(sums, counts, mean, out, first, last):  # type: ignore[no-untyped-def]
    """Bias (minus ``mean``), mean squared error and unbiased mean squared error of every bootstrap replicate.

    ``sums`` are n and the first and second sums of the difference about ``mean``, per row and block; ``counts`` are
    per block and replicate. Single precision suffices because the differences are centred.
    """
    replicates = counts.shape[1]
    for i in range(first, last):
        n = np.zeros(replicates, np.float32)
        s = np.zeros(replicates, np.float32)
        q = np.zeros(replicates, np.float32)
        for b in range(counts.shape[0]):
            here = sums[i, b, 0]
            if here > 0:
                one = sums[i, b, 1]
                two = sums[i, b, 2]
                count = counts[b]
                for r in range(replicates):
                    n[r] += count[r] * here
                    s[r] += count[r] * one
                    q[r] += count[r] * two
        centre = np.float32(mean[i])
        for r in range(replicates):
            if n[r] > 0:
                d = s[r] / n[r]
                rest = max(q[r] / n[r] - d * d, np.float32(0))
                out[0, i, r] = d
                out[1, i, r] = rest + (centre + d) * (centre + d)
                out[2, i, r] = rest
            else:
                out[0, i, r] = np.nan
                out[1, i, r] = np.nan
                out[2, i, r] = np.nan
