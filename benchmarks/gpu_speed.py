"""Speed of a training step on a GPU: precision x way of starting it x folds at once.

python benchmarks/run.py gpu [--device cuda:0 --folds 1 5 13 --seconds 5]

The paper's step: two streams of 128 windows of 365 days, 35 inputs, hidden size 256, dropout on the weights. Every
fold is a process of its own with its own data on the device, as `training.folds_at_once` trains them; all of them
start together. The share is that of the rate of a plain matrix product of the same precision on the same device,
measured first (fp32 without TF32). `--device cpu` only tries the script out: fp32 and bf16, no graph.
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
from gsm3core.experiment.devices import SHARED_OUT
from gsm3core.models.device import bound_memory, device_named
from gsm3core.models.multitask_lstm import MultitaskLSTM
from gsm3core.training.objective import evaluate, passes_apart
from gsm3core.training.optimizer import make_optimizer
from gsm3core.training.step import CudaGraphStep, Step, make_scaler
from gsm3core.windows import Stream, TrainingWindows

STREAMS = ("sm_insitu", "sm_smap")
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
WARM_UPS = 8
# The device may run this many updates behind before it is waited for.
AHEAD = 10


def arguments(given: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--folds", type=int, nargs="+", default=[1, 5, 13], help="folds at once")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--window", type=int, default=365)
    parser.add_argument("--inputs", type=int, default=35)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--sites", type=int, default=1317)
    parser.add_argument("--days", type=int, default=2100)
    parser.add_argument("--fold", type=int, help=argparse.SUPPRESS)
    return parser.parse_args(given)


def wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Operations per second of a large product, the best of some."""
    size = 8192 if device.type == "cuda" else 256
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    times = []
    for _ in range(8):
        wait_for(device)
        started = time.perf_counter()
        a @ b
        wait_for(device)
        times.append(time.perf_counter() - started)
    return 2 * size**3 / min(times)


def operations_of_a_day(hidden: int, inputs: int) -> int:
    """Multiplications and additions of one sample-day, there and back: a gradient costs two products for each."""
    return 3 * 2 * (inputs * hidden + 4 * hidden * 2 * hidden + hidden)


def windows_of(o: argparse.Namespace, device: torch.device) -> TrainingWindows:
    """Random data of the size, nine days in ten without a measurement, as SMAP has it and more."""
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


def step_of(o: argparse.Namespace, precision: str, graph: bool, device: torch.device) -> Any:
    torch.manual_seed(o.fold)
    shape = ModelConfig(hidden=o.hidden, dropout=0.5, dropout_on="weights")
    model = MultitaskLSTM(shape, o.inputs, 0, STREAMS).to(device).train()
    config = TrainingConfig.model_validate({"precision": precision, "cuda_graph": graph, "batch": o.batch})
    apart = passes_apart(precision, o.hidden, o.batch, len(STREAMS))
    objective = partial(evaluate, target=(0.5, 0.3), weights={}, precision=precision, apart=apart)
    step = Step(model, make_optimizer(model, config), make_scaler(precision, device), objective, 1.0)
    return CudaGraphStep(step, device) if graph else step


def one_fold(o: argparse.Namespace) -> None:
    """The process of a fold: for every line make the step, say that it is ready, and at the next line measure."""
    voice = sys.stdout
    device = device_named(o.device)
    at_once = max(o.folds)
    bound_memory(device, 1.0 if at_once == 1 else SHARED_OUT / at_once)
    windows, generator = windows_of(o, device), torch.Generator(device).manual_seed(o.fold)

    def say(**what: Any) -> None:
        voice.write(json.dumps(what) + "\n")
        voice.flush()

    for line in sys.stdin:
        precision, way = line.split()
        try:
            step = step_of(o, precision, way == "graph", device)
            for batches in windows.epoch(o.batch, WARM_UPS, generator):
                step(batches)
            wait_for(device)
            say(ready=True)
            sys.stdin.readline()
            done, started = 0, time.perf_counter()
            while time.perf_counter() - started < o.seconds:
                for batches in windows.epoch(o.batch, AHEAD, generator):
                    step(batches)
                wait_for(device)
                done += AHEAD
            say(updates=done, seconds=time.perf_counter() - started)
        except RuntimeError as error:  # out of memory, or a step that cannot be recorded: told in the table
            say(failed=f"{type(error).__name__}: {str(error).splitlines()[0]}")


def measure(folds: list[subprocess.Popen[str]], precision: str, way: str) -> list[dict[str, Any]]:
    """Start every fold at the same time, and return what each says."""

    def ask(line: str) -> list[dict[str, Any]]:
        for fold in folds:
            assert fold.stdin is not None
            fold.stdin.write(line + "\n")
            fold.stdin.flush()
        return [json.loads(fold.stdout.readline() or '{"failed": "died"}') for fold in folds]  # type: ignore[union-attr]

    ready = ask(f"{precision} {way}")
    failed = [r for r in ready if "failed" in r]
    # Some are ready and some are not: a line would be a new task for those that are not.
    if failed:
        for fold, said in zip(folds, ready, strict=True):
            if "ready" in said and fold.stdin and fold.stdout:
                fold.stdin.write("\n")
                fold.stdin.flush()
                fold.stdout.readline()
        return failed
    return ask("")


def main(given: list[str]) -> None:
    """Measure, and print the table."""
    o = arguments(given)
    if o.fold is not None:
        one_fold(o)
        return
    on_gpu = o.device.startswith("cuda")
    if on_gpu and not torch.cuda.is_available():
        sys.exit("There is no CUDA device that torch can use here: this benchmark is for a GPU.")
    device = device_named(o.device)
    card = torch.cuda.get_device_name(device) if on_gpu else "the processor (only to try the script out)"
    names = ("fp32", "bf16", "fp16") if on_gpu else ("fp32", "bf16")
    rates = {name: matrix_rate(device, DTYPES[name]) for name in names}
    sys.stdout.write(f"{card}, torch {torch.__version__}; matrix products, 10^12 operations per second: ")
    sys.stdout.write(", ".join(f"{name} {rate / 1e12:.1f}" for name, rate in rates.items()) + "\n")
    days = 2 * o.batch * o.window
    rows = []
    for at_once in o.folds:
        command = [sys.executable, str(Path(__file__).with_name("run.py")), "gpu", *given]
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
                for way in ("eager", "graph") if on_gpu else ("eager",):
                    said = measure(folds, precision, way)
                    row: dict[str, Any] = {"precision": precision, "step": way, "folds at once": at_once}
                    if "failed" in said[0]:
                        row["note"] = said[0]["failed"]
                    else:
                        speed = sum(days * s["updates"] / s["seconds"] for s in said)
                        row["ms per update of a fold"] = round(
                            1e3 * float(np.mean([s["seconds"] / s["updates"] for s in said])), 2
                        )
                        row["10^6 sample-days per second"] = round(speed / 1e6, 3)
                        share = speed * operations_of_a_day(o.hidden, o.inputs) / rates[precision]
                        row["share of the matrix rate, %"] = round(100 * share, 1)
                    rows.append(row)
                    sys.stderr.write(f"{row}\n")
        finally:
            for fold in folds:
                fold.kill()
                fold.wait()
    sys.stdout.write(pd.DataFrame(rows).fillna("").to_string(index=False) + "\n")
