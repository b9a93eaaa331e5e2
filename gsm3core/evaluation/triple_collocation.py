"""Triple collocation: random errors of three products without a reference."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError
from gsm3core.evaluation.collocation_algebra import (
    PAIRS,
    correlation,
    covariances,
    scale,
    solve,
    widened_interval,
)
from gsm3core.evaluation.pairing import check_confidence
from gsm3core.metrics import blocked_moments, fit_autocorrelation, is_constant
from gsm3core.statistics.block_bootstrap import BLOCK_DAYS, REPLICATES, BlockDraws
from gsm3core.statistics.small_sample import missed_variance, percentiles, widening_for_few

Array = NDArray[np.float64]

# Sites per chunk, which limits the memory of the replicates.
_SITES_PER_CHUNK = 256
# Largest share of replicates without a solution: beyond it the remaining ones are a biased sample.
_MAX_UNDEFINED = 0.05


def triple_collocation(
    x: xr.DataArray,
    y: xr.DataArray,
    z: xr.DataArray,
    *,
    names: tuple[str, str, str] | None = None,
    min_days: int = 100,
    confidence: float = 0.95,
    replicates: int = REPLICATES,
    block_days: int = BLOCK_DAYS,
    seed: int = 0,
) -> xr.Dataset:
    """Return the random error of three products and their correlation with the unknown truth.

    Parameters
    ----------
    x, y, z
        ``(site, time)``, matched by label. Their errors must be independent of each other and of the truth, as for a
        satellite, a model without data assimilation and in situ, but not for two satellites of one frequency or a
        model trained on one of the others.
    names
        Names of the products; by default those of the arrays.
    min_days
        Minimum number of common days. About 500 independent days are needed for an error within 10 % (Zwieback et al.
        2012, doi:10.5194/npg-19-69-2012).
    confidence, replicates, block_days, seed
        Of the block bootstrap.

    Returns
    -------
    xarray.Dataset
        Dimensions ``(product, site)``. ``error_std``: standard deviation of the random error, in the product's own
        units and dynamic range (not rescaled); ``R``: correlation with the truth; ``snr``: signal over noise, dB;
        ``scale``: rescaling factor to the dynamic range of the first product; each but ``scale`` with ``_lower`` and
        ``_upper``. ``n_valid`` and ``undefined`` ``(site)``: days, and share of replicates without a solution.
        ``reason`` ``(product, site)``: why the estimate or its interval is missing; empty otherwise.

    Raises
    ------
    DatasetError
        If names are not unique, dimensions are wrong, or there is no common site or day.

    Notes
    -----
    With covariances Q: error variance ``Q_xx - Q_xy Q_xz / Q_yz`` and ``R^2 = Q_xy Q_xz / (Q_xx Q_yz)`` (extended
    triple collocation, McColl et al. 2014, doi:10.1002/2014GL061322). A negative error variance or series that
    are not positively correlated indicate violated assumptions or a small sample; they give NaN with a reason. In the
    bootstrap a negative error variance is set to 0 (R to 1), so that an interval can include "no error".
    """
    series, names = _align_triplet(x, y, z, names)
    check_confidence(confidence)
    all_three = np.isfinite(series).all(0)
    series = np.where(all_three, series, np.nan)
    site = xr.align(x, y, z, join="inner")[0][v.SITE]
    n, days = all_three.sum(-1), series.shape[-1]
    draws = BlockDraws.make(days, block_days=block_days, replicates=replicates, seed=seed)
    enough = n >= min_days

    shape = (3, len(site))
    out = {name: np.full(shape, np.nan) for name in ("error_std", "snr", "R", "scale")}
    out |= {
        f"{name}_{end}": np.full(shape, np.nan)
        for name in ("error_std", "snr", "R")
        for end in ("lower", "upper")
    }
    undefined = np.full(len(site), np.nan)
    reason = np.where(enough, "", np.char.add(n.astype(str), f" days with all three, fewer than {min_days}"))
    reasons = np.tile(reason, (3, 1)).astype("<U120")
    for start in range(0, len(site), _SITES_PER_CHUNK):
        at = np.arange(start, min(start + _SITES_PER_CHUNK, len(site)))
        at = at[enough[at]]
        if len(at):
            _solve_sites(series[:, at], at, out, undefined, reasons, names, draws, confidence)
    return _dataset(out, undefined, reasons, n, names, site, confidence, min_days)


def _align_triplet(
    x: xr.DataArray, y: xr.DataArray, z: xr.DataArray, names: tuple[str, str, str] | None
) -> tuple[NDArray[np.floating], tuple[str, str, str]]:
    arrays = (x, y, z)
    for label, array in zip("xyz", arrays, strict=True):
        if set(array.dims) != {v.SITE, v.TIME}:
            raise DatasetError(f"{label} has dimensions {array.dims}; expected ('site', 'time').")
    if names is None:
        a, b, c = (str(array.name or label) for label, array in zip("xyz", arrays, strict=True))
        names = (a, b, c)
    if len(set(names)) != 3:
        raise DatasetError(f"names are {names}; expected three different names.")
    aligned = xr.align(*(array.transpose(v.SITE, v.TIME) for array in arrays), join="inner")
    if not aligned[0].size:
        raise DatasetError(
            "x, y and z have no site or no day in common; expected the same site ids and dates in all three."
        )
    return np.stack([array.values for array in aligned]), names


def _solve_sites(
    series: NDArray[np.floating],
    at: NDArray[np.int64],
    out: dict[str, Array],
    undefined: Array,
    reasons: NDArray[np.str_],
    names: tuple[str, str, str],
    draws: BlockDraws,
    confidence: float,
) -> None:
    blocks = {(i, j): blocked_moments(series[i], series[j], draws.edges) for i, j in PAIRS}
    whole = {ij: b.merge() for ij, b in blocks.items()}
    constant = np.stack(
        [is_constant(whole[0, 1])[0], is_constant(whole[0, 1])[1], is_constant(whole[0, 2])[1]]
    )
    cov = covariances(whole)
    uncorrelated = [
        np.where(cov[i, j] > 0, "", f"{names[i]} and {names[j]} are not positively correlated")
        for i, j in PAIRS
    ]
    violation = uncorrelated[2]
    for text in uncorrelated[1::-1]:
        violation = np.where(text != "", text, violation)
    for k in reversed(range(3)):
        violation = np.where(constant[k], f"{names[k]} is constant", violation)
    signal, error = solve(cov)
    out["scale"][:, at] = np.where(violation == "", scale(cov), np.nan)

    sampled = covariances({ij: draws.resample(b) for ij, b in blocks.items()})
    replicate_signal, replicate_error = solve(sampled)
    undefined[at] = np.isnan(replicate_error).any(0).mean(-1)
    length = float(np.diff(draws.edges)[0])
    ratios = [
        missed_variance(fit_autocorrelation(series[i], series[j]), length, squared=True) for i, j in PAIRS
    ]
    used = (blocks[0, 1].n > 0).sum(-1)
    # From the sample variance to the unbiased estimate.
    unbiased = np.sqrt(whole[0, 1].n / np.maximum(whole[0, 1].n - 1, 1))
    factor = widening_for_few(used, confidence) * np.sqrt(np.max(ratios, axis=0))
    for k in range(3):
        known = (violation == "") & (error[k] >= 0)
        reasons[k, at] = np.where(
            violation != "", violation, np.where(known, "", f"error variance of {names[k]} is negative")
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            std, snr = (
                unbiased * np.sqrt(np.maximum(error[k], 0)),
                10 * np.log10(signal[k] / np.maximum(error[k], 0)),
            )
            stds = unbiased[:, None] * np.sqrt(np.maximum(replicate_error[k], 0.0))
            snrs = 10 * np.log10(replicate_signal[k] / np.maximum(replicate_error[k], 0.0))
        has_interval = known & (undefined[at] <= _MAX_UNDEFINED) & (used >= 2)
        reasons[k, at] = np.where(
            known & ~has_interval, "no interval: too many replicates without a solution", reasons[k, at]
        )
        ends = {"error_std": widened_interval(std, percentiles(stds, confidence), factor, floor=0.0)}
        ends["snr"] = widened_interval(snr, percentiles(snrs, confidence), factor)
        ends["R"] = correlation(ends["snr"][0]), correlation(ends["snr"][1])
        for name, value in (("error_std", std), ("snr", snr), ("R", correlation(snr))):
            out[name][k, at] = np.where(known, value, np.nan)
            for end, values in zip(("lower", "upper"), ends[name], strict=True):
                out[f"{name}_{end}"][k, at] = np.where(has_interval, values, np.nan)


def _dataset(
    out: dict[str, Array],
    undefined: Array,
    reasons: NDArray[np.str_],
    n: NDArray[np.int64],
    names: tuple[str, str, str],
    site: xr.DataArray,
    confidence: float,
    min_days: int,
) -> xr.Dataset:
    meanings = {
        "error_std": (
            v.SM_UNITS,
            "standard deviation of the product's random error, in its own dynamic range",
        ),
        "R": ("1", "correlation of the product with the truth"),
        "snr": ("dB", "variance of the signal over the variance of the error"),
        "scale": ("1", f"rescaling factor to the dynamic range of {names[0]}"),
    }
    result = xr.Dataset(coords={v.PRODUCT: list(names), v.SITE: site})
    for name, values in out.items():
        units, meaning = meanings[name.removesuffix("_lower").removesuffix("_upper")]
        end = name.rpartition("_")[2] if name.endswith(("_lower", "_upper")) else ""
        text = f"{end} end of the {confidence:.0%} interval of the {meaning}" if end else meaning
        result[name] = (v.PRODUCT, v.SITE), values, {"units": units, "long_name": text}
    result["n_valid"] = v.SITE, n, {"units": "1", "long_name": "days valid in all three series"}
    result["undefined"] = (
        v.SITE,
        undefined,
        {"units": "1", "long_name": "share of replicates without a solution"},
    )
    result["reason"] = (
        (v.PRODUCT, v.SITE),
        reasons.astype(str),
        {"long_name": "why there is no estimate or no interval"},
    )
    return result.assign_attrs(min_days=min_days, confidence=confidence)
