"""Server process that runs and times one training step per request."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def serve(step: Callable[[], None], warm: int = 1) -> None:
    """Run a step for every line of standard input, and write its wall and CPU seconds (all threads)."""
    for _ in range(warm):
        step()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        step()
        times = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        sys.stdout.write(json.dumps(times) + "\n")
        sys.stdout.flush()


class StepProcess:
    """Client of a process that runs :func:`serve`.

    Parameters
    ----------
    environment
        All environment variables of the process.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            command, env=dict(environment), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        while (line := self._read()) != "ready":
            sys.stderr.write(line + "\n")

    def _read(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            sys.exit(
                f"{' '.join(self._process.args)} exited unexpectedly (exit code {self._process.wait()})."
            )
        return line.strip()

    def step(self) -> dict[str, float]:
        """Run one step; return ``wall`` and ``cpu`` seconds."""
        assert self._process.stdin
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        times: dict[str, float] = json.loads(self._read())
        return times

    def close(self) -> None:
        """Kill the process."""
        self._process.kill()
        self._process.wait()
