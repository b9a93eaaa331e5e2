"""The captured training step, with a recorder of operations as a stand-in for the CUDA graph, as there is no GPU.

Like a graph, the stand-in records every operation with its input and output tensors, and each replay repeats them on
the same memory. Python numbers (a learning rate, a step count) become constants of the capture; tensors created for a
later update are not seen. A step whose replay equals the eager step can be captured. Streams, memory pools and cuDNN
are not tested.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from gsm3core.config import ModelConfig, TrainingConfig
from gsm3core.errors import ConfigError
from gsm3core.models.multitask_lstm import MultitaskLSTM
from gsm3core.training.loop import train
from gsm3core.training.objective import Terms, evaluate
from gsm3core.training.optimizer import make_optimizer, make_schedule
from gsm3core.training.step import WARM_UP, CudaGraphStep, Step, make_scaler
from gsm3core.windows import TrainingWindows
from support.folds import make_windows
from support.small_world import make_dataset

GPU = torch.device("cuda:0")
UPDATES = 12


@pytest.fixture(scope="module")
def windows() -> TrainingWindows:
    return make_windows(make_dataset(n_sites=8, n_days=200), window=40)


class Recorder(TorchDispatchMode):
    """Records operations while it is active, and replays them."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, Any, Any, list[torch.Tensor]]] = []
        self.starts = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        written = [t for t in pytree.tree_leaves(found) if isinstance(t, torch.Tensor)]
        # Copies: the caller may reuse its lists.
        given, options = pytree.tree_map(lambda part: part, (args, kwargs or {}))
        self.operations.append((func, given, options, written))
        return found

    def replay(self) -> None:
        self.starts += 1
        # As in the capture: below autograd, whose mode decides what oneDNN's LSTM saves for the backward pass.
        with torch._C._AutoDispatchBelowAutograd():
            for func, args, kwargs, written in self.operations:
                found = [t for t in pytree.tree_leaves(func(*args, **kwargs)) if isinstance(t, torch.Tensor)]
                for old, new in zip(written, found, strict=True):
                    if old.data_ptr() != new.data_ptr():  # else it was written in place, or is a view
                        old.copy_(new)


class NoStream:
    def __init__(self, *_: Any) -> None: ...

    def wait_stream(self, other: Any) -> None: ...


def stand_in(monkeypatch: pytest.MonkeyPatch, state: list[torch.Tensor]) -> list[Recorder]:
    """Replace the CUDA graph by the recorder; a capture computes nothing, so ``state`` is restored after it."""
    created: list[Recorder] = []

    def graph() -> Recorder:
        created.append(Recorder())
        return created[-1]

    @contextlib.contextmanager
    def recording(recorder: Recorder, **_: Any) -> Iterator[None]:
        before, random = [t.detach().clone() for t in state], torch.get_rng_state()
        with recorder:
            yield
        with torch.no_grad():
            for tensor, old in zip(state, before, strict=True):
                tensor.copy_(old)
        torch.set_rng_state(random)

    nothing = lambda *_: contextlib.nullcontext()  # noqa: E731
    for name, value in {
        "Stream": NoStream, "current_stream": NoStream, "CUDAGraph": graph, "graph": recording,
        "stream": nothing, "device": nothing,
    }.items():  # fmt: skip
        monkeypatch.setattr(torch.cuda, name, value)
    return created


def train_steps(
    windows: TrainingWindows, monkeypatch: pytest.MonkeyPatch, recorded: bool, precision: str, **model: Any
) -> tuple[list[torch.Tensor], list[Terms]]:
    """The weights after some updates, and the loss terms of each."""
    torch.manual_seed(0)
    network = MultitaskLSTM(ModelConfig.model_validate({"hidden": 8} | model), 2, 5, ("sm_insitu", "sm_smap"))
    config = TrainingConfig.model_validate({"cuda_graph": True, "learning_rate": 0.01})
    optimizer, scaler = make_optimizer(network, config), make_scaler(precision, torch.device("cpu"))
    schedule = make_schedule(optimizer, config, UPDATES)
    objective = partial(evaluate, target=(0.2, 0.1), weights={"sm_smap": 0.5}, precision="fp32")
    plain = Step(network, optimizer, scaler, objective, 0.1)
    reported = []
    generator, state = windows.generator(0), list[torch.Tensor]()
    created = stand_in(monkeypatch, state)
    step = CudaGraphStep(plain, GPU) if recorded else plain
    for update, batches in enumerate(windows.epoch(6, UPDATES, generator)):
        if update == WARM_UP:
            state += [*network.parameters(), *(t for s in optimizer.state.values() for t in s.values())]
            if scaler.is_enabled():
                state += [t for t in (scaler._scale, scaler._growth_tracker) if t is not None]
        reported.append(step(batches))
        schedule.step()
    if recorded:
        assert created[0].starts == UPDATES - WARM_UP
    return [p.detach() for p in network.parameters()], reported


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize(
    "model",
    [
        {"dropout_on": "weights", "dropout": 0.3},
        {"dropout_on": "outputs", "dropout": 0.3, "head": "gaussian"},
        {"heads": "affine", "dropout": 0.0},
    ],
)
def test_a_captured_step_equals_the_eager_step(
    windows: TrainingWindows, monkeypatch: pytest.MonkeyPatch, model: dict[str, Any], precision: str
) -> None:
    """Including schedule, gradient clipping, new dropout masks and loss scaling in every update."""
    expected, plain = train_steps(windows, monkeypatch, False, precision, **model)
    found, recorded = train_steps(windows, monkeypatch, True, precision, **model)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    for a, b in zip(recorded, plain, strict=True):
        assert float(a.loss) == float(b.loss.detach())
        assert {n: float(t) for n, t in a.rmse.items()} == {n: float(t) for n, t in b.rmse.items()}
    assert len({float(t.loss) for t in recorded}) == UPDATES, "later replays do not overwrite reported terms"


def test_the_stand_in_detects_captured_constants(
    windows: TrainingWindows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Python learning rate becomes a constant of the capture: the schedule is lost and the weights differ."""
    expected, _ = train_steps(windows, monkeypatch, False, "fp32", dropout=0.0)
    monkeypatch.setattr(torch, "tensor", lambda value, **_: value)
    found, _ = train_steps(windows, monkeypatch, True, "fp32", dropout=0.0)
    assert any((a != b).any() for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("schedule", ["one_cycle", "constant"])
def test_a_schedule_writes_learning_rates_into_the_tensor(schedule: str) -> None:
    rates = {}
    for recorded in (False, True):
        settings = {"schedule": schedule, "cuda_graph": recorded, "precision": "fp16"}
        config = TrainingConfig.model_validate(settings)
        optimizer = make_optimizer(torch.nn.Linear(2, 1), config)
        rate, moving = optimizer.param_groups[0]["lr"], make_schedule(optimizer, config, 40)
        rates[recorded] = []
        for _ in range(40):
            optimizer.step()
            rates[recorded].append(float(optimizer.param_groups[0]["lr"]))
            moving.step()
        if recorded:
            assert optimizer.param_groups[0]["lr"] is rate, "the same memory that the graph reads"
            assert isinstance(rate, torch.Tensor)
    assert rates[True] == pytest.approx(rates[False], rel=1e-6)


def test_cuda_graph_on_a_cpu_is_refused(windows: TrainingWindows, tmp_path: Path) -> None:
    network = MultitaskLSTM(ModelConfig(), 2, 5, ("sm_insitu", "sm_smap"))
    with pytest.raises(ConfigError, match=r"training.cuda_graph .* the network runs on cpu. Set it to false"):
        train(
            network, windows, TrainingConfig.model_validate({"cuda_graph": True}), target=(0.2, 0.1),
            checkpoint=tmp_path / "c.pt", report=lambda _: None, cancelled=lambda: False,
        )  # fmt: skip
