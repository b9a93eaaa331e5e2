"""Time of one training step compared with plain nn.LSTM and neuralhydrology, each in its own process, interleaved.

python benchmarks/run.py training [--rounds 9 --threads 2] [--neuralhydrology PYTHON]

PYTHON is the interpreter of an environment with neuralhydrology. Ratios are medians over rounds of paired steps. CPU
seconds of all threads are given too, because on a shared machine wall time depends on its load.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import statistics
import sys
from dataclasses import dataclass, field
from pathlib import Path

import torch

from benchmarks.step_server import ROOT, StepProcess
from benchmarks.training_step import MATRIX_FLOP, lstm_flop
from gsm3core.models.precision import resolve_precision

PLAIN = "nn.LSTM, output dropout"
BLAS = "matrix product, BLAS"
ONEDNN = "matrix product, oneDNN"
# As set by the gsm3 commands; ``training_step`` itself makes the allocator retain freed memory.
_HUGE_PAGES = {"THP_MEM_ALLOC_ENABLE": "1"}


@dataclass(slots=True)
class Variant:
    """One timed variant: its process, its floating-point operations, and the reference matrix product."""

    module: str
    name: str
    flop: float
    environment: dict[str, str] = field(default_factory=dict)
    python: str = sys.executable
    rate: str = ONEDNN
    times: list[dict[str, float]] = field(default_factory=list)

    def start(self, sizes: list[int], threads: int) -> StepProcess:
        """Start the process; threads wait passively in all processes, so that they do not disturb each other."""
        numbers = [str(n) for n in (*sizes, threads)]
        environment = {k: v for k, v in os.environ.items() if k not in ("THP_MEM_ALLOC_ENABLE", "PYTHONPATH")}
        paths = [str(ROOT), str(ROOT / "tests")]
        environment |= {"OMP_WAIT_POLICY": "PASSIVE", "PYTHONPATH": os.pathsep.join(paths)}
        name = [self.name] if self.name else []
        return StepProcess(
            [self.python, "-m", f"benchmarks.{self.module}", *name, *numbers], environment | self.environment
        )


def variants(sizes: list[int], other: str | None) -> dict[str, Variant]:
    """Return all variants that this machine supports."""
    own_flop = lstm_flop(*sizes)
    # Without a separate attribute layer, all inputs pass through the first layer every day.
    batch, days, forcings, attributes, hidden = sizes
    plain_flop = lstm_flop(batch, days, forcings + attributes, 0, hidden)
    module = "training_step"
    found = {
        BLAS: Variant(module, "matrix:blas", MATRIX_FLOP, rate=BLAS),
        ONEDNN: Variant(module, "matrix:onednn", MATRIX_FLOP),
        PLAIN: Variant(module, "plain", plain_flop),
        "nn.LSTM, huge pages, memory retained": Variant(module, "plain:retained", plain_flop, _HUGE_PAGES),
        "GSM3, fp32, output dropout": Variant(module, "gsm3:outputs:fp32", own_flop, _HUGE_PAGES),
        "GSM3, fp32, weight dropout": Variant(module, "gsm3:weights:fp32", own_flop, _HUGE_PAGES),
    }
    if resolve_precision("auto", torch.device("cpu")) == "bf16":
        rate = "matrix product, oneDNN, bf16"
        found[rate] = Variant(module, "matrix:onednn-bf16", MATRIX_FLOP, rate=rate)
        for place in ("outputs", "weights"):
            name = f"GSM3, bf16, {place.removesuffix('s')} dropout"
            found[name] = Variant(module, f"gsm3:{place}:bf16", own_flop, _HUGE_PAGES, rate=rate)
    if other:
        fewer = lstm_flop(*sizes, input_layer=False)
        found["neuralhydrology, CudaLSTM"] = Variant("neuralhydrology_step", "", fewer, python=other)
    return found


def table(found: dict[str, Variant], threads: int) -> str:
    """Return the table of medians, and of medians of paired ratios."""
    lines = []
    for clock in ("wall", "cpu"):
        unit = 1.0 if clock == "wall" else 1.0 / threads
        lines += [
            "",
            f"by {'wall' if clock == 'wall' else f'CPU seconds of all threads / {threads}'}",
            f"{'':37s} {'s/step':>8s} {'speed vs nn.LSTM':>17s} {'GFLOP':>7s} {'GFLOP/s':>8s} {'of matrix rate':>15s}",
        ]
        base = [t[clock] * unit for t in found[PLAIN].times]
        for name, variant in found.items():
            times = [t[clock] * unit for t in variant.times]
            matrix_times = [t[clock] * unit for t in found[variant.rate].times]
            matrix_flop = found[variant.rate].flop
            share = statistics.median(
                (variant.flop / own) / (matrix_flop / matrix)
                for own, matrix in zip(times, matrix_times, strict=True)
            )
            ratio = statistics.median(b / own for b, own in zip(base, times, strict=True))
            median = statistics.median(times)
            speed = "" if variant.name.startswith("matrix") else f"{ratio:.2f}"
            lines.append(
                f"{name:37s} {median:8.3f} {speed:>17s} {variant.flop / 1e9:7.1f} "
                f"{variant.flop / median / 1e9:8.0f} {share:15.0%}"
            )
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="run.py training", description=__doc__.splitlines()[0])
    for name, value in (("rounds", 9), ("threads", 2), ("batch", 128), ("days", 365), ("forcings", 20),
                        ("attributes", 15), ("hidden", 256)):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument(
        "--neuralhydrology", metavar="PYTHON", help="interpreter of an environment with neuralhydrology"
    )
    o = parser.parse_args(arguments)
    sizes = [o.batch, o.days, o.forcings, o.attributes, o.hidden]
    found = variants(sizes, o.neuralhydrology)
    running = {name: variant.start(sizes, o.threads) for name, variant in found.items()}
    names = list(found)
    for round_ in range(o.rounds):
        # The order is rotated each round.
        for k in range(len(names)):
            name = names[(k + round_) % len(names)]
            found[name].times.append(running[name].step())
    for process in running.values():
        process.close()
    sys.stdout.write(
        f"{_processor_name()}, torch {torch.__version__} ({torch.backends.cpu.get_cpu_capability()}), {o.threads} threads; "
        f"batch {o.batch} x {o.days} days, {o.forcings} forcings and {o.attributes} attributes, hidden {o.hidden}; "
        f"{o.rounds} rounds\n{table(found, o.threads)}\n"
    )
    if resolve_precision("auto", torch.device("cpu")) != "bf16":
        sys.stdout.write("\nbf16 is skipped: this processor has no bf16 matrix products.\n")


def _processor_name() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", info.read_text()) if info.is_file() else None
    return found[1] if found else platform.processor() or platform.machine()


if __name__ == "__main__":
    main(sys.argv[1:])
