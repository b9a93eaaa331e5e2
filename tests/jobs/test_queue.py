"""The queue with real processes: start, end, cancel, resume, damaged files."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gsm3core.errors import ConfigError, JobError
from gsm3core.jobs import JobQueue, process
from gsm3core.run import Run

REPOSITORY = Path(__file__).parents[2]

FINISHES = "emit('run_started'); emit('run_finished')"
WAITS = "emit('run_started'); wait_for('go'); emit('run_finished')"
STOPS_ON_SIGTERM = """
    def stop(*_):
        emit('run_cancelled', message='cancelled by SIGTERM')
        sys.exit(130)
    signal.signal(signal.SIGTERM, stop)
    emit('run_started')
    open(os.path.join(folder, 'ready'), 'w').close()
    wait_for('never')
"""
IGNORES_SIGTERM = """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(60)'])
    emit('run_started', child=child.pid)
    open(os.path.join(folder, 'ready'), 'w').close()
    wait_for('never')
"""


def test_a_job_runs_and_finishes(root, config, program, until):
    queue = JobQueue(root, command=program("print('hello', os.environ['PYTHONUNBUFFERED'])\n" + WAITS))
    run_id = queue.submit(config)
    assert queue.get(run_id).state == "queued"
    assert queue.get(run_id).pid is None

    job = until(queue, run_id, "running")
    assert job.slot == 0
    assert os.getpgid(job.pid) == job.pid != os.getpgid(0)
    assert not job.ended

    (root / run_id / "go").touch()
    job = until(queue, run_id, "finished")
    assert (job.pid, job.slot, job.message, job.ended) == (None, None, "", True)
    assert Run.open(root / run_id).log.read_text() == "hello 1\n"


def test_jobs_start_in_order_one_per_slot(root, config, program, until):
    queue = JobQueue(root, command=program(WAITS))
    ids = [queue.submit(config) for _ in range(3)]
    assert [job.run_id for job in queue.jobs()] == ids[::-1]
    queue.tick()
    assert [queue.get(i).state for i in ids] == ["running", "queued", "queued"]
    (root / ids[0] / "go").touch()
    until(queue, ids[1], "running")
    assert [queue.get(i).state for i in ids] == ["finished", "running", "queued"]


def test_a_failed_job_has_a_message_and_can_be_resumed(root, config, program, until):
    fails = program("emit('run_started'); emit('run_failed', message='no targets'); sys.exit(1)")
    queue = JobQueue(root, command=fails)
    run_id = queue.submit(config)
    assert until(queue, run_id, "failed").message == "no targets"

    resumed = JobQueue(root, command=program(FINISHES))
    assert resumed.resume(run_id).state == "queued"
    assert until(resumed, run_id, "finished").message == ""


def test_a_refused_configuration_adds_no_job(root, config, experiment):
    def refuse(config, root):
        raise ConfigError("no such forcing")

    experiment.create_run = refuse
    queue = JobQueue(root)
    with pytest.raises(ConfigError, match="no such forcing"):
        queue.submit(config)
    assert queue.jobs() == []


def test_cancel_a_queued_job(root, config, program):
    queue = JobQueue(root, command=program("open(os.path.join(folder, 'started'), 'w')"))
    run_id = queue.submit(config)
    assert queue.cancel(run_id).state == "cancelled"
    queue.tick()
    assert not (root / run_id / "started").exists()
    assert [e["event"] for e in Run.open(root / run_id).events()] == ["run_cancelled"]
    with pytest.raises(JobError, match="its state is 'cancelled'"):
        queue.cancel(run_id)


def test_cancel_a_running_job(root, config, program, until):
    queue = JobQueue(root, command=program(STOPS_ON_SIGTERM))
    run_id = queue.submit(config)
    until(queue, run_id, file="ready")
    assert queue.cancel(run_id).state == "cancelling"
    assert until(queue, run_id, "cancelled").message == "cancelled by SIGTERM"
    assert [e["event"] for e in Run.open(root / run_id).events()] == ["run_started", "run_cancelled"]


def test_a_job_ignoring_sigterm_is_killed_with_children(root, config, program, until):
    queue = JobQueue(root, command=program(IGNORES_SIGTERM), grace=0.3)
    run_id = queue.submit(config)
    until(queue, run_id, file="ready")
    child = next(Run.open(root / run_id).events())["child"]
    cancelled = time.monotonic()
    queue.cancel(run_id)
    until(queue, run_id, "cancelled")
    assert time.monotonic() - cancelled >= 0.3
    assert Run.open(root / run_id).state == "cancelled"
    assert _dies(child)


def test_a_killed_job_is_lost_and_resumes(root, config, program, until):
    queue = JobQueue(root, command=program("print('epoch 3', flush=True)\n" + WAITS))
    run_id = queue.submit(config)
    job = until(queue, run_id, file="events.jsonl")
    with pytest.raises(JobError, match="its state is 'running'; expected lost"):
        queue.resume(run_id)
    os.kill(job.pid, signal.SIGKILL)
    job = until(queue, run_id, "lost")
    assert "epoch 3" in job.message
    queue.tick()
    assert queue.get(run_id) == job, "a lost job must wait for resume()"

    queue.resume(run_id)
    (root / run_id / "go").touch()
    until(queue, run_id, "finished")


def test_a_resumed_job_ignores_earlier_final_events(root, config, program, until):
    queue = JobQueue(root, command=program("emit('run_failed', message='first')"))
    run_id = queue.submit(config)
    until(queue, run_id, "failed")
    again = JobQueue(root, command=program("os.kill(os.getpid(), signal.SIGKILL)"))
    again.resume(run_id)
    assert "exited unexpectedly" in until(again, run_id, "lost").message


def test_children_end_with_their_job(root, config, program, until):
    leaves = "child = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(60)'])\n"
    queue = JobQueue(
        root, command=program(leaves + "emit('run_started', child=child.pid); emit('run_finished')")
    )
    run_id = queue.submit(config)
    until(queue, run_id, "finished")
    assert _dies(next(Run.open(root / run_id).events())["child"])


def test_a_job_with_a_reused_pid_is_lost(root, config, program, until):
    queue = JobQueue(root, command=program(WAITS))
    run_id = queue.submit(config)
    job = until(queue, run_id, "running")
    with sqlite3.connect(root / "jobs.sqlite") as db:
        db.execute("UPDATE job SET identity = '1.00'")
    db.close()
    with pytest.raises(JobError, match="its state is 'lost'"):
        queue.cancel(run_id)
    assert process.identity(job.pid) is not None
    os.killpg(job.pid, signal.SIGKILL)


@pytest.mark.parametrize("damage", ["missing", "config"])
def test_a_damaged_run_does_not_block_the_queue(root, config, program, until, damage):
    queue = JobQueue(root, command=program(FINISHES))
    broken, whole = queue.submit(config), queue.submit(config)
    if damage == "missing":
        (root / broken).rename(root / "elsewhere")
    else:
        (root / broken / "config.toml").write_text("not [ toml")
    until(queue, whole, "finished")
    job = queue.get(broken)
    assert job.state == "failed"
    assert broken in job.message


def test_an_incomplete_event_is_not_a_final_event(root, config, program, until):
    queue = JobQueue(
        root, command=program("open(os.path.join(folder, 'events.jsonl'), 'w').write('{half\\n')")
    )
    run_id = queue.submit(config)
    assert "Worker exited unexpectedly" in until(queue, run_id, "lost").message


def test_an_unknown_run_names_the_nearest(root, config):
    queue = JobQueue(root)
    with pytest.raises(JobError, match="no job was ever submitted"):
        queue.get("x")
    assert not root.exists(), "reading must not create files"
    run_id = queue.submit(config)
    for request in (queue.get, queue.cancel, queue.resume):
        with pytest.raises(JobError, match=f"Did you mean '{run_id}'"):
            request(run_id[:-1] + "_")


def test_a_damaged_queue_says_what_to_do(root):
    root.mkdir()
    (root / "jobs.sqlite").write_text("this is no database, " * 100)
    with pytest.raises(JobError, match=r"jobs\.sqlite cannot be used.*move it away"):
        JobQueue(root).jobs()
    (root / "jobs.sqlite").unlink()


def test_slots_give_devices(root, config, program, until, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    reports = program("emit('run_started', seen=os.environ['CUDA_VISIBLE_DEVICES']); wait_for('go')")
    queue = JobQueue(root, slots=["cuda:0", "cuda:1", "cpu"], command=reports)
    ids = [queue.submit(config) for _ in range(3)]
    for run_id in ids:
        until(queue, run_id, file="events.jsonl")
    assert [queue.get(i).slot for i in ids] == [0, 1, 2]
    time.sleep(0.1)  # the file is created before its line is written
    assert [next(Run.open(root / i).events())["seen"] for i in ids] == ["0", "1", ""]


@pytest.mark.parametrize("slots", [0, [], ["gpu"], "cuda:0", ["cuda:7"]])
def test_impossible_slots(root, slots, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    with pytest.raises(JobError, match=r"cuda:|device"):
        JobQueue(root, slots=slots)


def test_device_numbers_count_visible_devices(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    assert process.device_environment("cuda:1") == {"CUDA_VISIBLE_DEVICES": "3"}
    assert process.device_environment("cuda") == {}


def test_polling_opens_no_ended_runs_and_is_fast(root, config, program, monkeypatch):
    queue = JobQueue(root, command=program(WAITS))
    ids = [queue.submit(config) for _ in range(100)]
    with sqlite3.connect(root / "jobs.sqlite") as db:
        db.execute("UPDATE job SET state = 'finished' WHERE run_id != ?", (ids[0],))
    db.close()
    queue.tick()
    monkeypatch.setattr(Run, "open", lambda path: pytest.fail(f"{path} was read"))
    durations = []
    for _ in range(20):
        begin = time.perf_counter()
        queue.tick()
        assert len(queue.jobs()) == 100
        durations.append(time.perf_counter() - begin)
    assert min(durations) < 0.02  # 2 ms on an idle machine


def test_the_queue_imports_without_torch():
    code = "import sys, gsm3core.jobs.queue; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, check=True
    )
    assert done.stdout == "False\n"


def _dies(pid: int) -> bool:
    for _ in range(200):
        if process.identity(pid) is None:
            return True
        time.sleep(0.01)
    return False
