"""The two-teacher loss: one RMSE per stream, each over its valid targets only."""

from __future__ import annotations

import torch

# Inside the root: the gradient of sqrt at 0 is infinite. 1e-9 m3 m-3 of error is far below any sensor's.
EPSILON = 1e-18


def masked_rmse(predicted: torch.Tensor, observed: torch.Tensor) -> torch.Tensor | None:
    """Return the RMSE over the days with a target; ``None`` if there is none.

    Parameters
    ----------
    predicted, observed
        The same shape and units; NaN in ``observed`` is no target.

    Notes
    -----
    No boolean indexing: a fixed shape needs no synchronisation with a GPU, and a NaN never enters the gradient.
    """
    valid = torch.isfinite(observed)
    count = valid.sum()
    squared = torch.where(valid, predicted - torch.where(valid, observed, 0.0), 0.0).square()
    if count == 0:
        return None
    return torch.sqrt(squared.sum() / count + EPSILON)


def two_teacher_loss(terms: dict[str, torch.Tensor | None], weights: dict[str, float]) -> torch.Tensor | None:
    """Return the weighted sum of the terms that exist; ``None`` if no stream has a target.

    Parameters
    ----------
    terms
        Stream name -> its RMSE, or ``None`` where the batch has no target: that term is dropped.
    weights
        Stream name -> factor; 1 where not given.

    Notes
    -----
    Liu et al., GSM3 v1.0, equation 2: L = RMSE(y, y_s) + RMSE(y, y_in).
    """
    there = [weights.get(name, 1.0) * term for name, term in terms.items() if term is not None]
    return torch.stack(there).sum() if there else None
