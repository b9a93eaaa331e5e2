"""Confidence intervals for autocorrelated series: Fisher's z for R, a block bootstrap for the other metrics.

Simulated coverage at nominal 95 % (``python benchmarks/run.py coverage``; docs/evaluation.md): errors of one process or of
two, with white noise, seasons, SMAP's gaps and a three-day revisit. With two years or more: bias 0.92 to 1.00, RMSE 0.91
to 1.00, ubRMSE 0.90 to 0.98, R 0.94 to 0.99. With one year: bias 0.92 to 1.00, RMSE 0.87 to 1.00, ubRMSE 0.83 to 0.98, R 0.92
to 0.98; the lowest are those of an error of lag-1 autocorrelation 0.98. With half a year: R 0.87, RMSE and ubRMSE 0.88.
An annual cycle in the error makes the interval of the bias too wide.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from gsm3core.metrics import (
    METRICS,
    Autocorrelation,
    Metric,
    PairedMoments,
    blocked_moments,
    fit_autocorrelation,
    paired_moments,
)
from gsm3core.metrics.registry import unbiased_mse
from gsm3core.metrics.rescaling import Scaling, cdf_matched_replicates, matched_moments, rescaled
from gsm3core.statistics.small_sample import missed_variance, percentiles, widening_for_few

Array = NDArray[np.float64]

# Said wherever intervals of single sites are shown; the numbers are those of docs/evaluation.md.
COVERAGE_NOTE = (
    "In simulations the 95 % intervals at one site cover the true value in 90 to 100 % of cases with two years of data or more, "
    "in 83 to 100 % with one year and in 87 to 97 % with half a year. The lowest shares are those of ubRMSE and RMSE where "
    "errors vary over months, and of R in half a year."
)
BLOCK_DAYS = 30
REPLICATES = 1000
# Rows per chunk: the replicates of a chunk need about 50 MB.
_ROWS_PER_CHUNK = 128


def fisher_interval(
    r: np.ndarray, n_effective: np.ndarray, confidence: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the confidence interval of a correlation by Fisher's z transformation.

    Parameters
    ----------
    r, n_effective
        Of the same shape. With three effective days or fewer the interval is -1 to 1.
    confidence
        Level of the interval, for instance 0.95.

    Notes
    -----
    Fisher (1921), Metron 1, 3-32: atanh(R) is approximately normal with standard deviation 1 / sqrt(n - 3).
    """
    z_width = NormalDist().inv_cdf(0.5 + confidence / 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        z = np.arctanh(r)
        half = np.where(n_effective > 3, z_width / np.sqrt(np.maximum(n_effective - 3, 1e-12)), np.inf)
        # R of -1 or 1 has an infinite z; its interval is R itself.
        lower = np.where(np.isinf(z) & np.isfinite(half), r, np.tanh(z - half))
        upper = np.where(np.isinf(z) & np.isfinite(half), r, np.tanh(z + half))
    unknown = np.isfinite(r) & np.isinf(half)
    return np.where(unknown, -1.0, lower), np.where(unknown, 1.0, upper)


@dataclass(frozen=True, slots=True)
class BlockDraws:
    """Number of times each block of days is drawn in each replicate, the same for every product and site.

    Parameters
    ----------
    edges
        First day of each block, and the end of the last one.
    counts
        ``(replicate, block)``, multinomial: each row sums to the number of blocks.
    """

    edges: NDArray[np.int64]
    counts: Array

    @classmethod
    def make(
        cls, days: int, *, block_days: int = BLOCK_DAYS, replicates: int = REPLICATES, seed: int = 0
    ) -> BlockDraws:
        """Draw blocks of a record with replacement.

        Parameters
        ----------
        days
            Length of the record.
        block_days, replicates, seed
            As in :func:`gsm3core.site_scores`.
        """
        edges = np.append(np.arange(0, max(days, 1), block_days), days).astype(np.int64)
        blocks = len(edges) - 1
        rng = np.random.default_rng(seed)
        return cls(edges, rng.multinomial(blocks, np.full(blocks, 1 / blocks), size=replicates).astype(float))

    def resample(self, blocks: PairedMoments) -> PairedMoments:
        """Return the moments of every replicate, ``(..., replicate)``, from moments ``(..., block)``.

        Notes
        -----
        A replicate's sums are the blocks' sums weighted by the number of draws: one matrix product. Sums are taken
        about the record's means to avoid cancellation.
        """
        whole = blocks.merge()
        n = blocks.n.astype(float)
        dx = np.where(n > 0, blocks.mean_x - whole.mean_x[..., None], 0.0)
        dy = np.where(n > 0, blocks.mean_y - whole.mean_y[..., None], 0.0)

        def second_sum(central: Array, shift: Array) -> Array:
            return n * (np.where(n > 0, central, 0.0) + shift)

        sums = np.stack(
            [n, n * dx, n * dy, second_sum(blocks.var_x, dx * dx), second_sum(blocks.var_y, dy * dy),
             second_sum(blocks.cov, dx * dy)]
        )  # fmt: skip
        total, sx, sy, sxx, syy, sxy = sums @ self.counts.T
        with np.errstate(invalid="ignore", divide="ignore"):
            mx, my = sx / total, sy / total
            return PairedMoments(
                total.astype(np.int64),
                whole.mean_x[..., None] + mx,
                whole.mean_y[..., None] + my,
                np.maximum(sxx / total - mx * mx, 0.0),
                np.maximum(syy / total - my * my, 0.0),
                sxy / total - mx * my,
            )


def block_intervals(
    predicted: NDArray[np.floating],
    observed: NDArray[np.floating],
    metrics: list[Metric],
    draws: BlockDraws,
    confidence: float,
    *,
    corrected: bool = True,
    scaling: Scaling = "none",
) -> dict[str, tuple[Array, Array]]:
    """Return the lower and upper ends of the intervals of metrics, by block bootstrap.

    Parameters
    ----------
    predicted, observed
        ``(product, site, time)`` or ``(site, time)``, and ``(site, time)``.
    metrics
        Metrics of the values (not of ranks or anomalies). The interval of an error (RMSE, ubRMSE) is computed on the log
        scale and cannot reach below 0.
    draws
        From :meth:`BlockDraws.make`.
    confidence
        Level of the intervals, for instance 0.95.
    corrected
        Whether to correct for autocorrelation between blocks and for few blocks, see Notes. ``False`` gives the
        percentile bootstrap about its median.
    scaling
        Scaling of the predictions to the observations (:func:`gsm3core.metrics.rescaling.rescaled`), repeated in every
        replicate with the replicate's own parameters.

    Returns
    -------
    dict
        By metric; NaN where fewer than two blocks have a valid day.

    Notes
    -----
    Percentile bootstrap of non-overlapping blocks (Carlstein 1986, doi:10.1214/aos/1176350057). Its intervals are too
    narrow for two reasons; both are corrected by a factor on the distance from the estimate:

    - Blocks are autocorrelated. With the autocorrelation of the difference
      (:func:`gsm3core.metrics.fit_autocorrelation`) the variance of a mean is underestimated by a known factor
      (:func:`gsm3core.statistics.small_sample.missed_variance`). It applies to the bias and, with the squared
      autocorrelation, that of the square of a Gaussian process, to ubRMSE and similar metrics; for RMSE the two are
      weighted by their contributions to its variance.
    - The variance between B blocks is itself an estimate: ``sqrt(B / (B - 1)) t / z`` (Hesterberg 2015,
      doi:10.1080/00031305.2015.1089789).

    A record that is short compared with the autocorrelation also has too small a variance about its own mean: the interval
    of ubRMSE is centred on the value corrected for it (:meth:`gsm3core.metrics.Autocorrelation.variance_of_mean`), and
    always contains the estimate.
    """
    x = np.asarray(predicted)
    shape, days = x.shape[:-1], x.shape[-1]
    sites = len(observed)
    rows = x.reshape(int(np.prod(shape)), days)
    ends = {m.name: (np.full(len(rows), np.nan), np.full(len(rows), np.nan)) for m in metrics}
    blocks = blocked_moments(rows.reshape(-1, sites, days), observed, draws.edges).to_array()
    packed = blocks.reshape(len(rows), -1, 6)
    scaled = rescaled(rows.reshape(-1, sites, days), observed, scaling).reshape(rows.shape)
    autocorrelation = fit_autocorrelation(scaled.reshape(-1, sites, days), observed) if corrected else None

    def fill_rows(a: int) -> None:
        part = slice(a, a + _ROWS_PER_CHUNK)
        moments = PairedMoments.from_array(packed[part])
        lag = None if autocorrelation is None else autocorrelation[part]
        after_scaling = None
        if scaling == "mean_std":
            after_scaling = matched_moments(moments.merge()), matched_moments(draws.resample(moments))
        elif scaling == "cdf":
            y = np.asarray(observed)[np.arange(len(rows))[part] % sites]
            resampled = cdf_matched_replicates(rows[part], y, draws.edges, draws.counts)
            after_scaling = paired_moments(scaled[part], y), resampled
        found = _interval_ends(moments, metrics, draws, confidence, lag, after_scaling)
        for name, pair in found.items():
            for end, values in zip(ends[name], pair, strict=True):
                end[part] = values

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(fill_rows, range(0, len(rows), _ROWS_PER_CHUNK)))
    return {name: (low.reshape(shape), high.reshape(shape)) for name, (low, high) in ends.items()}


def _interval_ends(
    blocks: PairedMoments,
    metrics: list[Metric],
    draws: BlockDraws,
    confidence: float,
    autocorrelation: Autocorrelation | None,
    after_scaling: tuple[PairedMoments, PairedMoments] | None = None,
) -> dict[str, tuple[Array, Array]]:
    """Return the ends of the intervals; ``after_scaling`` are the scaled moments of the record and of each replicate."""
    used = (blocks.n > 0).sum(-1)
    if after_scaling is None:
        whole = blocks.merge()
        replicates = _replicates(blocks, whole, metrics, draws)
    else:
        whole, resampled = after_scaling
        needed = {m.name: m for m in [*METRICS.values(), *metrics]}
        replicates = {name: m.from_moments(resampled) for name, m in needed.items()}
    few = np.ones(len(used)) if autocorrelation is None else widening_for_few(used, confidence)
    found = {}
    for metric in metrics:
        low, middle, high = percentiles(replicates[metric.name], confidence)
        factor = few
        if autocorrelation is not None:
            factor = few * _autocorrelation_factor(metric, whole, replicates, autocorrelation, draws)
        estimate = metric.from_moments(whole)
        centre = estimate
        if autocorrelation is not None and metric.name == "ubRMSE":
            centre = estimate / np.sqrt(1 - autocorrelation.variance_of_mean())
        on_log = metric.higher_is_better is False
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            if on_log:
                ends = [centre * (end / middle) ** factor for end in (low, high)]
                ends = [np.minimum(ends[0], estimate), np.maximum(ends[1], estimate)]
            else:
                ends = [estimate + factor * (end - middle) for end in (low, high)]
        # Without any error every replicate is 0, and 0 / 0 gives no interval.
        exact = on_log & (estimate == 0)
        lower, upper = (np.where(used < 2, np.nan, np.where(exact, 0.0, e)) for e in ends)
        found[metric.name] = lower, upper
    return found


def _replicates(
    blocks: PairedMoments, whole: PairedMoments, metrics: list[Metric], draws: BlockDraws
) -> dict[str, NDArray[np.floating]]:
    """Return replicates ``(row, replicate)``: errors from sums of the difference, other metrics from all moments."""
    from gsm3core.metrics.kernel import resampled_differences

    n = blocks.n.astype(float)
    mean = whole.mean_x - whole.mean_y
    with np.errstate(invalid="ignore"):
        d = blocks.mean_x - blocks.mean_y - mean[:, None]
        sums = np.stack([n, n * d, n * (unbiased_mse(blocks) + d * d)], -1)
    out = np.empty((3, len(n), len(draws.counts)), np.float32)
    counts = np.ascontiguousarray(draws.counts.T, np.float32)
    resampled_differences(sums.astype(np.float32), counts, mean, out, 0, len(n))
    np.sqrt(out[1:], out=out[1:])
    found: dict[str, NDArray[np.floating]] = {"bias": out[0], "RMSE": out[1], "ubRMSE": out[2]}
    if others := [m for m in metrics if m.name not in found]:
        moments = draws.resample(blocks)
        found |= {m.name: m.from_moments(moments) for m in others}
    return found


def _autocorrelation_factor(
    metric: Metric,
    whole: PairedMoments,
    replicates: dict[str, NDArray[np.floating]],
    autocorrelation: Autocorrelation,
    draws: BlockDraws,
) -> Array:
    """Return the factor on an interval's width for autocorrelation between blocks, at least 1."""
    length = float(np.diff(draws.edges)[0])
    of_mean = missed_variance(autocorrelation, length)
    of_square = missed_variance(autocorrelation, length, squared=True)
    if metric.name == "bias":
        return np.sqrt(of_mean)
    if metric.name != "RMSE":
        return np.sqrt(of_square)
    # RMSE^2 = bias^2 + ubRMSE^2: weights by contribution to its variance, to first order.
    with np.errstate(invalid="ignore", divide="ignore"):
        from_bias = (whole.mean_x - whole.mean_y) ** 2 * np.var(replicates["bias"], axis=-1)
        from_ubrmse = np.mean(replicates["ubRMSE"], axis=-1) ** 2 * np.var(replicates["ubRMSE"], axis=-1)
        combined = (from_bias * of_mean + from_ubrmse * of_square) / (from_bias + from_ubrmse)
    return np.sqrt(np.where(np.isfinite(combined), combined, 1.0))
