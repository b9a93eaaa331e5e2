"""Temporal autocorrelation and effective sample size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gsm3core.metrics.moments import Array, as_rows, lagged_moments
from gsm3core.metrics.registry import correlation

# e-folding times in days; 0 is white noise. A record of a few years does not distinguish longer ones from a trend.
DECAY_DAYS = (0.0, 1.5, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
_FAST, _SLOW = range(4), range(4, 8)
_SLOW_SHARES = (0.05, 0.1, 0.2, 0.35, 0.5, 0.75)


def lag1_autocorrelation(series: NDArray[np.floating], valid: NDArray[np.bool_] | None = None) -> Array:
    """Return the lag-1 autocorrelation over pairs of consecutive valid days, shape without time.

    Parameters
    ----------
    series, valid
        ``(..., time)``; only finite days that are ``valid`` count. NaN where there are fewer than three pairs.
    """
    pairs = lagged_moments(series if valid is None else np.where(valid, series, np.nan))
    return np.where(pairs.n >= 3, correlation(pairs), np.nan)


@dataclass(frozen=True, slots=True)
class Autocorrelation:
    """Autocorrelation functions of rows of days: at lag k the sum over processes of ``share * decay**k``.

    Parameters
    ----------
    shares
        ``(row, process)`` share of the variance; NaN in a row without an estimate, whose days count as independent.
    density
        ``(row)`` share of valid days, gaps of five days and more left out.
    days
        ``(row)`` length of the record, these gaps left out.
    decays
        ``(process)``, 0 for white noise.
    """

    shares: Array
    density: Array
    days: Array
    decays: Array

    def __getitem__(self, rows: slice) -> Autocorrelation:
        """Return some rows."""
        return Autocorrelation(self.shares[rows], self.density[rows], self.days[rows], self.decays)

    def inflation(self, days: ArrayLike = np.inf, *, times: Autocorrelation | None = None) -> Array:
        """Return the variance of a mean over consecutive days, divided by that of independent days, ``(row)``.

        Parameters
        ----------
        days
            Number of days from the first to the last; for an infinite record by default.
        times
            Multiply by these autocorrelations: those of the product of two independent series, or, given the same,
            of the square of a Gaussian series.
        """
        shares, decays = np.nan_to_num(self.shares), self.decays
        if times is not None:
            shares = np.einsum("...i,...j->...ij", shares, np.nan_to_num(times.shares))
            shares = shares.reshape(*shares.shape[:-2], -1)
            decays = np.multiply.outer(decays, times.decays).ravel()
        length = np.maximum(np.asarray(days, float), 1.0)[..., None]
        long_run = decays / (1 - decays)
        with np.errstate(invalid="ignore", over="ignore"):
            beyond = decays * (1 - decays**length) / (length * (1 - decays) ** 2)
        return 1 + 2 * self.density * (shares * (long_run - beyond)).sum(-1)

    def variance_of_mean(self) -> Array:
        """Return the variance of the record's mean, divided by the variance of the process, at most 0.8, ``(row)``.

        The variance within the record is too small by this share.
        """
        return np.minimum(self.inflation(self.days) / np.maximum(self.density * self.days, 1.0), 0.8)


def fit_autocorrelation(
    predicted: NDArray[np.floating],
    observed: NDArray[np.floating] | None = None,
    *,
    of: Literal["difference", "predicted", "observed"] = "difference",
) -> Autocorrelation:
    """Return the autocorrelation of a series, of one of two series on their paired days, or of their difference.

    Parameters
    ----------
    predicted, observed
        As for :func:`gsm3core.metrics.paired_moments`, gaps allowed. Without ``observed`` the series itself.
    of
        Which series.

    Returns
    -------
    Autocorrelation
        One row per pair. Rows with fewer than ten days or four groups of five days have no estimate.

    Notes
    -----
    Errors mix processes: retrieval noise of a day, storms of a week, a soil or vegetation error of a season. A slow process
    with a small share of the variance is nearly invisible at short lags and still decides the variance of a mean. The
    estimate is therefore made from the spectrum of 5-day means down to the lowest frequency, by the likelihood of
    Whittle (1953, doi:10.1007/BF02590998), for one or two processes with the e-folding times :data:`DECAY_DAYS`. It is
    the average of 104 models weighted by their posterior probability, with equal prior probability of one and two
    processes. An average keeps slow processes that a short record cannot exclude; the best fit alone would often miss
    them. Groups of five days without a value are left out. The annual cycle is left out of records of two years or more.
    Chosen and checked by coverage on separate sets of simulated series (docs/evaluation.md).
    """
    from gsm3core.metrics.kernel import over_rows
    from gsm3core.metrics.spectrum_kernel import fit_decays

    x, y, _ = as_rows(predicted, np.zeros(np.shape(predicted)[-1]) if observed is None else observed)
    part = {"difference": 0, "predicted": 1, "observed": 2}[of]
    models, prior = _models()
    out = np.full((len(x), len(DECAY_DAYS) + 2), np.nan)
    if len(x):
        over_rows(fit_decays, len(x), x.size, x, y, part, _DECAYS, models, prior, out)
    days = out[:, -1]
    return Autocorrelation(out[:, :-2], out[:, -2] / np.maximum(days, 1), days, _DECAYS)


def effective_sample_size(predicted: NDArray[np.floating], observed: NDArray[np.floating]) -> Array:
    """Return the effective sample size of a correlation between two autocorrelated series.

    Parameters
    ----------
    predicted, observed
        As for :func:`gsm3core.metrics.paired_moments`.

    Notes
    -----
    ``n / (1 + 2 f sum_k rho_x(k) rho_y(k))``, the sum over lags and f the share of days that are paired, within 2
    and n (Bartlett 1935, doi:10.2307/2980769; Bretherton et al. 1999,
    doi:10.1175/1520-0442(1999)012<1990:TENOSD>2.0.CO;2). Both autocorrelations are estimated on the paired days by
    :func:`fit_autocorrelation`.
    """
    from gsm3core.metrics.kernel import over_rows, paired_span

    x, y, shape = as_rows(predicted, observed)
    span = np.empty((len(x), 3), np.int64)
    if len(x):
        over_rows(paired_span, len(x), x.size, x, y, span)
    n = span[:, 2]
    rho_x, rho_y = (fit_autocorrelation(predicted, observed, of=part) for part in ("predicted", "observed"))
    effective = n / rho_x.inflation(rho_x.days, times=rho_y)
    return np.clip(effective, np.minimum(n, 2), n).reshape(shape)


def _models() -> tuple[Array, Array]:
    """Return the models, rows of two processes and the share of the second, and their log prior probabilities."""
    single = [(k, k, 0.0) for k in range(len(DECAY_DAYS))]
    mixed = [(fast, slow, share) for fast in _FAST for slow in _SLOW for share in _SLOW_SHARES]
    prior = np.repeat([-np.log(len(single)), -np.log(len(mixed))], [len(single), len(mixed)])
    return np.array(single + mixed), prior


_DECAYS: Array = np.array([np.exp(-1 / days) if days else 0.0 for days in DECAY_DAYS])


def mean_gap(valid: NDArray[np.bool_]) -> Array:
    """Return the mean number of days from one valid day to the next, at least 1, shape without time."""
    if not valid.shape[-1]:
        return np.ones(valid.shape[:-1])
    first = np.argmax(valid, -1)
    last = valid.shape[-1] - 1 - np.argmax(valid[..., ::-1], -1)
    n = valid.sum(-1)
    return np.where(n > 1, np.maximum((last - first) / np.maximum(n - 1, 1), 1.0), 1.0)
