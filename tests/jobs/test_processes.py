"""Several processes and one queue: servers that are killed, and servers that race."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

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


def test_a_job_outlives_its_server_and_a_new_one_finds_it(root, config, program, until):
    queue = JobQueue(root, command=program("tell('run_started'); wait_for('go'); tell('run_finished')"))
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


def test_racing_servers_start_each_job_once_and_never_exceed_the_slots(root, config, program):
    queue = JobQueue(root, slots=2, command=program(
        "tell('run_started'); time.sleep(0.1); tell('run_finished')"
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
        started, finished = Run.open(root / run_id).events()  # exactly two: nobody started it twice
        changes += [(started["time"], 1), (finished["time"], -1)]
    running = highest = 0
    for _, change in sorted(changes):
        running += change
        highest = max(highest, running)
    assert highest == 2


def test_a_new_queue_can_be_opened_by_many_at_once(tmp_path):
    for trial in range(20):
        queue = JobTable(tmp_path / f"{trial}.sqlite")
        batched_updates = Barrier(6)

        def use(name: int, queue: JobTable = queue, batched_updates: Barrier = batched_updates) -> None:
            batched_updates.wait()
            with queue.open() as db:
                insert(db, str(name), 0.0)

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(use, range(6)))
        with queue.open() as db:
            assert db.execute("SELECT count(*) FROM job").fetchone()[0] == 6
            assert db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_a_job_never_runs_if_its_start_was_not_recorded(tmp_path):
    witness = tmp_path / "ran"
    with (
        pytest.raises(ZeroDivisionError),
        process.started_behind_gate(["/bin/sh", "-c", f"touch {witness}"], tmp_path / "log", {}) as pid,
    ):
        assert process.identity(pid) is not None
        raise ZeroDivisionError
    _wait_dead(pid)
    assert not witness.exists()


def test_a_job_never_runs_if_its_starter_is_killed_first(tmp_path):
    witness = tmp_path / "ran"
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom gsm3core.jobs.process import *\n"
        "with started_behind_gate(['/bin/sh', '-c', 'touch ' + sys.argv[1]], Path(sys.argv[2]), {}) as pid:\n"
        "    print(pid, flush=True)\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(witness), str(tmp_path / "log")],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    _wait_dead(int(done.stdout))
    assert not witness.exists()


def test_a_zombie_is_dead():
    child = subprocess.Popen([sys.executable, "-I", "-S", "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has collected it
    try:
        assert process.identity(child.pid) is None
    finally:
        child.wait()


def test_the_start_time_is_read_past_an_odd_name(tmp_path):
    odd = tmp_path / "a ) 1 (b"
    odd.symlink_to("/bin/sleep")
    with subprocess.Popen([str(odd), "30"]) as child:
        known = process.identity(child.pid)
        assert process.is_alive(child.pid, known)
        assert int(known.rpartition(":")[2]) > 0
        child.kill()


def test_without_proc_a_live_process_counts(monkeypatch, tmp_path):
    monkeypatch.setattr(process, "_PROC", tmp_path)
    with subprocess.Popen(["/bin/sleep", "30"]) as child:
        known = process.identity(child.pid)
        assert known == "alive"
        assert process.signal_group(None, known, signal.SIGTERM) is False
        child.kill()
    assert process.identity(child.pid) is None


def test_a_job_imports_the_package_of_its_queue_from_any_directory(tmp_path):
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
    raise AssertionError(f"{pid} lives")
