"""The multitask loss: one term per stream, each over its valid targets only."""

from __future__ import annotations

import torch

from gsm3core.models.distribution import censored_log_likelihood

# Keeps the gradient of sqrt finite at 0. An error of 1e-9 m3 m-3 is far below any sensor's.
EPSILON = 1e-18


def masked_rmse(predicted: torch.Tensor, observed: torch.Tensor) -> torch.Tensor:
    """Return the RMSE over the days with a target; 0, with no gradient, if there is none.

    Parameters
    ----------
    predicted, observed
        Same shape and units; NaN in ``observed`` means no target.

    Notes
    -----
    Without boolean indexing all shapes are fixed: no synchronisation with a GPU, and no NaN enters the gradient.
    """
    valid = torch.isfinite(observed)
    count = valid.sum()
    squared = torch.where(valid, predicted - torch.where(valid, observed, 0.0), 0.0).square()
    root = torch.sqrt(squared.sum() / count.clamp(min=1) + EPSILON)
    return torch.where(count > 0, root, torch.zeros_like(root))


def masked_centred_rmse(predicted_BT: torch.Tensor, observed_BT: torch.Tensor) -> torch.Tensor:
    """Return the RMSE after each window's mean error is subtracted; 0, with no gradient, without targets.

    Parameters
    ----------
    predicted_BT, observed_BT
        Same units; NaN in ``observed_BT`` means no target.

    Notes
    -----
    The ubRMSE (Entekhabi et al. 2010, doi:10.1175/2010JHM1223.1) of windows: errors of the dynamics, not of the level.
    Like :func:`masked_rmse` it needs no synchronisation.
    """
    valid_BT = torch.isfinite(observed_BT)
    error_BT = torch.where(valid_BT, predicted_BT - torch.where(valid_BT, observed_BT, 0.0), 0.0)
    mean_B1 = error_BT.sum(dim=1, keepdim=True) / valid_BT.sum(dim=1, keepdim=True).clamp(min=1)
    return masked_rmse(error_BT - mean_B1, torch.where(valid_BT, 0.0, torch.nan))


def masked_nll(location: torch.Tensor, scale: torch.Tensor, observed: torch.Tensor) -> torch.Tensor:
    """Return the mean negative log likelihood over the days with a target; 0, with no gradient, if there is none.

    Parameters
    ----------
    location, scale
        Of the normal distribution before censoring to 0 to 1, m3 m-3.
    observed
        The same shape; NaN means no target.

    Returns
    -------
    torch.Tensor
        Nats per day.
    """
    valid = torch.isfinite(observed)
    # A placeholder within the bounds: its likelihood is finite, and masked out below.
    likelihood = censored_log_likelihood(location, scale, torch.where(valid, observed, 0.5))
    return -torch.where(valid, likelihood, 0.0).sum() / valid.sum().clamp(min=1)


def multitask_loss(terms: dict[str, torch.Tensor], weights: dict[str, float]) -> torch.Tensor:
    """Return the weighted sum of the terms.

    Parameters
    ----------
    terms
        By stream; 0 where the batch has no target.
    weights
        By stream; 1 where not given.

    Notes
    -----
    Liu et al., GSM3 v1.0, equation 2: L = RMSE(y, y_s) + RMSE(y, y_in).
    """
    return torch.stack([weights.get(name, 1.0) * term for name, term in terms.items()]).sum()
