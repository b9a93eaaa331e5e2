"""One update: separate passes of streams, loss scaling and skipped updates."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import torch

from gsm3core.config import ModelConfig, TrainingConfig
from gsm3core.models.multitask_lstm import MultitaskLSTM
from gsm3core.training.checkpoint import Progress, load_checkpoint, restore_checkpoint, save_checkpoint
from gsm3core.training.objective import Terms, evaluate, needs_separate_passes
from gsm3core.training.optimizer import make_optimizer, make_schedule
from gsm3core.training.step import Step, make_scaler
from gsm3core.windows import Batch
from support.folds import make_windows
from support.small_world import make_dataset

CPU = torch.device("cpu")
TARGET = (0.2, 0.1)
FP16 = TrainingConfig.model_validate({"precision": "fp16"})
FP32 = TrainingConfig()


def network(**options: object) -> MultitaskLSTM:
    torch.manual_seed(0)
    settings = {"hidden": 16, "dropout": 0.0, "heads": "separate"} | options
    return MultitaskLSTM(ModelConfig.model_validate(settings), 2, 5, ("sm_insitu", "sm_smap"))


@pytest.fixture(scope="module")
def batches() -> list[dict[str, Batch]]:
    windows = make_windows(make_dataset(n_sites=8, n_days=200), window=50)
    return list(windows.epoch(8, 6, torch.Generator().manual_seed(0)))


@pytest.mark.parametrize(
    ("precision", "hidden", "batch", "streams", "separate_passes"),
    [
        ("fp16", 256, 128, 2, True),
        ("fp16", 128, 72, 2, True),
        ("fp16", 1024, 128, 2, True),
        ("fp16", 256, 64, 2, False),  # a joint batch of 128 has the persistent LSTM
        ("fp16", 256, 128, 1, False),  # one stream
        ("fp16", 256, 256, 2, False),  # too large either way
        ("fp16", 256, 100, 2, False),  # not a multiple of 8 either way
        ("fp16", 192, 128, 2, False),
        ("fp16", 2048, 128, 2, False),
        ("bf16", 256, 128, 2, False),
        ("fp32", 256, 128, 2, False),
    ],
)
def test_separate_passes_only_for_the_persistent_lstm(
    precision: str, hidden: int, batch: int, streams: int, separate_passes: bool
) -> None:
    assert needs_separate_passes(precision, hidden, batch, streams) is separate_passes


@pytest.mark.parametrize("head", ["point", "gaussian"])
def test_separate_passes_equal_joint_passes(batches: list[dict[str, Batch]], head: str) -> None:
    found = {}
    for separate_passes in (False, True):
        model = network(head=head)
        terms = evaluate(
            model, batches[0], target=TARGET, weights={}, precision="fp32", separate_passes=separate_passes
        )
        terms.loss.backward()
        gradient = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        found[separate_passes] = (terms.loss.detach(), terms.non_finite_B["sm_smap"], gradient)
    # The same products summed in another order: the default tolerance of fp32.
    torch.testing.assert_close(found[True], found[False])


def scaled_objective(scales: Iterator[float]) -> partial[Terms]:
    """The objective, with its loss multiplied by the next factor at each call."""

    def objective(model: MultitaskLSTM, batch: dict[str, Batch]) -> Terms:
        terms = evaluate(model, batch, target=TARGET, weights={}, precision="fp32")
        return Terms(terms.loss * next(scales), terms.rmse, terms.nll, terms.has_target, terms.non_finite_B)

    return partial(objective)


def test_loss_scaling_does_not_change_the_weights(batches: list[dict[str, Batch]]) -> None:
    """The scale is a power of two, which is exact in fp32."""
    weights = []
    for precision in ("fp32", "fp16"):
        model = network()
        optimizer = make_optimizer(model, FP16)
        step = Step(model, optimizer, make_scaler(precision, CPU), scaled_objective(iter([1.0] * 6)), 1.0)
        for batch in batches:
            step(batch)
        weights.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    torch.testing.assert_close(weights[0], weights[1], rtol=0, atol=0)
    start = torch.cat([p.detach().flatten() for p in network().parameters()])
    assert (weights[0] - start).abs().max() > 1e-3, "the weights changed"


def test_overflowing_gradient_skips_update_and_halves_scale(
    batches: list[dict[str, Batch]],
) -> None:
    model = network()
    optimizer, scaler = make_optimizer(model, FP16), make_scaler("fp16", CPU)
    step = Step(model, optimizer, scaler, scaled_objective(iter([1.0, 1e38, 1.0])), 1.0)
    step(batches[0])
    before = [p.detach().clone() for p in model.parameters()]
    scale = scaler.get_scale()
    step(batches[1])
    assert scaler.get_scale() == scale / 2
    for old, parameter in zip(before, model.parameters(), strict=True):
        torch.testing.assert_close(parameter.detach(), old, rtol=0, atol=0)
    step(batches[2])
    assert all(torch.isfinite(p).all() for p in model.parameters())
    assert any((p != old).any() for old, p in zip(before, model.parameters(), strict=True)), (
        "training continues"
    )


def test_a_checkpoint_keeps_the_scale(batches: list[dict[str, Batch]], tmp_path: Path) -> None:
    model = network()
    optimizer, scaler = make_optimizer(model, FP16), make_scaler("fp16", CPU)
    schedule = make_schedule(optimizer, FP16, 10)
    Step(model, optimizer, scaler, scaled_objective(iter([1e38])), 1.0)(batches[0])
    path, generator = tmp_path / "checkpoint.pt", torch.Generator()
    save_checkpoint(path, model, optimizer, schedule, scaler, generator, Progress())
    fresh = make_scaler("fp16", CPU)
    assert fresh.get_scale() == 2 * scaler.get_scale()
    state = load_checkpoint(path, CPU)
    restore_checkpoint(state, model, optimizer, schedule, fresh, generator)
    assert fresh.state_dict() == scaler.state_dict()
    del state["scaler"]  # as in older checkpoints
    restore_checkpoint(
        state, model, make_optimizer(model, FP32), schedule, make_scaler("fp32", CPU), generator
    )
