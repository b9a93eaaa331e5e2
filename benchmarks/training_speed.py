"""Time of one training step beside plain nn.LSTM and neuralhydrology: every one a process of its own, asked in turns.

python benchmarks/run.py training [--rounds 9 --threads 2] [--neuralhydrology PYTHON]

PYTHON is the interpreter of another environment that neuralhydrology is installed in. Ratios are medians over rounds of
paired steps. On a machine that others use too, wall time says mostly what they did: the CPU seconds of all
threads stand beside it.
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
# What a command sets for its own process; memory that is freed is kept by the process itself (``training_step``).
_HUGE = {"THP_MEM_ALLOC_ENABLE": "1"}


@dataclass(slots=True)
class Variant:
    """What is timed: how it is started, its operations, and the matrix rate it is held against."""

    module: str
    name: str
    flop: float
    environment: dict[str, str] = field(default_factory=dict)
    python: str = sys.executable
    rate: str = ONEDNN
    took: list[dict[str, float]] = field(default_factory=list)

    def start(self, sizes: list[int], threads: int) -> StepProcess:
        """Start its process; threads wait passively in all of them, or the slowest would be the one disturbed."""
        numbers = [str(n) for n in (*sizes, threads)]
        environment = {k: v for k, v in os.environ.items() if k not in ("THP_MEM_ALLOC_ENABLE", "PYTHONPATH")}
        paths = [str(ROOT), str(ROOT / "tests")]
        environment |= {"OMP_WAIT_POLICY": "PASSIVE", "PYTHONPATH": os.pathsep.join(paths)}
        name = [self.name] if self.name else []
        return StepProcess(
            [self.python, "-m", f"benchmarks.{self.module}", *name, *numbers], environment | self.environment
        )


def variants(sizes: list[int], other: str | None) -> dict[str, Variant]:
    """Return all that this machine can run."""
    whole = lstm_flop(*sizes)
    # Without the attributes' own layer, all inputs go through the first layer every day.
    batch, days, forcings, attributes, hidden = sizes
    usual = lstm_flop(batch, days, forcings + attributes, 0, hidden)
    ours = "training_step"
    found = {
        BLAS: Variant(ours, "matrix:blas", MATRIX_FLOP, rate=BLAS),
        ONEDNN: Variant(ours, "matrix:onednn", MATRIX_FLOP),
        PLAIN: Variant(ours, "plain", usual),
        "nn.LSTM, huge pages, memory kept": Variant(ours, "plain:kept", usual, _HUGE),
        "ours, fp32, output dropout": Variant(ours, "ours:outputs:fp32", whole, _HUGE),
        "ours, fp32, weight dropout": Variant(ours, "ours:weights:fp32", whole, _HUGE),
    }
    if resolve_precision("auto", torch.device("cpu")) == "bf16":
        rate = "matrix product, oneDNN, bf16"
        found[rate] = Variant(ours, "matrix:onednn-bf16", MATRIX_FLOP, rate=rate)
        for place in ("outputs", "weights"):
            name = f"ours, bf16, {place.removesuffix('s')} dropout"
            found[name] = Variant(ours, f"ours:{place}:bf16", whole, _HUGE, rate=rate)
    if other:
        fewer = lstm_flop(*sizes, input_layer=False)
        found["neuralhydrology, CudaLSTM"] = Variant("neuralhydrology_step", "", fewer, python=other)
    return found


def table(found: dict[str, Variant], threads: int) -> str:
    """Return the table: medians, and medians of paired ratios."""
    lines = []
    for clock in ("wall", "cpu"):
        unit = 1.0 if clock == "wall" else 1.0 / threads
        lines += [
            "",
            f"by {'wall' if clock == 'wall' else f'CPU seconds of all threads / {threads}'}",
            f"{'':33s} {'s/step':>8s} {'speed vs nn.LSTM':>17s} {'GFLOP':>7s} {'GFLOP/s':>8s} {'of matrix rate':>15s}",
        ]
        base = [t[clock] for t in found[PLAIN].took]
        for name, variant in found.items():
            took = [t[clock] * unit for t in variant.took]
            rate = [t[clock] * unit for t in found[variant.rate].took]
            of = found[variant.rate].flop
            share = statistics.median(
                (variant.flop / mine) / (of / best) for mine, best in zip(took, rate, strict=True)
            )
            times = statistics.median(b * unit / mine for b, mine in zip(base, took, strict=True))
            middle = statistics.median(took)
            compared = "" if variant.name.startswith("matrix") else f"{times:.2f}"
            lines.append(
                f"{name:33s} {middle:8.3f} {compared:>17s} {variant.flop / 1e9:7.1f} "
                f"{variant.flop / middle / 1e9:8.0f} {share:15.0%}"
            )
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="run.py training", description=__doc__.splitlines()[0])
    for name, value in (("rounds", 9), ("threads", 2), ("batch", 128), ("days", 365), ("forcings", 20),
                        ("attributes", 15), ("hidden", 256)):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--neuralhydrology", metavar="PYTHON", help="interpreter of its environment")
    o = parser.parse_args(arguments)
    sizes = [o.batch, o.days, o.forcings, o.attributes, o.hidden]
    found = variants(sizes, o.neuralhydrology)
    running = {name: variant.start(sizes, o.threads) for name, variant in found.items()}
    names = list(found)
    for round_ in range(o.rounds):
        # Another one begins each round, so that none always follows the same.
        for k in range(len(names)):
            name = names[(k + round_) % len(names)]
            found[name].took.append(running[name].step())
    for process in running.values():
        process.close()
    sys.stdout.write(
        f"{_processor()}, torch {torch.__version__} ({torch.backends.cpu.get_cpu_capability()}), {o.threads} threads; "
        f"batch {o.batch} x {o.days} days, {o.forcings} forcings and {o.attributes} attributes, hidden {o.hidden}; "
        f"{o.rounds} rounds\n{table(found, o.threads)}\n"
    )
    if resolve_precision("auto", torch.device("cpu")) != "bf16":
        sys.stdout.write("\nbf16 is left out: this processor does not multiply in it.\n")


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", info.read_text()) if info.is_file() else None
    return found[1] if found else platform.processor() or platform.machine()


if __name__ == "__main__":
    main(sys.argv[1:])
