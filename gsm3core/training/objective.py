"""The objective of one update: all streams through the network, and one loss term for each."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from gsm3core.models.base import Model
from gsm3core.models.distribution import location_and_scale
from gsm3core.models.precision import autocast
from gsm3core.training.loss import masked_centred_rmse, masked_nll, masked_rmse, multitask_loss
from gsm3core.windows import Batch

# m3 m-3; an output beyond it means that training diverges, even while it is still finite.
_LARGEST_OUTPUT = 1e6


@dataclass(frozen=True, slots=True)
class Terms:
    """The loss of one update and its terms, as tensors on the device.

    Parameters
    ----------
    loss
        The weighted sum over streams of the RMSE (``head = "point"``) or the negative log likelihood
        (``head = "gaussian"``), plus ``dynamics_weight`` times the centred RMSE of the windows. Both RMSE are in units
        of the target's standard deviation, so that one value of gradient clipping suits every dataset.
    rmse, nll
        By stream: m3 m-3, and nats per day (empty for point predictions).
    has_target
        By stream: whether the batch has any target.
    non_finite_B
        By stream: the windows with an output that is not finite.
    """

    loss: torch.Tensor
    rmse: dict[str, torch.Tensor]
    nll: dict[str, torch.Tensor]
    has_target: dict[str, torch.Tensor]
    non_finite_B: dict[str, torch.Tensor]


def evaluate(
    model: Model,
    batches: dict[str, Batch],
    *,
    target: tuple[float, float],
    weights: dict[str, float],
    precision: str,
    dynamics_weight: float = 0.0,
    separate_passes: bool = False,
) -> Terms:
    """Run all streams through the network in one pass, with one weight dropout mask, and return their loss terms.

    Parameters
    ----------
    model, batches
        On the same device.
    target
        Mean and standard deviation of the training soil moisture, m3 m-3.
    weights
        By stream.
    precision
        ``fp32``, ``bf16`` or ``fp16``, of the network alone.
    dynamics_weight
        As in :class:`gsm3core.config.TrainingConfig`.
    separate_passes
        Run one pass for each stream, each with its own dropout mask (:func:`needs_separate_passes`).
    """
    outputs: dict[str, torch.Tensor] = {}
    for joint in [{n: b} for n, b in batches.items()] if separate_passes else [batches]:
        x_BTF = torch.cat([b.x_BTF for b in joint.values()])
        c_BA = torch.cat([b.c_BA for b in joint.values()])
        with autocast(precision, x_BTF.device):
            h_BTH, _ = model.features(x_BTF, c_BA, None)
            parts = h_BTH.split([len(b.x_BTF) for b in joint.values()])
            outputs |= {name: model.output(h, name) for name, h in zip(joint, parts, strict=True)}

    rmse, nll, fitted, non_finite_B = {}, {}, {}, {}
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
        non_finite_B[name] = ~(location_BT.detach().abs() < _LARGEST_OUTPUT).all(dim=1)
    loss = multitask_loss(fitted, weights)
    has_target = {name: torch.isfinite(b.y_BT).any() for name, b in batches.items()}
    return Terms(loss, _detached(rmse), _detached(nll), has_target, non_finite_B)


def needs_separate_passes(precision: str, hidden: int, batch: int, streams: int) -> bool:
    """Whether only separate passes of the streams let cuDNN use its persistent LSTM.

    Parameters
    ----------
    precision
        ``fp32``, ``bf16`` or ``fp16``.
    hidden
        Width of the LSTM, and of its input.
    batch, streams
        Windows of each stream, and number of streams.

    Notes
    -----
    The persistent LSTM keeps the recurrent weights on the chip over all days. PyTorch selects it in fp16 when
    input and hidden size are multiples of 128 up to 1024 and the batch is a multiple of 8 up to 128 (``get_algo`` and
    ``use_persist_device_heuristics`` in its ATen/native/cudnn/RNN.cpp): two separate batches of 128 qualify, one of
    256 does not.
    """

    def persistent(size: int) -> bool:
        return precision == "fp16" and hidden % 128 == 0 and hidden <= 1024 and size % 8 == 0 and size <= 128

    return persistent(batch) and not persistent(batch * streams)


def _detached(terms: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: term.detach() for name, term in terms.items()}
