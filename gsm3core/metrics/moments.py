"""Paired moments of two series, computed per block of days and merged into any window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
# A smaller ratio of variance to squared mean is rounding: a standard deviation of 1e-10 of the mean.
_ROUNDING = 1e-20

ANOMALY_DAYS = 35
ANOMALY_MIN_DAYS = 5


@dataclass(frozen=True, slots=True)
class PairedMoments:
    """Moments over the days valid in both series; every field has the series' shape without time.

    Parameters
    ----------
    n
        Paired days.
    mean_x, mean_y
        Means of prediction and observation over paired days; NaN where ``n`` is 0.
    var_x, var_y, cov
        Centred second moments, divided by ``n``; computed in two passes, which avoids cancellation.
    """

    n: NDArray[np.int64]
    mean_x: Array
    mean_y: Array
    var_x: Array
    var_y: Array
    cov: Array

    @classmethod
    def from_array(cls, packed: Array) -> PairedMoments:
        """Unpack the six moments from the last axis."""
        return cls(packed[..., 0].astype(np.int64), *(packed[..., k] for k in range(1, 6)))

    def to_array(self) -> Array:
        """Pack the six moments into a last axis, as xarray and dask need them."""
        fields = (self.n, self.mean_x, self.mean_y, self.var_x, self.var_y, self.cov)
        return np.stack([np.asarray(f, np.float64) for f in fields], -1)

    def merge(self, axis: int = -1, where: NDArray[np.bool_] | None = None) -> PairedMoments:
        """Merge along one axis (blocks, chunks, windows) into the moments of all their days.

        Parameters
        ----------
        where
            Entries of that axis to use; all by default.

        Notes
        -----
        Chan, Golub and LeVeque (1983, doi:10.1080/00031305.1983.10483115), for many parts at once: the sum of
        the centred moments and the variance of the parts' means about the common mean.
        """
        packed = np.moveaxis(self.to_array(), axis - 1 if axis < 0 else axis, 0)
        if where is not None:
            packed = packed[where]
        n = packed[..., 0]
        total = n.sum(0)
        filled = np.where(n[..., None] > 0, packed, 0.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean_x = (n * filled[..., 1]).sum(0) / total
            mean_y = (n * filled[..., 2]).sum(0) / total
            dx = np.where(n > 0, filled[..., 1] - mean_x, 0.0)
            dy = np.where(n > 0, filled[..., 2] - mean_y, 0.0)
            return PairedMoments(
                total.astype(np.int64), mean_x, mean_y,
                (n * (filled[..., 3] + dx * dx)).sum(0) / total,
                (n * (filled[..., 4] + dy * dy)).sum(0) / total,
                (n * (filled[..., 5] + dx * dy)).sum(0) / total,
            )  # fmt: skip


def merge_moments(parts: Sequence[PairedMoments]) -> PairedMoments:
    """Merge moments of disjoint sets of days, for instance of the chunks of a long record."""
    return PairedMoments.from_array(np.stack([p.to_array() for p in parts])).merge(axis=0)


def paired_moments(predicted: NDArray[np.floating], observed: NDArray[np.floating]) -> PairedMoments:
    """Return the moments over the last axis, using only positions finite in both series.

    Parameters
    ----------
    predicted, observed
        Broadcast against each other; time is the last axis; NaN is missing.
    """
    days = np.broadcast_shapes(np.shape(predicted), np.shape(observed))[-1]
    return _one_block(blocked_moments(predicted, observed, np.array([0, days])))


def blocked_moments(
    predicted: NDArray[np.floating], observed: NDArray[np.floating], edges: NDArray[np.integer]
) -> PairedMoments:
    """Return the moments of each block of days, in a last axis of blocks.

    Parameters
    ----------
    predicted, observed
        As for :func:`paired_moments`.
    edges
        Positions of the block starts, and of the end of the last block.
    """
    from gsm3core.metrics.kernel import block_moments

    return _blocks(block_moments, predicted, observed, edges, 0)


def lagged_moments(series: NDArray[np.floating]) -> PairedMoments:
    """Return the moments of a series (x) and itself one day earlier (y), over consecutive valid days."""
    from gsm3core.metrics.kernel import block_moments

    edges = np.array([0, max(np.shape(series)[-1] - 1, 0)])
    return _one_block(_blocks(block_moments, series, series, edges, 1))


def rank_moments(
    predicted: NDArray[np.floating], observed: NDArray[np.floating], edges: NDArray[np.integer] | None = None
) -> PairedMoments:
    """Return the moments of the ranks among the paired days of each block; their R is Spearman's.

    Parameters
    ----------
    predicted, observed, edges
        As for :func:`blocked_moments`; without ``edges`` the whole record, and no axis of blocks. Rank moments of
        different blocks cannot be merged.
    """
    from gsm3core.metrics import series_kernel

    return _whole_or_blocks(series_kernel.rank_moments, predicted, observed, edges)


def anomaly_moments(
    predicted: NDArray[np.floating],
    observed: NDArray[np.floating],
    *,
    day_of_year: NDArray[np.integer] | None = None,
    edges: NDArray[np.integer] | None = None,
    window: int = ANOMALY_DAYS,
    min_days: int = ANOMALY_MIN_DAYS,
) -> PairedMoments:
    """Return the moments of both series' short-term anomalies.

    Parameters
    ----------
    predicted, observed, edges
        As for :func:`rank_moments`. Anomalies are computed over the whole record before it is divided into
        blocks, so that blocks do not truncate windows. These moments can be merged.
    day_of_year
        1 to 366 for each day: anomalies from the climatology, the mean over all years of the paired days within
        half a ``window`` of this day of the year. Without it: from the moving mean over ``window`` days.
    window
        Days; odd, so that the window is centred.
    min_days
        Fewest paired days in a window; a day with fewer has no anomaly.

    Notes
    -----
    Both references are means over PAIRED days: a mean over a product's own days would follow its gaps. A window
    of 35 days is standard practice (Gruber et al. 2020, doi:10.1016/j.rse.2020.111806).
    """
    from gsm3core.metrics import series_kernel

    doy = np.zeros(0, np.int64) if day_of_year is None else np.asarray(day_of_year, np.int64)
    return _whole_or_blocks(
        series_kernel.anomaly_moments, predicted, observed, edges, doy, window // 2, min_days
    )


def is_constant(moments: PairedMoments) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return where either series does not vary beyond rounding, so that R is undefined."""
    return (
        ~(moments.var_x > _ROUNDING * moments.mean_x**2 + 1e-40),
        ~(moments.var_y > _ROUNDING * moments.mean_y**2 + 1e-40),
    )


def as_rows(
    predicted: NDArray[np.floating], observed: NDArray[np.floating]
) -> tuple[NDArray[np.floating], NDArray[np.floating], tuple[int, ...]]:
    """Return both arrays as rows of days, and the shape of the rows; row i pairs with row ``i % len(observed)``."""
    x, y = _floating(predicted), _floating(observed)
    if x.ndim < y.ndim or x.shape[x.ndim - y.ndim :] != y.shape:
        x, y = np.broadcast_arrays(x, y)
    days = x.shape[-1]
    rows = tuple(np.ascontiguousarray(a).reshape(int(np.prod(a.shape[:-1])), days) for a in (x, y))
    return rows[0], rows[1], x.shape[:-1]


def _floating(values: Any) -> NDArray[np.floating]:
    array = np.asarray(values)
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)


def _blocks(
    kernel: Callable[..., Any], predicted: Any, observed: Any, edges: NDArray[np.integer], *args: Any
) -> PairedMoments:
    from gsm3core.metrics.kernel import over_rows

    x, y, shape = as_rows(predicted, observed)
    edges = np.asarray(edges, np.int64)
    out = np.empty((len(x), len(edges) - 1, 6))
    if len(x):
        over_rows(kernel, len(x), x.size, x, y, *args, edges, out)
    return PairedMoments.from_array(out.reshape(*shape, len(edges) - 1, 6))


def _whole_or_blocks(
    kernel: Callable[..., Any], predicted: Any, observed: Any, edges: NDArray[np.integer] | None, *args: Any
) -> PairedMoments:
    if edges is not None:
        return _blocks(kernel, predicted, observed, edges, *args)
    days = np.broadcast_shapes(np.shape(predicted), np.shape(observed))[-1]
    return _one_block(_blocks(kernel, predicted, observed, np.array([0, days]), *args))


def _one_block(moments: PairedMoments) -> PairedMoments:
    return PairedMoments.from_array(moments.to_array()[..., 0, :])
