"""The two-teacher loss: one term per stream, each over its valid targets only."""

from __future__ import annotations

import torch

from gsm3core.models.distribution import censored_log_likelihood

# Inside the root: the gradient of sqrt at 0 is infinite. 1e-9 m3 m-3 of error is far below any sensor's.
EPSILON = 1e-18


def masked_rmse(predicted: torch.Tensor, observed: torch.Tensor) -> torch.Tensor:
    """Return the RMSE over the days with a target; 0, with no gradient, if there is none.

    Parameters
    ----------
    predicted, observed
        The same shape and units; NaN in ``observed`` is no target.

    Notes
    -----
    No boolean indexing and no look at a value: a fixed shape needs no synchronisation with a GPU, and a NaN never
    enters the gradient.
    """
    valid = torch.isfinite(observed)
    count = valid.sum()
    squared = torch.where(valid, predicted - torch.where(valid, observed, 0.0), 0.0).square()
    root = torch.sqrt(squared.sum() / count.clamp(min=1) + EPSILON)
    return torch.where(count > 0, root, torch.zeros_like(root))


def masked_nll(location: torch.Tensor, scale: torch.Tensor, observed: torch.Tensor) -> torch.Tensor:
    """Return the mean negative log likelihood over the days with a target; 0, with no gradient, if there is none.

    Parameters
    ----------
    location, scale
        Of the normal distribution before it is censored to 0 to 1, m3 m-3.
    observed
        The same shape; NaN is no target.

    Returns
    -------
    torch.Tensor
        Nats per day.
    """
    valid = torch.isfinite(observed)
    # A value inside the bounds where there is none: its likelihood is finite, and then left out.
    likelihood = censored_log_likelihood(location, scale, torch.where(valid, observed, 0.5))
    return -torch.where(valid, likelihood, 0.0).sum() / valid.sum().clamp(min=1)


def two_teacher_loss(terms: dict[str, torch.Tensor], weights: dict[str, float]) -> torch.Tensor:
    """Return the weighted sum of the terms.

    Parameters
    ----------
    terms
        Stream name -> its term; 0 where the batch has no target, so that the term drops out.
    weights
        Stream name -> factor; 1 where not given.

    Notes
    -----
    Liu et al., GSM3 v1.0, equation 2: L = RMSE(y, y_s) + RMSE(y, y_in).
    """
    return torch.stack([weights.get(name, 1.0) * term for name, term in terms.items()]).sum()
