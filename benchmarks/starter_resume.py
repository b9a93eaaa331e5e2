"""`gsm3 data pull starter` from loopback servers, killed twice and resumed: python benchmarks/run.py starter.

Requests and values are compared with those of an uninterrupted download. Then the preset quick runs on the dataset.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from gsm3core.schema import open_dataset
from support import starter_world

YEARS = (2019, 2020)
print_line = Console(soft_wrap=True, highlight=False, markup=False).print
Stop = Callable[[dict[str, int]], bool]


def main(arguments: list[str]) -> None:
    """Print requests, seconds and bytes of both downloads, and the scores of a run on the dataset."""
    options = argparse.ArgumentParser(prog="run.py starter", description=__doc__)
    options.add_argument("--stations", type=int, default=20, help="of each of the two networks")
    options.add_argument("--skip-run", action="store_true", help="do not train a model on the dataset")
    given = options.parse_args(arguments)
    n = given.stations
    uscrn, scan = starter_world.places(n), starter_world.places(n, first=n)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with starter_world.serve(folder / "served", YEARS, uscrn, scan) as servers:
            print_line(f"{n} USCRN and {n} SCAN stations, {YEARS[0]} to {YEARS[-1]}")
            straight, _ = attempt(servers, folder / "straight", None)
            stops: list[Stop | None] = [
                lambda got: got["scan"] >= n,
                lambda got: got["copernicus-dem"] >= n // 2,
                None,
            ]
            parts = [attempt(servers, folder / "killed", stop) for stop in stops]
        killed = {k: sum(p[0][k] for p in parts) for k in straight}
        print_line(f"{'requests received by the servers':34}" + "".join(f"{k:>16}" for k in straight))
        print_line(f"{'without interruption':34}" + "".join(f"{x:>16}" for x in straight.values()))
        print_line(f"{'killed twice, all three attempts':34}" + "".join(f"{x:>16}" for x in killed.values()))
        datasets = [open_dataset(folder / k / "starter.zarr").load() for k in ("straight", "killed")]
        same = datasets[0].drop_attrs().identical(datasets[1].drop_attrs())
        print_line(f"both datasets have the same values: {same}")
        if not given.skip_run:
            train(folder / "killed" / "starter.zarr", folder / "runs")


def attempt(
    servers: starter_world.StarterServers, folder: Path, stop: Stop | None
) -> tuple[dict[str, int], float]:
    """Run the command, kill it when ``stop`` says so, and return the requests received and the seconds."""
    folder.mkdir(exist_ok=True)
    before = servers.requests()
    started = time.monotonic()
    command = [
        sys.executable, "-m", "gsm3core", "data", "pull", "starter", "--years", f"{YEARS[0]}-{YEARS[-1]}", "--root",
        str(folder / "sources"), "--out", str(folder / "starter.zarr"), *servers.options,
    ]  # fmt: skip
    with (folder / "output.txt").open("w") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True, env=os.environ | {"COLUMNS": "120"}
        )  # fmt: skip

        def received() -> dict[str, int]:
            return {k: x - before[k] for k, x in servers.requests().items()}

        while process.poll() is None:
            if stop and stop(received()):
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            time.sleep(0.02)
    seconds, got = time.monotonic() - started, received()
    stored = sum(p.stat().st_size for p in (folder / "sources").rglob("*") if p.is_file())
    outcome = "killed" if process.returncode < 0 else f"exit status {process.returncode}"
    print_line(
        f"{folder.name}: {outcome} after {seconds:.0f} s, {sum(got.values())} requests, {stored / 1e6:.1f} MB in the folder"
    )
    if process.returncode > 0:
        sys.exit((folder / "output.txt").read_text())
    if process.returncode == 0:
        text = (folder / "output.txt").read_text()
        print_line(text[text.rfind("Downloads") :])
    return got, seconds


def train(dataset: Path, runs: Path) -> None:
    """Run the preset ``quick`` on the dataset and print its output."""
    started = time.monotonic()
    command = [
        sys.executable,
        "-m",
        "gsm3core",
        "run",
        "quick",
        "--dataset",
        str(dataset),
        "--out",
        str(runs),
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"COLUMNS": "120"})
    print_line(f"gsm3 run quick: exit status {done.returncode}, {time.monotonic() - started:.0f} s")
    print_line((done.stdout + done.stderr)[-3000:])
