"""Run progress accumulated from events, and the run monitor."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np

from app.pages.experiments.detail import duration, status_text
from app.services.run_monitor import RunMonitor
from app.services.run_progress import Progress

EPOCHS = 3


def epoch(fold, index, number, fraction=0.5, **more):
    return {
        "event": "progress", "fold": fold, "index": index, "of": 2, "epoch": number, "epochs": EPOCHS, "fraction": fraction,
        "seconds_left": 75.0, **more,
    }  # fmt: skip


def progress_after(*events):
    progress = Progress(run="r")
    for event in events:
        progress = progress.after(event)
    return progress


class Queue:
    """A queue with fixed jobs."""

    def __init__(self, *jobs):
        self._jobs = jobs

    def tick(self):
        pass

    def jobs(self):
        return list(self._jobs)


def job(run_id, state, message=""):
    return SimpleNamespace(run_id=run_id, state=state, message=message)


def test_events_accumulate_to_progress():
    progress = progress_after(
        {"event": "run_started", "folds": ["a", "b"], "device": "cpu", "time": 1.0},
        {"event": "fold_started", "fold": "b", "index": 1, "of": 2},
        epoch("b", 1, 2, 0.83, loss=0.3, loss_insitu=0.1, loss_smap=0.2),
    )
    assert (progress.state, progress.fold, progress.index, progress.of) == ("running", "b", 1, 2)
    assert (progress.epoch, progress.epochs, progress.fraction, progress.seconds_left) == (
        2,
        EPOCHS,
        0.83,
        75.0,
    )
    assert progress.losses.epoch == (5.0,)
    assert (progress.losses.insitu, progress.losses.satellite) == ((0.1,), (0.2,))


def test_events_within_an_epoch_add_no_loss():
    progress = progress_after(epoch("a", 0, 0), epoch("a", 0, 0))
    assert progress.losses.epoch == ()


def test_loss_history_has_gaps_between_folds():
    events = [
        epoch(fold, index, number, loss=1.0, loss_insitu=0.5, loss_smap=0.5)
        for index, fold in enumerate("ab")
        for number in range(1, EPOCHS + 1)
    ]
    losses = progress_after(*events).losses
    assert losses.epoch == (1.0, 2.0, 3.0, 3.5, 4.0, 5.0, 6.0)
    assert [math.isnan(x) for x in losses.insitu] == [False] * 3 + [True] + [False] * 3


def test_interleaved_events_of_parallel_folds_are_sorted():
    """In any order of the events, the history is that of folds trained one after the other."""
    events = {
        (index, number): epoch("ab"[index], index, number, loss=1.0, loss_insitu=index + number / 10)
        for index in (0, 1)
        for number in range(1, EPOCHS + 1)
    }
    expected = progress_after(*(events[key] for key in sorted(events))).losses
    for order in (
        [(0, 1), (1, 1), (1, 2), (0, 2), (0, 3), (1, 3)],
        [(1, 1), (0, 1), (1, 2), (1, 3), (0, 2), (0, 3)],
        [(1, 1), (1, 2), (0, 1), (1, 1), (1, 2), (1, 3), (0, 2), (0, 3)],
    ):
        found = progress_after(*(events[key] for key in order)).losses
        assert found.epoch == expected.epoch
        np.testing.assert_array_equal(found.insitu, expected.insitu)


def test_missing_loss_term_is_nan():
    losses = progress_after(epoch("a", 0, 1, loss=1.0, loss_insitu=None, loss_smap=1.0)).losses
    assert math.isnan(losses.insitu[0])
    assert losses.satellite == (1.0,)


def test_end_events_set_the_state():
    assert progress_after({"event": "run_finished", "seconds": 12.0}).fraction == 1
    failed = progress_after(
        epoch("a", 0, 1, 0.4), {"event": "run_failed", "message": "the loss is not finite"}
    )
    assert (failed.state, failed.message, failed.fraction) == ("failed", "the loss is not finite", 0.4)
    again = failed.after({"event": "run_started", "folds": ["a"], "device": "cpu"})
    assert (again.state, again.message) == ("running", "")


def test_state_of_the_queue_overrides_the_events(store, make_run):
    make_run("20260101-000000-a", finished=False)
    monitor = RunMonitor(store, Queue(job("20260101-000000-a", "lost", "Worker exited unexpectedly.")))
    monitor.poll()
    (experiment,) = monitor.experiments.values()
    assert (experiment.state, experiment.message) == ("lost", "Worker exited unexpectedly.")
    assert not experiment.is_active
    assert status_text(experiment) == "Worker exited unexpectedly."
    assert experiment.created == "2026-01-01 00:00"


def test_command_line_run_is_listed(store, make_run):
    make_run("20260101-000000-a", title="By hand")
    monitor = RunMonitor(store, Queue())
    monitor.poll()
    (experiment,) = monitor.experiments.values()
    assert (experiment.title, experiment.state, experiment.dataset) == ("By hand", "finished", "bucket.zarr")
    assert status_text(experiment) == "Finished in 2 s."


def test_newest_active_prefers_running_over_queued(store, make_run):
    for name in ("a", "b", "c"):
        make_run(f"20260101-00000{ord(name) - 97}-{name}", finished=False)
    states = {"20260101-000002-c": "queued", "20260101-000001-b": "running", "20260101-000000-a": "cancelled"}
    monitor = RunMonitor(store, Queue(*(job(i, s) for i, s in states.items())))
    monitor.poll()
    assert monitor.newest_active().run == "20260101-000001-b"


def test_polling_reads_only_new_events(store, make_run, monkeypatch):
    run = make_run("20260101-000000-a")
    monitor = RunMonitor(store, Queue())
    monitor.poll()
    offsets = []
    known = store.run(run.id)
    monkeypatch.setattr(known, "events_since", lambda offset: offsets.append(offset) or ([], offset))
    monitor.poll()
    assert offsets[0] > 0


def test_sentences():
    activity_like = SimpleNamespace(state="running", progress=progress_after(epoch("north_2", 1, 1, 0.667)))
    assert status_text(activity_like) == "67% · fold 2 of 2 (north 2) · epoch 2 of 3 · about 1 min 15 s left"
    assert status_text(SimpleNamespace(state="queued", progress=Progress(run="r"))).startswith("Queued")
    assert [duration(s) for s in (9, 61, 3700)] == ["9 s", "1 min 1 s", "1 h 1 min"]
