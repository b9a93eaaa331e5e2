"""Triple collocation: how good each of three products is when none of them is the truth."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError
from gsm3core.evaluation.collocation_algebra import PAIRS, about, correlation, covariances, scale, solve
from gsm3core.evaluation.pairing import check_confidence
from gsm3core.metrics import blocked_moments, is_constant, persistence
from gsm3core.statistics.block_bootstrap import BLOCK_DAYS, REPLICATES, BlockDraws
from gsm3core.statistics.small_sample import missed_variance, percentiles, widening_for_few

Array = NDArray[np.float64]

# Sites whose replicates are held in memory at a time.
_AT_A_TIME = 256
# With more replicates than this without a solution the others are no fair sample of what might have been.
_MOST_UNDEFINED = 0.05


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
    """Estimate the random error of three products, and their correlation with the truth that none of them is.

    Parameters
    ----------
    x, y, z
        ``(site, time)``, matched by label. Their ERRORS must be independent of each other and of the truth, for
        instance a satellite, a model that assimilates no satellite, and in situ: two satellites of one frequency,
        or a model trained on one of the others, are not.
    names
        Of the three; by default the names of the arrays.
    min_days
        Fewest days on which all three are valid. Triple collocation is hungry: some 500 independent days for an
        error within 10 % (Zwieback et al. 2012, doi:10.5194/npg-19-69-2012).
    confidence, replicates, block_days, seed
        Of the block bootstrap.

    Returns
    -------
    xarray.Dataset
        Dimensions ``(product, site)``. ``error_std``: standard deviation of the random error, in the product's own
        units and dynamic range (not rescaled); ``R``: correlation with the truth; ``snr``: signal over noise, dB;
        ``scale``: factor that brings the product to the dynamic range of the first; each but ``scale`` with
        ``_lower`` and ``_upper``. ``n_valid`` and ``undefined`` ``(site)``: days, and share of replicates without a
        solution. ``reason`` ``(product, site)``: why there is none, or no interval; empty where there is.

    Raises
    ------
    DatasetError
        If names are not three different ones, dimensions are wrong, or nothing is common to the three.

    Notes
    -----
    With covariances Q: error variance ``Q_xx - Q_xy Q_xz / Q_yz`` and ``R^2 = Q_xy Q_xz / (Q_xx Q_yz)`` (extended
    triple collocation, McColl et al. 2014, doi:10.1002/2014GL061322). An error variance that comes out negative,
    or series that are not positively correlated, break the assumptions or the sample is too small: they give a
    reason, never a number. In the bootstrap a negative error variance counts as 0 (R as 1), so that an interval
    that reaches "no error" says so.
    """
    series, names = _three(x, y, z, names)
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
    for start in range(0, len(site), _AT_A_TIME):
        at = np.arange(start, min(start + _AT_A_TIME, len(site)))
        at = at[enough[at]]
        if len(at):
            _solve_sites(series[:, at], at, out, undefined, reasons, names, draws, confidence)
    return _dataset(out, undefined, reasons, n, names, site, confidence, min_days)


def _three(
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
        raise DatasetError(f"names are {names}; three different ones tell the products apart.")
    aligned = xr.align(*(array.transpose(v.SITE, v.TIME) for array in arrays), join="inner")
    if not aligned[0].size:
        raise DatasetError(
            "x, y and z have no site or no day in common: site ids and days must be written the same."
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
    apart = [
        np.where(cov[i, j] > 0, "", f"{names[i]} and {names[j]} are not positively correlated")
        for i, j in PAIRS
    ]
    broken = np.where(apart[0] != "", apart[0], np.where(apart[1] != "", apart[1], apart[2]))
    for k in reversed(range(3)):
        broken = np.where(constant[k], f"{names[k]} is constant", broken)
    signal, error = solve(cov)
    out["scale"][:, at] = np.where(broken == "", scale(cov), np.nan)

    sampled = covariances({ij: draws.resample(b) for ij, b in blocks.items()})
    some_signal, some_error = solve(sampled)
    undefined[at] = np.isnan(some_error).any(0).mean(-1)
    memory = [persistence(series[i], series[j]) for i, j in PAIRS]
    length, density = float(np.diff(draws.edges)[0]), whole[0, 1].n / draws.edges[-1]
    missed = [
        missed_variance(np.nan_to_num(c) ** 2, np.nan_to_num(r) ** 2, length, density) for c, r in memory
    ]
    used = (blocks[0, 1].n > 0).sum(-1)
    # Variances of the population, from those of the sample.
    unbiased = np.sqrt(whole[0, 1].n / np.maximum(whole[0, 1].n - 1, 1))
    wider = widening_for_few(used, confidence) * np.sqrt(np.max(missed, axis=0))
    for k in range(3):
        known = (broken == "") & (error[k] >= 0)
        reasons[k, at] = np.where(
            broken != "", broken, np.where(known, "", f"error variance of {names[k]} comes out negative")
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            std, snr = (
                unbiased * np.sqrt(np.maximum(error[k], 0)),
                10 * np.log10(signal[k] / np.maximum(error[k], 0)),
            )
            stds = unbiased[:, None] * np.sqrt(np.maximum(some_error[k], 0.0))
            snrs = 10 * np.log10(some_signal[k] / np.maximum(some_error[k], 0.0))
        sure = known & (undefined[at] <= _MOST_UNDEFINED) & (used >= 2)
        reasons[k, at] = np.where(
            known & ~sure, "no interval: too many replicates without a solution", reasons[k, at]
        )
        ends = {"error_std": about(std, percentiles(stds, confidence), wider, floor=0.0)}
        ends["snr"] = about(snr, percentiles(snrs, confidence), wider)
        ends["R"] = correlation(ends["snr"][0]), correlation(ends["snr"][1])
        for name, value in (("error_std", std), ("snr", snr), ("R", correlation(snr))):
            out[name][k, at] = np.where(known, value, np.nan)
            for end, values in zip(("lower", "upper"), ends[name], strict=True):
                out[f"{name}_{end}"][k, at] = np.where(sure, values, np.nan)


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
        "scale": ("1", f"factor to the dynamic range of {names[0]}"),
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
