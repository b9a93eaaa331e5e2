"""The run folder: nothing overwritten, no incomplete reads, consistent after a kill."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from gsm3core.config import ExperimentConfig
from gsm3core.errors import RunError
from gsm3core.run import Run, list_runs


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.create(tmp_path / "runs", ExperimentConfig(title="mine"), {"seed": 3}, run_id="first")


def test_a_run_opens_as_created(run: Run) -> None:
    again = Run.open(run.folder)
    assert again.config == run.config
    assert again.provenance == {"seed": 3}
    assert (again.id, again.title, again.state) == ("first", "mine", "new")


def test_a_run_is_never_overwritten(run: Run) -> None:
    with pytest.raises(RunError, match="never overwritten"):
        Run.create(run.folder.parent, ExperimentConfig(), {}, run_id="first")
    assert [p.name for p in run.folder.parent.iterdir()] == ["first"]


def test_a_missing_run_names_the_nearest(run: Run) -> None:
    with pytest.raises(RunError, match=r"Did you mean 'first'"):
        Run.open(run.folder.parent / "frist")
    broken = run.folder.parent / "broken"
    broken.mkdir()
    (broken / "config.toml").write_text("nonsense = 1")
    assert [r.id for r in list_runs(run.folder.parent)] == ["first"], "a damaged run must not hide the others"


def test_the_state_follows_the_last_event(run: Run) -> None:
    states = []
    for event in ("run_started", "progress", "run_failed", "run_started", "run_finished"):
        run.append_event(event)
        states.append(run.state)
    assert states == ["running", "running", "failed", "running", "finished"]


def test_events_are_read_once_and_completely(run: Run) -> None:
    run.append_event("a", x=np.float32(0.5))
    first, offset = run.events_since(0)
    assert [(e["event"], e["x"]) for e in first] == [("a", 0.5)]
    path = run.folder / "events.jsonl"
    with path.open("ab") as file:
        file.write(b'{"event": "half')
    assert run.events_since(offset) == ([], offset)
    run.append_event("after the kill")
    later, _ = run.events_since(offset)
    assert [e["event"] for e in later] == ["after the kill"], "only the incomplete line is lost"


def test_missing_results_are_reported(run: Run) -> None:
    with pytest.raises(RunError, match=r"Run first has no predictions \(state: new\)"):
        run.predictions()
    with pytest.raises(RunError, match="no scores against sm_insitu"):
        run.scores()


def test_scores_are_read_back_in_situ_first(run: Run) -> None:
    scores = xr.Dataset(
        {"R": (("product", "site"), [[0.5, np.nan]])}, coords={"product": ["a"], "site": ["x", "y"]}
    )
    run.write_scores("sm_smap", scores * 2)
    assert run.references() == ["sm_smap"]
    run.write_scores("sm_insitu", scores)
    assert run.references() == ["sm_insitu", "sm_smap"]
    xr.testing.assert_equal(run.scores(), scores)


def test_reading_a_fold_creates_nothing(run: Run) -> None:
    assert not run.fold("fold_1").done
    assert run.fold("fold_1").std_factor == 1.0
    assert not (run.folder / "folds").exists()


def test_the_std_factor_is_written_and_read(run: Run) -> None:
    run.fold("fold_1").write_std_factor(1.7)
    assert run.fold("fold_1").std_factor == 1.7
    assert [p.name for p in run.fold("fold_1").folder.iterdir()] == ["std_factor.json"]


def test_the_std_factor_of_earlier_versions_is_read(run: Run) -> None:
    folder = run.fold("fold_1").folder
    folder.mkdir(parents=True)
    (folder / "spread.json").write_text('{"spread_factor": 2.5}')
    assert run.fold("fold_1").std_factor == 2.5
    run.fold("fold_1").write_std_factor(1.5)
    assert run.fold("fold_1").std_factor == 1.5
