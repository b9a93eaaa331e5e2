"""Export to TensorBoard."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from gsm3core.config import ExperimentConfig
from gsm3core.errors import GSM3Error, RunError
from gsm3core.experiment.tensorboard import export_tensorboard
from gsm3core.run import Run

INSTALLED = importlib.util.find_spec("tensorboard") is not None


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = Run.create(tmp_path, ExperimentConfig(), {}, run_id="mine")
    where = {"fold": "fold_1", "index": 0, "of": 1, "members": 2}
    for member in (0, 1):
        for epoch in (1, 2, 3):
            run.append_event(
                "progress", **where, member=member, epoch=epoch, updates=10 * epoch, loss=0.5 / epoch,
                loss_insitu=0.5 / epoch, loss_smap=None, validation_R=0.1 * epoch + member,
            )  # fmt: skip
        run.append_event("progress", **where, member=member, epoch=3, updates=35)
    return run


@pytest.mark.skipif(not INSTALLED, reason="tensorboard is not installed")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_exported_scalars_equal_the_events(run: Run, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out = export_tensorboard(run, tmp_path / "tb")
    for member in (0, 1):
        read = EventAccumulator(str(out / "fold_1" / f"member_{member + 1}"))
        read.Reload()
        assert set(read.Tags()["scalars"]) == {"loss/sum", "loss/insitu", "validation/R"}
        assert [e.step for e in read.Scalars("loss/sum")] == [10, 20, 30]
        assert [e.value for e in read.Scalars("validation/R")] == pytest.approx(
            [0.1 + member, 0.2 + member, 0.3 + member]
        )
    with pytest.raises(GSM3Error, match="Choose another folder"):
        export_tensorboard(run, tmp_path / "tb")


def test_a_run_without_epochs_is_refused(run: Run, tmp_path: Path) -> None:
    new = Run.create(tmp_path, ExperimentConfig(), {}, run_id="new")
    error, message = (
        (RunError, "not finished an epoch yet") if INSTALLED else (GSM3Error, "pip install tensorboard")
    )
    with pytest.raises(error, match=message):
        export_tensorboard(new, tmp_path / "tb")
