"""A process that does one training step whenever it is asked, and says what it took; needs nothing but the library."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def serve(step: Callable[[], None], warm: int = 1) -> None:
    """Do a step for every line of standard input, and answer with its wall and CPU seconds (all threads)."""
    for _ in range(warm):
        step()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        step()
        took = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        sys.stdout.write(json.dumps(took) + "\n")
        sys.stdout.flush()


class StepProcess:
    """The other end of :func:`serve`.

    Parameters
    ----------
    command
        The process.
    environment
        All of its variables.
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
            sys.exit(f"{' '.join(self._process.args)} ended with {self._process.wait()}.")
        return line.strip()

    def step(self) -> dict[str, float]:
        """Have one step done; returns ``wall`` and ``cpu`` seconds."""
        assert self._process.stdin
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        took: dict[str, float] = json.loads(self._read())
        return took

    def close(self) -> None:
        """End it; it has nothing to lose."""
        self._process.kill()
        self._process.wait()
