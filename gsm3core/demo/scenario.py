"""Planted effects of the demonstration dataset, and the size of every error in it."""

from __future__ import annotations

from dataclasses import dataclass, fields

from gsm3core import vocabulary as v


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Three planted effects, each with a switch and its parameters.

    Switching one off changes nothing else: all random draws stay the same, so that two datasets of one seed can be
    compared in pairs.

    Parameters
    ----------
    aspect_effect
        At dry sites (mean of ``sm_smap`` <= ``dry_limit``) facing strongly to the pole or the equator, an
        unobserved local process multiplies the point's soil water above the residual by ``exp(s a - s^2/2)``:
        ``a`` is a unit AR(1) with an e-folding time of ``aspect_time_scale`` days, and ``s = aspect_strength *
        clip((|poleward aspect| - aspect_onset) / (1 - aspect_onset), 0, 1)``. No input depends on it, so that
        predictability decreases there (paper, section 3.4 and figure 6).
    alaska_nonstationary
        In Alaska the ground ice thaws and the active layer deepens. The remaining share of ice is
        ``exp(-days since 2015-04-01 / alaska_time_scale)`` (1 before). Thawing ice supplies the lower layer, up to
        its capacity, with ``alaska_thaw_supply`` mm per day and kelvin of soil temperature above freezing, times
        the remaining share; deep drainage, relative to its final value, rises from ``alaska_drainage_at_start`` to
        1; the soil warms by ``alaska_warming`` K. The first summer is wet whatever the rain, later ones follow the
        rain: a temporal test on the first year is harder than a spatial one (paper, section 3.2).
    vegetation_bias
        The mean error of AMSR2 increases with the long-term NDVI by ``amsr2_bias_per_ndvi`` (m3 m-3 per unit of
        NDVI) about ``amsr2_ndvi_pivot``.
    """

    aspect_effect: bool = True
    dry_limit: float = 0.08
    aspect_onset: float = 0.4
    aspect_strength: float = 1.1
    aspect_time_scale: float = 40.0

    alaska_nonstationary: bool = True
    alaska_time_scale: float = 220.0
    alaska_drainage_at_start: float = 0.02
    alaska_thaw_supply: float = 0.6
    alaska_warming: float = 3.0

    vegetation_bias: bool = True
    amsr2_bias_per_ndvi: float = 0.20
    amsr2_ndvi_pivot: float = 0.30

    @classmethod
    def without_effects(cls) -> Scenario:
        """Return the scenario without any planted effect."""
        return cls(aspect_effect=False, alaska_nonstationary=False, vegetation_bias=False)

    def as_dict(self) -> dict[str, bool | float]:
        """Return the parameters by name, for the dataset's attributes."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductError:
    """Errors of one product.

    ``product = m + gain (r - m) + bias + b + e``, with ``r`` the reference, ``m`` its mean at the site,
    ``b`` one number per site and ``e`` noise in time, then kept within 0 and 0.8 m3 m-3.

    Parameters
    ----------
    bias, bias_std
        Mean over sites, and standard deviation between sites, of the constant error, m3 m-3. Both
        decrease in dry soil as the noise does; the vegetation term of AMSR2 in :class:`Scenario` does not.
    gain
        Amplification (> 1) or damping (< 1) of the anomalies from the site's mean.
    noise_std, noise_per_ndvi, noise_time_scale
        Standard deviation of ``e`` where the reference is at least :data:`DRY_TAPER` (below, it decreases in
        proportion, so that values stay positive without clipping), its increase per unit of NDVI, and its
        e-folding time in days (AR(1)).
    smoothing
        e-folding time in days of the exponential filter on the reference (a thicker layer); 0 for none.
    point_share
        Share of the point's soil moisture, without the planted aspect disturbance, in the reference; the rest is the
        cell's.
    overpasses
        Days observed in each 8-day repeat cycle; 8 for a model, which has no gaps on frozen or snow-covered ground.
    lost
        Share of overpasses lost at random (radio-frequency interference).
    """

    bias: float
    bias_std: float
    gain: float
    noise_std: float
    noise_time_scale: float
    noise_per_ndvi: float = 0.0
    smoothing: float = 0.0
    point_share: float = 0.0
    overpasses: int = 8
    lost: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class InSituError:
    """Errors of the in-situ sensors: ``sensor = m + gain (p - m) + bias + season + drift + noise``.

    All but the outages are standard deviations; bias, drift and noise in m3 m-3, decreasing in dry soil as in
    :class:`ProductError`; ``p`` is the soil moisture at the sensor, ``m`` its mean.

    Parameters
    ----------
    bias_std, gain_std
        Between sites: calibration and depth of the sensor.
    season_std
        Standard deviation, over sites, of the two coefficients of an annual cosine and sine: a local seasonal cycle
        that no input explains (irrigation, groundwater, temperature sensitivity of the sensor). It is the same every
        year and can be learned only from the site's own record.
    drift_std, drift_time_scale
        Slow error (contact with the soil, roots), AR(1) with this e-folding time in days.
    noise_std
        Day-to-day error.
    outage_every, outage_length
        Mean days between and mean length of outages.
    partial_share, short_share
        Share of the sites whose record covers 40 to 90 % of the period, and 3 to 8 % of it.
    """

    bias_std: float = 0.03
    gain_std: float = 0.12
    season_std: float = 0.045
    drift_std: float = 0.028
    drift_time_scale: float = 45.0
    noise_std: float = 0.004
    outage_every: float = 220.0
    outage_length: float = 12.0
    partial_share: float = 0.25
    short_share: float = 0.02


DRY_TAPER = 0.20
"""Soil moisture (m3 m-3) below which errors decrease in proportion to it."""

IN_SITU_ERROR = InSituError()

PRODUCT_ERRORS: dict[str, ProductError] = {
    v.SMAP: ProductError(
        bias=-0.025, bias_std=0.02, gain=1.10, noise_std=0.085, noise_time_scale=5.0, overpasses=3
    ),
    v.SMOS: ProductError(
        bias=-0.02, bias_std=0.03, gain=0.90, noise_std=0.088, noise_time_scale=5.0, overpasses=3, lost=0.15
    ),
    v.AMSR2: ProductError(
        bias=0.06, bias_std=0.02, gain=0.90, noise_std=0.075, noise_per_ndvi=0.10, noise_time_scale=8.0,
        overpasses=5
    ),
    v.GLDAS_NOAH: ProductError(
        bias=0.02, bias_std=0.03, gain=0.80, noise_std=0.062, noise_time_scale=20.0, smoothing=3.0
    ),
    v.SOMO_ML: ProductError(
        bias=0.0, bias_std=0.01, gain=0.90, noise_std=0.036, noise_time_scale=15.0, smoothing=1.5,
        point_share=0.8
    ),
}  # fmt: skip
"""Errors by product; the bias of AMSR2 has an additional term, see :class:`Scenario`."""

FORCING_ERRORS: dict[str, float] = {
    "precipitation": 0.40,
    "precipitation_missed": 0.04,
    "precipitation_point": 0.70,
    "air_temperature": 0.8,
    "shortwave_down": 0.08,
    "specific_humidity": 0.05,
    "surface_pressure": 60.0,
    "soil_temperature": 0.8,
    "lai": 0.08,
    "wind_u": 0.5,
    "wind_v": 0.5,
    "sand": 0.04,
    "clay": 0.03,
    "bulk_density": 0.06,
    "ndvi": 0.01,
}
"""Standard deviation of the errors of forcings and attributes.

Additive in the variable's units; for precipitation, shortwave, humidity and LAI the standard deviation of the
logarithm of a factor of mean 1. ``precipitation_missed`` is the share of wet days missing in the forcing, and
``precipitation_point`` the standard deviation of the logarithm of rain at the sensor relative to its cell.
"""
