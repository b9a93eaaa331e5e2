"""What one update minimises: the streams through the network, and one term for each."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from gsm3core.models.base import Model
from gsm3core.models.distribution import location_and_scale
from gsm3core.models.precision import autocast
from gsm3core.training.loss import masked_centred_rmse, masked_nll, masked_rmse, multitask_loss
from gsm3core.windows import Batch

# No soil holds so much water, nor so little: a number like this is a network that has blown up, before it is infinite.
_NOT_A_SOIL = 1e6


@dataclass(frozen=True, slots=True)
class Terms:
    """The loss of one update and what it is made of; tensors on the device, never read in the step.

    Parameters
    ----------
    loss
        What is differentiated: for values the sum of the RMSE in units of the target's spread, so that one limit on
        the gradient serves every data set; for distributions the sum of the negative log likelihoods. To each stream's
        term comes ``dynamics_weight`` times that of its windows' own course, also in units of the target's spread.
    rmse, nll
        By stream: m3 m-3, and nats per day (empty for values).
    taught
        By stream: whether the batch has any target.
    broken_B
        By stream: the windows whose output is not a number.
    """

    loss: torch.Tensor
    rmse: dict[str, torch.Tensor]
    nll: dict[str, torch.Tensor]
    taught: dict[str, torch.Tensor]
    broken_B: dict[str, torch.Tensor]


def evaluate(
    model: Model,
    batches: dict[str, Batch],
    *,
    target: tuple[float, float],
    weights: dict[str, float],
    precision: str,
    dynamics_weight: float = 0.0,
    apart: bool = False,
) -> Terms:
    """Run all streams through the network in one pass: one mask of dropped weights, one matrix product.

    Parameters
    ----------
    model, batches
        On the same device.
    target
        Mean and standard deviation of the training soil moisture, m3 m-3.
    weights
        Stream -> factor of its term.
    precision
        ``fp32``, ``bf16`` or ``fp16``, of the network alone.
    dynamics_weight
        As in :class:`gsm3core.config.TrainingConfig`.
    apart
        Whether every stream passes alone, with a mask of its own (:func:`passes_apart`).
    """
    outputs: dict[str, torch.Tensor] = {}
    for together in [{n: b} for n, b in batches.items()] if apart else [batches]:
        x_BTF = torch.cat([b.x_BTF for b in together.values()])
        c_BA = torch.cat([b.c_BA for b in together.values()])
        with autocast(precision, x_BTF.device):
            h_BTH, _ = model.features(x_BTF, c_BA, None)
            parts = h_BTH.split([len(b.x_BTF) for b in together.values()])
            outputs |= {name: model.output(h, name) for name, h in zip(together, parts, strict=True)}

    rmse, nll, fitted, broken_B = {}, {}, {}, {}
    for name, y_BTP in outputs.items():
        observed = batches[name].y_BT
        location_BT, scale_BT = location_and_scale(y_BTP, target)
        rmse[name] = masked_rmse(location_BT, observed)
        fitted[name] = rmse[name] / target[1]
        if scale_BT is not None:
            fitted[name] = nll[name] = masked_nll(location_BT, scale_BT, observed)
        if dynamics_weight:
            centred = masked_centred_rmse(location_BT, observed)
            fitted[name] = fitted[name] + dynamics_weight * centred / target[1]
        # "Not below" instead of "above": true for NaN too.
        broken_B[name] = ~(location_BT.detach().abs() < _NOT_A_SOIL).all(dim=1)
    loss = multitask_loss(fitted, weights)
    taught = {name: torch.isfinite(b.y_BT).any() for name, b in batches.items()}
    return Terms(loss, _detached(rmse), _detached(nll), taught, broken_B)


def passes_apart(precision: str, hidden: int, batch: int, streams: int) -> bool:
    """Tell whether every stream should pass through the network alone: only if cuDNN's faster LSTM depends on it.

    Parameters
    ----------
    precision
        ``fp32``, ``bf16`` or ``fp16``.
    hidden
        Width of the LSTM, and of its input.
    batch, streams
        Windows of each stream, and how many there are.

    Notes
    -----
    The persistent LSTM keeps the recurrent weights on the chip over all days. PyTorch asks cuDNN for it in fp16 when
    input and hidden size are multiples of 128 up to 1024 and the batch is a multiple of 8 up to 128 (``get_algo`` and
    ``use_persist_device_heuristics`` in its ATen/native/cudnn/RNN.cpp): two batches of 128 have it one after the
    other, together they do not.
    """

    def persistent(size: int) -> bool:
        return precision == "fp16" and hidden % 128 == 0 and hidden <= 1024 and size % 8 == 0 and size <= 128

    return persistent(batch) and not persistent(batch * streams)


def _detached(terms: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: term.detach() for name, term in terms.items()}
