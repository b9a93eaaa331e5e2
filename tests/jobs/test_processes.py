"""Several processes with one queue, and the identity of processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import types
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import psutil
import pytest

import gsm3core
from gsm3core.jobs import JobQueue, process
from gsm3core.jobs.table import JobTable, insert
from gsm3core.resources import import_path
from gsm3core.run import Run

REPOSITORY = Path(__file__).parents[2]

SERVER = """
import sys, time
from gsm3core.jobs import JobQueue
root, slots, seconds, *command = sys.argv[1:]
queue = JobQueue(root, slots=int(slots), command=lambda run: [*command, str(run.folder)])
print("ready", flush=True)
sys.stdin.readline()
deadline = time.monotonic() + float(seconds)
while time.monotonic() < deadline:
    queue.tick()
    if seconds != "inf" and all(job.ended for job in queue.jobs()):
        break
"""


def serve(root: Path, slots: int, seconds: str, command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SERVER, str(root), str(slots), seconds, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )


def release(*servers: subprocess.Popen[str]) -> None:
    for server in servers:
        assert server.stdout.readline() == "ready\n"
    for server in servers:
        server.stdin.write("\n")
        server.stdin.flush()


def test_a_job_outlives_its_server(root, config, program, until):
    queue = JobQueue(root, command=program("emit('run_started'); wait_for('go'); emit('run_finished')"))
    run_id = queue.submit(config)
    command = queue._command(Run.open(root / run_id))[:-1]
    with serve(root, 1, "inf", command) as server:
        release(server)
        while not (root / run_id / "events.jsonl").exists():
            time.sleep(0.02)
        os.kill(server.pid, signal.SIGKILL)

    queue.tick()
    job = queue.get(run_id)
    assert job.state == "running"
    assert process.identity(job.pid) is not None
    (root / run_id / "go").touch()
    until(queue, run_id, "finished")
    assert [e["event"] for e in Run.open(root / run_id).events()] == ["run_started", "run_finished"]


def test_racing_servers_start_each_job_once(root, config, program):
    queue = JobQueue(root, slots=2, command=program(
        "emit('run_started'); time.sleep(0.1); emit('run_finished')"
    ))  # fmt: skip
    ids = [queue.submit(config) for _ in range(16)]
    command = queue._command(Run.open(root / ids[0]))[:-1]
    servers = [serve(root, 2, "20", command) for _ in range(4)]
    release(*servers)
    assert [server.wait(30) for server in servers] == [0] * 4
    for server in servers:
        server.stdin.close()
        server.stdout.close()

    assert Counter(job.state for job in queue.jobs()) == {"finished": 16}
    changes = []
    for run_id in ids:
        started, finished = Run.open(root / run_id).events()  # exactly two: it was started once
        changes += [(started["time"], 1), (finished["time"], -1)]
    running = highest = 0
    for _, change in sorted(changes):
        running += change
        highest = max(highest, running)
    assert highest == 2


def test_a_new_queue_can_be_opened_concurrently(tmp_path):
    for trial in range(20):
        queue = JobTable(tmp_path / f"{trial}.sqlite")
        barrier = Barrier(6)

        def use(name: int, queue: JobTable = queue, barrier: Barrier = barrier) -> None:
            barrier.wait()
            with queue.open() as db:
                insert(db, str(name), 0.0)

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(use, range(6)))
        with queue.open() as db:
            assert db.execute("SELECT count(*) FROM job").fetchone()[0] == 6
            assert db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_a_job_runs_only_if_its_start_was_recorded(tmp_path):
    marker = tmp_path / "ran"
    with (
        pytest.raises(ZeroDivisionError),
        process.start_gated(["/bin/sh", "-c", f"touch {marker}"], tmp_path / "log", {}) as pid,
    ):
        assert process.identity(pid) is not None
        raise ZeroDivisionError
    _wait_dead(pid)
    assert not marker.exists()


def test_a_job_never_runs_if_its_parent_is_killed(tmp_path):
    marker = tmp_path / "ran"
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom gsm3core.jobs.process import *\n"
        "with start_gated(['/bin/sh', '-c', 'touch ' + sys.argv[1]], Path(sys.argv[2]), {}) as pid:\n"
        "    print(pid, flush=True)\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(marker), str(tmp_path / "log")],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    _wait_dead(int(done.stdout))
    assert not marker.exists()


def test_a_zombie_is_dead():
    child = subprocess.Popen([sys.executable, "-I", "-S", "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended and was not reaped
    try:
        assert process.identity(child.pid) is None
    finally:
        child.wait()


def test_a_process_with_an_unusual_name_is_identified(tmp_path):
    unusual = tmp_path / "a ) 1 (b"
    unusual.symlink_to("/bin/sleep")
    with subprocess.Popen([str(unusual), "30"]) as child:
        known = process.identity(child.pid)
        assert process.is_alive(child.pid, known)
        assert int(known.split(":")[-1]) > 0
        child.kill()
    assert process.identity(child.pid) is None


def test_a_reused_pid_is_not_signalled():
    with subprocess.Popen(["/bin/sleep", "30"], start_new_session=True) as child:
        boot, ticks = process.identity(child.pid).split(":")
        earlier = f"{boot}:{int(ticks) - 50}"
        assert not process.is_alive(child.pid, earlier)
        assert process.terminate(child.pid, earlier) is process.kill(child.pid, earlier) is False
        assert process.terminate(None, earlier) is False
        assert child.poll() is None
        assert process.kill(child.pid, process.identity(child.pid))
    assert child.returncode == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the start is stored as a time of day")
def test_setting_the_system_clock_keeps_the_identity(monkeypatch):
    """The boot time of Linux is the time of day less the time since boot: it moves when the clock is set."""
    known = process.identity(os.getpid())
    shift = types.SimpleNamespace(boot=psutil.boot_time, started=psutil.Process.create_time)
    monkeypatch.setattr(psutil, "boot_time", lambda: shift.boot() + 3600)
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: shift.started(self) + 3600)
    assert process.is_alive(os.getpid(), known)


def test_a_process_tree_is_killed_without_groups():
    """What is done on Windows."""
    parent = "import subprocess, sys; p = subprocess.Popen(['/bin/sleep', '30']); print(p.pid, flush=True); p.wait()"
    with subprocess.Popen([sys.executable, "-S", "-c", parent], stdout=subprocess.PIPE, text=True) as child:
        grandchild = int(child.stdout.readline())
        assert process.kill_tree(child.pid)
    _wait_dead(grandchild)
    assert process.kill_tree(child.pid) is False


def test_a_job_imports_the_package_of_its_queue(tmp_path):
    code = "import json, gsm3core; print(json.dumps(gsm3core.__file__))"
    environment = os.environ | import_path()
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=True,
    )
    assert Path(json.loads(done.stdout)).parent == Path(gsm3core.__file__).parent


def _wait_dead(pid: int) -> None:
    for _ in range(300):
        if process.identity(pid) is None:
            return
        time.sleep(0.01)
    raise AssertionError(f"{pid} is running")
