"""The training loop: it learns, it stops, it resumes to the same numbers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
import xarray as xr
from small_world import make_dataset
from test_windows import windows_of

from gsm3core.config import ModelConfig, TrainingConfig
from gsm3core.errors import CancelledError, RunError, TrainingError
from gsm3core.models.base import Model
from gsm3core.models.multitask_lstm import MultitaskLSTM
from gsm3core.training import loop
from gsm3core.training.loop import train, updates_per_epoch
from gsm3core.windows import TrainingWindows

TARGET = (0.2, 0.1)


@pytest.fixture(scope="module")
def windows() -> TrainingWindows:
    return windows_of(make_dataset(n_sites=12, n_days=400), window=90, warmup=10)


def fresh(config: TrainingConfig, dropout_on: str = "weights") -> Model:
    torch.manual_seed(config.seed)
    return MultitaskLSTM(
        ModelConfig.model_validate({"hidden": 12, "dropout": 0.2, "dropout_on": dropout_on}), 2, 5
    )


def fit(
    windows: TrainingWindows, config: TrainingConfig, folder: Path, stop_after: int | None = None
) -> tuple[Model, list[dict[str, Any]]]:
    reports: list[dict[str, Any]] = []
    calls = iter(range(10**9))
    model = fresh(config)
    train(
        model, windows, config, target=TARGET, checkpoint=folder / "checkpoint.pt", report=reports.append,
        cancelled=lambda: stop_after is not None and next(calls) >= stop_after,
    )  # fmt: skip
    return model, reports


def config(**values: Any) -> TrainingConfig:
    return TrainingConfig.model_validate(
        {"epochs": 6, "updates_per_epoch": 4, "batch": 8, "window": 90, "warmup": 10} | values
    )


@pytest.mark.parametrize(
    "optimizer", [{}, {"optimizer": "adadelta", "learning_rate": 1.0, "schedule": "constant", "clip_norm": 0}]
)
def test_it_learns_a_leaky_bucket(
    windows: TrainingWindows, tmp_path: Path, optimizer: dict[str, Any]
) -> None:
    """Both terms end below the spread of the target, which is what knowing nothing but the mean gives."""
    _, reports = fit(
        windows, config(epochs=25, updates_per_epoch=12, **{"learning_rate": 1e-2} | optimizer), tmp_path
    )
    target = windows.streams["sm_insitu"].target_ST
    spread = float(target[torch.isfinite(target)].std())
    last = reports[-1]["losses"]
    assert last["sm_insitu"] < 0.6 * spread
    assert last["sm_smap"] < 0.8 * spread


@pytest.mark.parametrize("dropout_on", ["weights", "outputs"])
def test_a_resumed_run_is_the_uninterrupted_one(
    windows: TrainingWindows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dropout_on: str
) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    expected, _ = fit(windows, config(), whole)
    for stop_after in (9, 3, 10):
        with pytest.raises(CancelledError):
            fit(windows, config(), cut, stop_after)
    torch.manual_seed(12345)
    found, reports = fit(windows, config(), cut)
    assert reports[0]["updates"] > 4, "it went on, it did not start anew"
    for (name, a), b in zip(expected.state_dict().items(), found.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0, msg=name)


def test_reports_say_where_it_stands(windows: TrainingWindows, tmp_path: Path) -> None:
    _, reports = fit(windows, config(), tmp_path)
    epochs = [r for r in reports if r["losses"]]
    assert [r["epoch"] for r in epochs] == [1, 2, 3, 4, 5, 6]
    assert [r["done"] for r in epochs] == pytest.approx([k / 6 for k in range(1, 7)])
    assert epochs[-1]["seconds_left"] == 0


def test_the_number_of_updates_follows_the_lineages_rule(windows: TrainingWindows) -> None:
    """The rule's probability: after that many windows a day has been missed with probability 0.01 at most."""
    stream = windows.streams["sm_insitu"]
    n = updates_per_epoch(windows, config(updates_per_epoch=None, batch=2))
    days = sum(int(stream.latest_S[s] + 90 - stream.earliest_S[s]) for s in stream.sites)
    missed = (1 - 2 * 90 / days) ** n
    assert missed <= 0.01 < (1 - 2 * 90 / days) ** (n - 1)
    assert updates_per_epoch(windows, config(updates_per_epoch=None, batch=4000)) == 1


def test_the_papers_count_is_reproduced() -> None:
    """271 updates an epoch for 1,317 sites, 2,102 days, batches of 128 windows of 365 days."""
    assert math.ceil(math.log(0.01) / math.log(1 - 128 * 365 / (1317 * 2102))) == 271


def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(
    windows: TrainingWindows, tmp_path: Path
) -> None:
    class Broken(MultitaskLSTM):
        calls = 0

        def step(self, x_BTF: torch.Tensor, c_BA: torch.Tensor, state: Any) -> Any:
            self.calls += 1
            y, state = super().step(x_BTF, c_BA, state)
            return (y * float("nan") if self.calls > 6 else y), state

    model = Broken(ModelConfig(hidden=4), 2, 5)
    loop.CHECKPOINT_SECONDS, before = 0.0, loop.CHECKPOINT_SECONDS
    try:
        with pytest.raises(TrainingError, match=r"loss against sm_insitu is nan in epoch 2"):
            train(
                model,
                windows,
                config(),
                target=TARGET,
                checkpoint=tmp_path / "c.pt",
                report=lambda _: None,
                cancelled=lambda: False,
            )
    finally:
        loop.CHECKPOINT_SECONDS = before
    assert torch.load(tmp_path / "c.pt", weights_only=True)["epoch"] == 1


def test_a_broken_checkpoint_is_named(windows: TrainingWindows, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"nothing of the kind")
    with pytest.raises(RunError, match=r"checkpoint\.pt cannot be read as a checkpoint"):
        fit(windows, config(), tmp_path)


def test_one_stream_alone(tmp_path: Path) -> None:
    ds: xr.Dataset = make_dataset(n_sites=8, n_days=300)
    ds["sm_smap"].values[:] = float("nan")
    _, reports = fit(windows_of(ds, window=90, warmup=10), config(epochs=1), tmp_path)
    assert set(reports[-1]["losses"]) == {"sm_insitu"}
