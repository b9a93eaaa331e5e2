"""The training loop: fitting, stopping, resuming with the same numbers."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from gsm3core.config import DataConfig, ModelConfig, TrainingConfig
from gsm3core.errors import CancelledError, RunError, TrainingError
from gsm3core.holdouts.base import Fold
from gsm3core.models.base import Model
from gsm3core.models.multitask_lstm import MultitaskLSTM
from gsm3core.scaling import fit_scaler
from gsm3core.training import loop
from gsm3core.training.loop import train, updates_per_epoch
from gsm3core.windows import TrainingWindows, training_windows
from support.folds import make_windows
from support.small_world import make_dataset

TARGET = (0.2, 0.1)
STREAMS = ("sm_insitu", "sm_smap")


@pytest.fixture(scope="module")
def windows() -> TrainingWindows:
    return make_windows(make_dataset(n_sites=12, n_days=400), window=90, warmup=10)


def fresh(config: TrainingConfig, dropout_on: str = "weights") -> Model:
    torch.manual_seed(config.seed)
    return MultitaskLSTM(
        ModelConfig.model_validate({"hidden": 12, "dropout": 0.2, "dropout_on": dropout_on}), 2, 5, STREAMS
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
def test_training_fits_a_leaky_bucket(
    windows: TrainingWindows, tmp_path: Path, optimizer: dict[str, Any]
) -> None:
    """Both RMSE end below the standard deviation of the target, the RMSE of predicting the mean."""
    _, reports = fit(
        windows, config(epochs=25, updates_per_epoch=12, **{"learning_rate": 1e-2} | optimizer), tmp_path
    )
    target = windows.streams["sm_insitu"].target_ST
    std = float(target[torch.isfinite(target)].std())
    last = reports[-1]["losses"]
    assert last["sm_insitu"] < 0.6 * std
    assert last["sm_smap"] < 0.8 * std


@pytest.mark.parametrize("dropout_on", ["weights", "outputs"])
def test_a_resumed_run_equals_the_uninterrupted_one(
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
    assert reports[0]["updates"] > 4, "training resumed from the checkpoint"
    for (name, a), b in zip(expected.state_dict().items(), found.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0, msg=name)


def test_progress_reports_are_consistent(windows: TrainingWindows, tmp_path: Path) -> None:
    _, reports = fit(windows, config(), tmp_path)
    epochs = [r for r in reports if r["losses"]]
    assert [r["epoch"] for r in epochs] == [1, 2, 3, 4, 5, 6]
    assert [r["done"] for r in epochs] == pytest.approx([k / 6 for k in range(1, 7)])
    assert epochs[-1]["seconds_left"] == 0


def test_the_number_of_updates_follows_hydrodls_rule(windows: TrainingWindows) -> None:
    """After that many windows a given day has been missed with probability 0.01 at most."""
    stream = windows.streams["sm_insitu"]
    n = updates_per_epoch(windows, config(updates_per_epoch=None, batch=2))
    days = sum(int(stream.latest_S[s] + 90 - stream.earliest_S[s]) for s in stream.sites)
    missed = (1 - 2 * 90 / days) ** n
    assert missed <= 0.01 < (1 - 2 * 90 / days) ** (n - 1)
    assert updates_per_epoch(windows, config(updates_per_epoch=None, batch=4000)) == 1


def test_the_papers_number_of_updates_is_reproduced() -> None:
    """271 updates an epoch for 1,317 sites, 2,102 days, batches of 128 windows of 365 days."""
    assert math.ceil(math.log(0.01) / math.log(1 - 128 * 365 / (1317 * 2102))) == 271


def run_until_it_fails(model: Model, windows: TrainingWindows, folder: Path, **changes: Any) -> str:
    with pytest.raises(TrainingError) as error:
        train(
            model, windows, config(**changes), target=TARGET, checkpoint=folder / "c.pt",
            report=lambda _: None, cancelled=lambda: False,
        )  # fmt: skip
    return str(error.value)


def test_non_finite_loss_stops_and_keeps_the_checkpoint(
    windows: TrainingWindows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)

    class Broken(MultitaskLSTM):
        calls = 0

        def output(self, h_BTH: torch.Tensor, stream: str) -> torch.Tensor:
            self.calls += stream == "sm_insitu"
            return super().output(h_BTH, stream) * (float("nan") if self.calls > 6 else 1.0)

    message = run_until_it_fails(Broken(ModelConfig(hidden=4), 2, 5, STREAMS), windows, tmp_path)
    assert "loss against sm_insitu is nan in epoch 2, update 3. All 8 windows" in message
    kept = torch.load(tmp_path / "c.pt", weights_only=True)
    assert kept["epoch"] == 1
    assert all(torch.isfinite(t).all() for t in kept["model"].values())


@pytest.mark.parametrize("check_every_update", [True, False])
def test_the_first_non_finite_window_is_named(
    windows: TrainingWindows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, check_every_update: bool
) -> None:
    """The forcing of one site and day is infinite. The window is also named when the loss is checked later."""
    if not check_every_update:
        monkeypatch.setattr(loop, "CHECK_EVERY_UPDATE_ON", ())
        monkeypatch.setattr(loop, "REPORT_SECONDS", 1e9)
    poisoned = replace(windows, x_STF=windows.x_STF.clone())
    poisoned.x_STF[5, 200] = float("inf")
    generator = torch.Generator().manual_seed(0)
    expected = None
    for update in range(24):
        for name, batch in windows.draw(8, generator).items():
            hit = (batch.site_B == 5) & (batch.start_B <= 200) & (batch.start_B + 90 > 200)
            if bool(hit.any()) and expected is None:
                start = int(batch.start_B[hit][0])
                first, last = windows.days[start], windows.days[start + 89]
                expected = (
                    f"against {name} is nan in epoch {update // 4 + 1}, update {update % 4 + 1}. "
                    f"It comes from {int(hit.sum())} of 8 windows: site S005 {first} to {last}"
                )
    assert expected, "the seed samples the infinite day"
    assert expected in run_until_it_fails(fresh(config()), poisoned, tmp_path)


def test_diverging_training_is_stopped(windows: TrainingWindows, tmp_path: Path) -> None:
    changes = {"learning_rate": 1e3, "clip_norm": 0, "schedule": "constant"}
    message = run_until_it_fails(fresh(config()), windows, tmp_path, **changes)
    assert "m3 m-3 over epoch 1, above the physical maximum of 1" in message


@pytest.mark.parametrize("by", ["R", "RMSE"])
def test_best_validation_weights_are_kept_and_patience_stops(
    windows: TrainingWindows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """With given scores, best after the second epoch, training stops two epochs later, resumed or not."""
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    by_hand = [0.5, 0.1, 0.3, 0.2, 0.05, 0.01]
    validated: list[dict[str, torch.Tensor]] = []

    def fit_with_validation(
        folder: Path, stop_after: int | None = None
    ) -> tuple[Model, list[dict[str, Any]]]:
        calls, reports = iter(range(10**9)), []
        model = fresh(config())

        def validate(model: Model) -> dict[str, float]:
            assert not model.training
            validated.append({n: t.clone() for n, t in model.state_dict().items()})
            score = by_hand[len(validated) - 1]
            return {"R": 1 - score if by == "R" else 0.9, "RMSE": score if by == "RMSE" else 0.1}

        train(
            model, windows, config(validation_share=0.2, patience=2, validation_score=by), target=TARGET,
            checkpoint=folder / "checkpoint.pt", report=reports.append, validate=validate,
            cancelled=lambda: stop_after is not None and next(calls) >= stop_after,
        )  # fmt: skip
        return model, reports

    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    expected, reports = fit_with_validation(whole)
    epochs = [r for r in reports if r["losses"]]
    assert len(epochs) == 4
    assert [r["best_epoch"] for r in epochs] == [1, 2, 2, 2]
    for name, tensor in expected.state_dict().items():
        torch.testing.assert_close(tensor, validated[1][name], rtol=0, atol=0)
    assert not torch.equal(validated[1]["head.weight"], validated[3]["head.weight"])

    validated.clear()
    with pytest.raises(CancelledError):
        fit_with_validation(cut, stop_after=14)
    assert len(validated) == 3
    found, _ = fit_with_validation(cut)
    assert len(validated) == 4, "the checkpoint keeps the best weights and their epoch"
    again, nothing = fit_with_validation(cut)
    assert (len(validated), nothing) == (4, []), "training that was stopped early does not restart"
    for model in (found, again):
        for name, tensor in expected.state_dict().items():
            torch.testing.assert_close(model.state_dict()[name], tensor, rtol=0, atol=0)


def test_an_invalid_checkpoint_is_named(windows: TrainingWindows, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"nothing of the kind")
    with pytest.raises(RunError, match=r"checkpoint\.pt cannot be read: "):
        fit(windows, config(), tmp_path)


def test_training_with_one_stream(tmp_path: Path) -> None:
    ds: xr.Dataset = make_dataset(n_sites=8, n_days=300)
    ds["sm_smap"].values[:] = float("nan")
    _, reports = fit(make_windows(ds, window=90, warmup=10), config(epochs=1), tmp_path)
    assert set(reports[-1]["losses"]) == {"sm_insitu"}


def test_a_loss_of_weight_zero_is_refused(tmp_path: Path) -> None:
    ds: xr.Dataset = make_dataset(n_sites=8, n_days=300)
    both = make_windows(ds, window=60)
    (tmp_path / "both").mkdir()
    fit(both, config(epochs=1, window=60, satellite_weight=0.0), tmp_path / "both")
    ds["sm_insitu"].values[:] = float("nan")
    with pytest.raises(TrainingError, match="satellite_weight is 0, but sm_smap is the only"):
        fit(make_windows(ds, window=60), config(epochs=1, window=60, satellite_weight=0.0), tmp_path)


def test_ten_sites_are_fitted_to_near_zero_error(tmp_path: Path) -> None:
    """Without noise or dropout a leaky bucket is fitted exactly; 0.01 m3 m-3 is a tenth of its standard deviation."""
    ds = make_dataset(n_sites=10, n_days=200)
    rain, leak = ds.precipitation.values.astype(float), ds.clay.values.astype(float)
    level, store = [20.0] * 10, torch.zeros(10, 200)
    for t in range(200):
        for s in range(10):
            level[s] = min(level[s] * (1 - leak[s]) + 0.6 * rain[s, t], 60)
            store[s, t] = level[s]
    ds["sm_insitu"].values[:] = 0.05 + 0.4 * store.numpy() / 60
    ds = ds.drop_vars("sm_smap")
    fold = Fold(
        name="all", train_sites=np.ones(10, bool), test_sites=np.ones(10, bool),
        train_days=np.ones(200, bool), test_days=np.ones(200, bool),
    )  # fmt: skip
    scaler = fit_scaler(ds, fold, DataConfig(targets=("sm_insitu",)))
    windows = training_windows(
        ds, fold, scaler, targets=["sm_insitu"], window=200, warmup=0, device=torch.device("cpu")
    )
    torch.manual_seed(0)
    model = MultitaskLSTM(ModelConfig(hidden=24, dropout=0.0), 2, scaler.n_attributes, scaler.targets)
    reports: list[dict[str, Any]] = []
    settings = config(
        epochs=8, updates_per_epoch=50, batch=10, window=200, warmup=0, learning_rate=0.02, weight_decay=0.0
    )
    train(
        model, windows, settings, target=scaler.target, checkpoint=tmp_path / "c.pt",
        report=reports.append, cancelled=lambda: False,
    )  # fmt: skip
    assert reports[-1]["losses"]["sm_insitu"] < 0.01 < 0.2 * scaler.target[1]
