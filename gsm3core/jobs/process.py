"""Detached processes: start one behind a gate, recognise it later, signal its whole group."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from gsm3core.errors import JobError

_PROC = Path("/proc")
_DEVICE = re.compile(r"cpu|cuda(?::(\d+))?")
# The new process waits for one line before it becomes the job. If its starter is killed before it has
# recorded the pid, the pipe closes instead and the job never runs: so nothing runs that is not on record.
_GATE = 'read go && exec "$@" </dev/null'
# Processes started here. Nobody else can reap them, and a Popen that is forgotten while it runs warns.
_children: dict[int, subprocess.Popen[bytes]] = {}


@contextmanager
def started_behind_gate(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> Iterator[int]:
    """Start a process group of its own that runs ``command`` only once the block has ended well.

    Parameters
    ----------
    command
        Program and arguments.
    log
        Where its output is appended.
    environment
        Variables added to those of this process.

    Yields
    ------
    int
        The process id, which is also the id of the group; the command keeps it.
    """
    with log.open("ab") as output:
        child = subprocess.Popen(
            ["/bin/sh", "-c", _GATE, "gsm3-job", *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
            env={**os.environ, **environment},
        )
    _children[child.pid] = child
    assert child.stdin is not None
    with child.stdin as gate:
        yield child.pid
        with suppress(BrokenPipeError):  # killed already: whoever watches the pid will see it
            gate.write(b"go\n")


def reap() -> None:
    """Collect the ended processes that were started here, and end what they left behind in their group."""
    for pid, child in list(_children.items()):
        if child.poll() is not None:
            _children.pop(pid, None)
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)


def identity(pid: int) -> str | None:
    """Return what tells a live process from a later one with the same id; ``None`` if it is dead or a zombie.

    Parameters
    ----------
    pid
        Process id.

    Notes
    -----
    The start time in clock ticks since boot, field 22 of ``/proc/<pid>/stat`` (proc(5)), together with the id
    of the boot. Where there is no ``/proc``, every live process is the same, ``"alive"``.
    """
    if not (_PROC / "self/stat").exists():
        return _identity_without_proc(pid)
    try:
        text = (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    fields = text.rpartition(b")")[2].split()  # the name before it may hold spaces and brackets
    return None if fields[0] in (b"Z", b"X") else f"{_boot()}:{fields[19].decode()}"


def is_alive(pid: int | None, known: str | None) -> bool:
    """Tell whether the process with this id is still the one that was known by :func:`identity`."""
    return pid is not None and known is not None and identity(pid) == known


def signal_group(pid: int | None, known: str | None, number: signal.Signals) -> bool:
    """Signal a process and all that it started, unless it is gone or its id now belongs to another.

    Returns
    -------
    bool
        Whether the signal was sent.
    """
    if pid is None or not is_alive(pid, known):
        return False
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return False
    return True


def device_environment(device: str | None) -> dict[str, str]:
    """Return the variables that confine a process to one device.

    Parameters
    ----------
    device
        ``"cpu"``, ``"cuda:1"``; ``"cuda"`` or ``None`` for no confinement. Numbers count within this
        process's own ``CUDA_VISIBLE_DEVICES``, as torch counts them.

    Raises
    ------
    JobError
        If there is no such device name, or this process does not see that many.
    """
    if device is None:
        return {}
    match = _DEVICE.fullmatch(device)
    if match is None:
        raise JobError(f"{device!r} is not a device. Expected 'cpu', 'cuda' or 'cuda:<number>'.")
    if device == "cpu":
        return {"CUDA_VISIBLE_DEVICES": ""}
    if match[1] is None:
        return {}
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if seen is None:
        return {"CUDA_VISIBLE_DEVICES": match[1]}
    visible = [name.strip() for name in seen.split(",") if name.strip()]
    if int(match[1]) >= len(visible):
        raise JobError(f"There is no {device} here: CUDA_VISIBLE_DEVICES is {seen!r}.")
    return {"CUDA_VISIBLE_DEVICES": visible[int(match[1])]}


def last_words(log: Path) -> str:
    """Return what to tell about a process that died without a last event: the last line of its log."""
    told = "The process died without a word (killed, out of memory, or the machine restarted)."
    if log.exists():
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 1000))
            lines = [line.strip() for line in file.read().decode(errors="replace").splitlines()]
        told += next((f" Last line of its log: {line}." for line in reversed(lines) if line), "")
    return f"{told} Resume it to go on from its last checkpoint."


def _identity_without_proc(pid: int) -> str | None:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass  # it lives, as somebody else's
    return "alive"


@cache
def _boot() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
