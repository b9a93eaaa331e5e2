"""Speed of a training step on a GPU by precision, CUDA graph and number of concurrent folds.

python benchmarks/run.py gpu [--device cuda:0 --folds 1 5 13 --seconds 5]

The paper's step: two streams of 128 windows of 365 days, 35 inputs, hidden size 256, weight dropout. Every fold is a
process with its own data on the device, as with `training.folds_at_once`; all start together. The share is relative to
the rate of a matrix product of the same precision on the same device, measured first (fp32 without TF32).
`--device cpu` only tests the script: fp32 and bf16, no graph.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from gsm3core.config import ModelConfig, TrainingConfig
from gsm3core.experiment.devices import USABLE_GPU_SHARE
from gsm3core.models.device import limit_gpu_memory, resolve_device
from gsm3core.models.multitask_lstm import MultitaskLSTM
from gsm3core.training.objective import evaluate, needs_separate_passes
from gsm3core.training.optimizer import make_optimizer
from gsm3core.training.step import CudaGraphStep, Step, make_scaler
from gsm3core.windows import Stream, TrainingWindows

STREAMS = ("sm_insitu", "sm_smap")
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
WARM_UPS = 8
# Updates between two synchronisations with the device.
UPDATES_PER_SYNC = 10


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--folds", type=int, nargs="+", default=[1, 5, 13], help="folds at once")
    parser.add_argument("--seconds", type=float, default=5.0, help="duration of each measurement")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--window", type=int, default=365)
    parser.add_argument("--inputs", type=int, default=35)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--sites", type=int, default=1317)
    parser.add_argument("--days", type=int, default=2100)
    parser.add_argument("--fold", type=int, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Operations per second of a large matrix product, best of eight."""
    size = 8192 if device.type == "cuda" else 256
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    times = []
    for _ in range(8):
        synchronize(device)
        started = time.perf_counter()
        a @ b
        synchronize(device)
        times.append(time.perf_counter() - started)
    return 2 * size**3 / min(times)


def flop_per_sample_day(hidden: int, inputs: int) -> int:
    """Floating-point operations of one sample-day, forward and backward (two products for each forward product)."""
    return 3 * 2 * (inputs * hidden + 4 * hidden * 2 * hidden + hidden)


def random_windows(o: argparse.Namespace, device: torch.device) -> TrainingWindows:
    """Random data of the given size, with targets missing on 90 % of the days."""
    generator = torch.Generator(device).manual_seed(o.fold)
    x_STF = torch.randn(o.sites, o.days, o.inputs, device=device, generator=generator)
    first, last = (torch.full((o.sites,), day, device=device) for day in (0, o.days))
    streams = {}
    for name in STREAMS:
        y_ST = torch.rand(o.sites, o.days, device=device, generator=generator)
        missing = torch.rand(o.sites, o.days, device=device, generator=generator) < 0.9
        streams[name] = Stream(y_ST.masked_fill(missing, torch.nan), first, last, o.window, 0)
    days = np.datetime64("2015-04-01") + np.arange(o.days)
    return TrainingWindows(
        x_STF, torch.zeros(o.sites, 0, device=device), streams, np.arange(o.sites).astype(str), days
    )


def make_step(o: argparse.Namespace, precision: str, graph: bool, device: torch.device) -> Any:
    torch.manual_seed(o.fold)
    shape = ModelConfig(hidden=o.hidden, dropout=0.5, dropout_on="weights")
    model = MultitaskLSTM(shape, o.inputs, 0, STREAMS).to(device).train()
    config = TrainingConfig.model_validate({"precision": precision, "cuda_graph": graph, "batch": o.batch})
    separate_passes = needs_separate_passes(precision, o.hidden, o.batch, len(STREAMS))
    objective = partial(
        evaluate, target=(0.5, 0.3), weights={}, precision=precision, separate_passes=separate_passes
    )
    step = Step(model, make_optimizer(model, config), make_scaler(precision, device), objective, 1.0)
    return CudaGraphStep(step, device) if graph else step


def fold_process(o: argparse.Namespace) -> None:
    """Process of a fold: for every line of input build the step and report ready; on the next line measure."""
    output = sys.stdout
    device = resolve_device(o.device)
    at_once = max(o.folds)
    limit_gpu_memory(device, 1.0 if at_once == 1 else USABLE_GPU_SHARE / at_once)
    windows, generator = random_windows(o, device), torch.Generator(device).manual_seed(o.fold)

    def emit(**message: Any) -> None:
        output.write(json.dumps(message) + "\n")
        output.flush()

    for line in sys.stdin:
        precision, mode = line.split()
        try:
            step = make_step(o, precision, mode == "graph", device)
            for batches in windows.epoch(o.batch, WARM_UPS, generator):
                step(batches)
            synchronize(device)
            emit(ready=True)
            sys.stdin.readline()
            updates, started = 0, time.perf_counter()
            while time.perf_counter() - started < o.seconds:
                for batches in windows.epoch(o.batch, UPDATES_PER_SYNC, generator):
                    step(batches)
                synchronize(device)
                updates += UPDATES_PER_SYNC
            emit(updates=updates, seconds=time.perf_counter() - started)
        except RuntimeError as error:  # out of memory, or a step that cannot be captured: a note in the table
            emit(failed=f"{type(error).__name__}: {str(error).splitlines()[0]}")


def measure(folds: list[subprocess.Popen[str]], precision: str, mode: str) -> list[dict[str, Any]]:
    """Start all folds at the same time and return their measurements."""

    def send(line: str) -> list[dict[str, Any]]:
        for fold in folds:
            assert fold.stdin is not None
            fold.stdin.write(line + "\n")
            fold.stdin.flush()
        return [json.loads(fold.stdout.readline() or '{"failed": "process exited"}') for fold in folds]  # type: ignore[union-attr]

    replies = send(f"{precision} {mode}")
    failed = [r for r in replies if "failed" in r]
    # If some failed, only the ready ones expect a second line.
    if failed:
        for fold, reply in zip(folds, replies, strict=True):
            if "ready" in reply and fold.stdin and fold.stdout:
                fold.stdin.write("\n")
                fold.stdin.flush()
                fold.stdout.readline()
        return failed
    return send("")


def main(arguments: list[str]) -> None:
    """Run all measurements and print the table."""
    o = parse_arguments(arguments)
    if o.fold is not None:
        fold_process(o)
        return
    on_gpu = o.device.startswith("cuda")
    if on_gpu and not torch.cuda.is_available():
        sys.exit("No CUDA device is available to torch; this benchmark needs a GPU.")
    device = resolve_device(o.device)
    device_name = torch.cuda.get_device_name(device) if on_gpu else "CPU (test of the script only)"
    names = ("fp32", "bf16", "fp16") if on_gpu else ("fp32", "bf16")
    rates = {name: matrix_rate(device, DTYPES[name]) for name in names}
    sys.stdout.write(
        f"{device_name}, torch {torch.__version__}; matrix products, 10^12 operations per second: "
    )
    sys.stdout.write(", ".join(f"{name} {rate / 1e12:.1f}" for name, rate in rates.items()) + "\n")
    days = 2 * o.batch * o.window
    rows = []
    for at_once in o.folds:
        command = [sys.executable, str(Path(__file__).with_name("run.py")), "gpu", *arguments]
        folds = [
            subprocess.Popen(
                [*command, "--folds", str(at_once), "--fold", str(number)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for number in range(at_once)
        ]
        try:
            for precision in names:
                for mode in ("eager", "graph") if on_gpu else ("eager",):
                    results = measure(folds, precision, mode)
                    row: dict[str, Any] = {"precision": precision, "step": mode, "folds at once": at_once}
                    if "failed" in results[0]:
                        row["note"] = results[0]["failed"]
                    else:
                        speed = sum(days * r["updates"] / r["seconds"] for r in results)
                        row["ms per update of a fold"] = round(
                            1e3 * float(np.mean([r["seconds"] / r["updates"] for r in results])), 2
                        )
                        row["10^6 sample-days per second"] = round(speed / 1e6, 3)
                        share = speed * flop_per_sample_day(o.hidden, o.inputs) / rates[precision]
                        row["share of the matrix rate, %"] = round(100 * share, 1)
                    rows.append(row)
                    sys.stderr.write(f"{row}\n")
        finally:
            for fold in folds:
                fold.kill()
                fold.wait()
    sys.stdout.write(pd.DataFrame(rows).fillna("").to_string(index=False) + "\n")
