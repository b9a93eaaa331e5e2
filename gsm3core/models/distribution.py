"""The predictive distribution of a network's output: a point, or a normal distribution censored to 0 to 1 m3 m-3."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

# Parameters per day of each head: the location, and for a distribution its unconstrained scale.
PARAMETERS = {"point": 1, "gaussian": 2}

# m3 m-3, about the resolution of a probe: bounds the likelihood of a day that is fitted exactly.
SMALLEST_SCALE = 1e-3
LOW, HIGH = 0.0, 1.0


def location_and_scale(
    y_BTP: torch.Tensor, target: tuple[float, float]
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return location and scale of a network's output in m3 m-3.

    Parameters
    ----------
    y_BTP
        Scaled output, ``P`` = 1 (a point) or 2 (a distribution).
    target
        Mean and standard deviation of the training soil moisture, m3 m-3.

    Returns
    -------
    location_BT
        The point prediction, or the mean of the normal distribution before censoring.
    scale_BT
        Its standard deviation before censoring, or ``None`` for a point.
    """
    mean, std = target
    y_BTP = y_BTP.float()
    location_BT = mean + std * y_BTP[..., 0]
    if y_BTP.shape[-1] == 1:
        return location_BT, None
    return location_BT, SMALLEST_SCALE + std * functional.softplus(y_BTP[..., 1])


def censored_log_likelihood(
    location: torch.Tensor, scale: torch.Tensor, observed: torch.Tensor
) -> torch.Tensor:
    """Return the log likelihood of values under a normal distribution censored at 0 and 1.

    Parameters
    ----------
    location, scale
        m3 m-3, of the normal distribution before censoring.
    observed
        m3 m-3, without missing values.

    Notes
    -----
    Tobit likelihood (Tobin 1958, doi:10.2307/1907382): the normal density between the bounds, the tail probability at
    a bound.
    """
    z = (observed - location) / scale
    inside = -0.5 * z.square() - torch.log(scale) - 0.5 * math.log(2 * math.pi)
    below = torch.special.log_ndtr((LOW - location) / scale)
    above = torch.special.log_ndtr((location - HIGH) / scale)
    return torch.where(observed <= LOW, below, torch.where(observed >= HIGH, above, inside))


def censored_moments(location: torch.Tensor, scale: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and standard deviation of a normal distribution censored at 0 and 1.

    Parameters
    ----------
    location, scale
        m3 m-3, of the normal distribution before censoring. Computed in double precision: the variance is a
        difference of similar numbers.

    Notes
    -----
    With a = -m/s, b = (1 - m)/s: E[Y] = m (F(b) - F(a)) + s (f(a) - f(b)) + 1 - F(b), and E[Y^2] likewise from the
    moments of the truncated normal distribution (Johnson, Kotz and Balakrishnan 1994, section 10.1).
    """
    m, s = location.double(), scale.double()
    a, b = (LOW - m) / s, (HIGH - m) / s
    inside = torch.special.ndtr(b) - torch.special.ndtr(a)
    above = torch.special.ndtr(-b)
    density_a, density_b = _density(a), _density(b)
    mean = m * inside + s * (density_a - density_b) + HIGH * above
    square = (
        (m.square() + s.square()) * inside
        + 2 * m * s * (density_a - density_b)
        + s.square() * (a * density_a - b * density_b)
        + HIGH**2 * above
    )
    return mean, (square - mean.square()).clamp(min=0).sqrt()


def _density(z: torch.Tensor) -> torch.Tensor:
    return torch.exp(-0.5 * z.square()) / math.sqrt(2 * math.pi)
