"""bf16 against fp32, within the rounding of bf16."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from gsm3core.config import ModelConfig
from gsm3core.errors import ConfigError
from gsm3core.models import precision
from gsm3core.models.multitask_lstm import MultitaskLSTM
from gsm3core.models.precision import autocast, resolve_precision
from gsm3core.training.objective import evaluate
from support.folds import make_windows
from support.small_world import make_dataset

CPU = torch.device("cpu")
STREAMS = ("sm_insitu", "sm_smap")
# bfloat16 has 8 significant bits: the relative rounding error is at most 2^-9.
EPSILON = 2.0**-9


def network(**options: Any) -> MultitaskLSTM:
    torch.manual_seed(0)
    return MultitaskLSTM(ModelConfig.model_validate({"hidden": 64, "dropout": 0.0} | options), 2, 5, STREAMS)


@pytest.mark.parametrize("head", ["point", "gaussian"])
def test_bf16_output_differs_by_rounding_only(head: str) -> None:
    """h, weights and output are rounded, so the error of y is at most a few EPSILON of sum |w h|."""
    windows = make_windows(make_dataset(n_sites=8, n_days=300), window=200)
    model = network(head=head).eval()
    batch = windows.draw(16, torch.Generator().manual_seed(0))["sm_insitu"]
    with torch.inference_mode():
        expected, _ = model.step(batch.x_BTF, batch.c_BA, None)
        with autocast("bf16", CPU):
            found, _ = model.step(batch.x_BTF, batch.c_BA, None)
        h, _ = model.features(batch.x_BTF, batch.c_BA, None)
    largest = (h.abs() @ model.head.weight.abs().T + model.head.bias.abs()).amax()
    difference = (found.float() - expected).abs().max()
    assert 0 < difference < 4 * EPSILON * largest


@pytest.mark.parametrize("dropout_on", ["weights", "outputs"])
def test_bf16_losses_and_gradients_are_fp32_and_close(dropout_on: str) -> None:
    windows = make_windows(make_dataset(n_sites=8, n_days=300), window=100)
    batches = windows.draw(16, torch.Generator().manual_seed(0))
    gradients = {}
    for name in ("fp32", "bf16"):
        model = network(dropout=0.3, dropout_on=dropout_on)
        torch.manual_seed(1)
        terms = evaluate(model, batches, target=(0.2, 0.1), weights={}, precision=name)
        assert terms.loss.dtype == torch.float32
        terms.loss.backward()
        assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in model.parameters())
        gradients[name] = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        gradients[f"{name} loss"] = terms.loss.detach()
    assert abs(gradients["bf16 loss"] / gradients["fp32 loss"] - 1) < 4 * EPSILON
    cosine = torch.nn.functional.cosine_similarity(gradients["fp32"], gradients["bf16"], dim=0)
    # Errors of 2^-9 in each rounded factor of a gradient, over 100 days: the angle stays within 16 EPSILON.
    assert torch.arccos(cosine.clamp(max=1)) < 16 * EPSILON
    assert np.isfinite(gradients["bf16"].numpy()).all()


def test_fp16_needs_a_gpu() -> None:
    assert resolve_precision("fp16", torch.device("cuda:0")) == "fp16"
    with pytest.raises(ConfigError, match=r"'fp16', but the network runs on cpu.*'bf16'"):
        resolve_precision("fp16", CPU)


def test_auto_precision_depends_on_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_precision("bf16", CPU) == "bf16"
    for has, expected in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr(precision, "_cpu_has_bf16", lambda has=has: has)
        assert resolve_precision("auto", CPU) == expected
        assert resolve_precision("fp32", CPU) == "fp32"
