"""Detached processes: start one, identify it later, and end it with everything that it started."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from gsm3core.errors import JobError

_DEVICE = re.compile(r"cpu|cuda(?::(\d+))?")
# The new process waits for one line before it becomes the job. If the parent is killed before it has recorded the
# pid, the pipe closes instead and the job never runs: every process that runs is on record.
if sys.platform == "win32":
    _GATE = [
        sys.executable, "-c",
        "import subprocess, sys; "
        "sys.exit(subprocess.call(sys.argv[1:], stdin=subprocess.DEVNULL) if sys.stdin.readline() else 1)",
    ]  # fmt: skip
    _CREATION_FLAGS = subprocess.CREATE_NEW_PROCESS_GROUP
else:
    _GATE = ["/bin/sh", "-c", 'read go && exec "$@" </dev/null', "gsm3-job"]
    _CREATION_FLAGS = 0
# Only the parent can reap a process, and a running Popen that is garbage-collected warns.
_children: dict[int, subprocess.Popen[bytes]] = {}


@contextmanager
def start_gated(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> Iterator[int]:
    """Start a detached process that runs ``command`` once the ``with`` block has ended without an error.

    Parameters
    ----------
    command
        Program and arguments.
    log
        Its output is appended to this file.
    environment
        Variables added to those of this process.

    Yields
    ------
    int
        The process id; on POSIX also the id of its process group, and that of the command itself.
    """
    with log.open("ab") as output:
        child = subprocess.Popen(
            [*_GATE, *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,  # on POSIX; Windows has process groups instead
            creationflags=_CREATION_FLAGS,
            env={**os.environ, **environment},
        )
    _children[child.pid] = child
    assert child.stdin is not None
    with child.stdin as gate:
        yield child.pid
        with suppress(OSError):  # already killed, which shows when the pid is polled
            gate.write(b"go\n")


def reap() -> None:
    """Collect ended processes that were started here, and on POSIX kill what is left of their process groups."""
    for pid, child in list(_children.items()):
        if child.poll() is not None:
            _children.pop(pid, None)
            if sys.platform != "win32":
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGKILL)


def identity(pid: int) -> str | None:
    """Return what identifies a running process if its id is reused; ``None`` if it is dead or a zombie.

    Notes
    -----
    The start time; on Linux the boot id and the clock ticks since boot, because the time of day at the start shifts when the
    system clock is set. Earlier versions stored the same text.
    """
    try:
        process = psutil.Process(pid)
        if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return None
        started = process.create_time()
    except (psutil.NoSuchProcess, psutil.AccessDenied):  # not accessible: the process of another user
        return None
    if sys.platform != "linux":
        return f"{started:.2f}"
    ticks = round((started - psutil.boot_time()) * os.sysconf("SC_CLK_TCK"))
    return f"{_boot_id()}:{ticks}"


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def is_alive(pid: int | None, expected: str | None) -> bool:
    """Return whether the process with this id runs and has the expected :func:`identity`."""
    return pid is not None and expected is not None and identity(pid) == expected


def terminate(pid: int | None, expected: str | None) -> bool:
    """Ask a process and all that it started to stop, unless it is gone or its id was reused.

    Returns
    -------
    bool
        Whether the signal was sent.
    """
    if pid is None or not is_alive(pid, expected):
        return False
    try:
        if sys.platform == "win32":
            os.kill(pid, signal.CTRL_BREAK_EVENT)
        else:
            os.killpg(pid, signal.SIGTERM)
    except OSError:
        return False
    return True


def kill(pid: int | None, expected: str | None) -> bool:
    """Kill a process and all that it started, unless it is gone or its id was reused.

    Returns
    -------
    bool
        Whether it was killed.
    """
    if pid is None or not is_alive(pid, expected):
        return False
    if sys.platform == "win32":
        return kill_tree(pid)
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def kill_tree(pid: int) -> bool:
    """Kill a process and its descendants, where there are no process groups to signal."""
    try:
        process = psutil.Process(pid)
        tree = [*process.children(recursive=True), process]
    except psutil.NoSuchProcess:
        return False
    for member in tree:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    return True


def device_environment(device: str | None) -> dict[str, str]:
    """Return the environment variables that restrict a process to one device.

    Parameters
    ----------
    device
        ``"cpu"`` or ``"cuda:1"``; ``"cuda"`` or ``None`` for no restriction. Numbers count within this process's
        ``CUDA_VISIBLE_DEVICES``, as in torch.

    Raises
    ------
    JobError
        If the name is invalid, or this process does not see that many devices.
    """
    if device is None:
        return {}
    match = _DEVICE.fullmatch(device)
    if match is None:
        raise JobError(f"invalid device {device!r}; expected 'cpu', 'cuda' or 'cuda:<number>'.")
    if device == "cpu":
        return {"CUDA_VISIBLE_DEVICES": ""}
    if match[1] is None:
        return {}
    setting = os.environ.get("CUDA_VISIBLE_DEVICES")
    if setting is None:
        return {"CUDA_VISIBLE_DEVICES": match[1]}
    visible = [name.strip() for name in setting.split(",") if name.strip()]
    if int(match[1]) >= len(visible):
        raise JobError(
            f"device {device!r} does not exist: CUDA_VISIBLE_DEVICES is {setting!r} ({len(visible)} device(s))."
        )
    return {"CUDA_VISIBLE_DEVICES": visible[int(match[1])]}


def exit_message(log: Path) -> str:
    """Return the message for a process that ended without a final event, with the last line of its log."""
    message = "Worker exited unexpectedly (killed, out of memory, or the machine restarted)."
    if log.exists():
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 1000))
            lines = [line.strip() for line in file.read().decode(errors="replace").splitlines()]
        message += next((f" Last line of the log: {line}." for line in reversed(lines) if line), "")
    return f"{message} Resume the run to continue from its last checkpoint."
