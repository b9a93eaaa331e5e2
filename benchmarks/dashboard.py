"""Response times of the dashboard with 1,317 sites x 8 products x 6 years, products only, against a real server.

``run.py dashboard [REPETITIONS] [--data FOLDER]``; FOLDER caches the dataset. Needs Chromium (CHROMIUM, default
/usr/bin/chromium) and about 3 GB of memory.

Measured, in this order:

- server start, until it responds (it reads and scores the dataset first);
- first meaningful paint of the Sites page: until the map has its sites and the medians are visible, with the received
  bytes (files and websocket); cold is a new browser, warm one with cached files;
- each interaction in Chromium (1440 x 2400, no GPU): from the click until the browser's models hold the response,
  checked every frame, and the CPU time of the server, which does not depend on the load of the machine;
- server memory over 200 further interactions, and per session;
- twenty sessions over websockets without drawing (twenty Chromiums would measure Chromium), each switching the metric
  every 5 s: from the request until the map data have arrived;
- sessions still alive one minute after all have closed.

The load of the machine is printed with the times.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from playwright.sync_api import sync_playwright

from benchmarks.dashboard_actions import actions_of
from benchmarks.dashboard_sessions import WebSession, simulate_sessions
from gsm3core import vocabulary as v
from gsm3core.demo import demo_dataset
from gsm3core.schema import save_dataset

SITES, DAYS = 1317, ("2015-04-01", "2020-12-31")
MORE = ("Product F", "Product G", "Product H")
GOALS = {
    "switch metric": 300,
    "switch product": 300,
    "lasso": 300,
    "change stratum": 300,
    "click a site": 500,
}
INTERACTIONS = 200
SESSIONS, INTERVAL, SWITCHES, GOAL = 20, 5.0, 6, 500
TIMEOUT = 300_000  # milliseconds
# The server writes its number of sessions to a file on SIGUSR1; each session has one Selection.
PROGRAM = """
import gc, signal, sys
from pathlib import Path
import app.server.serve
from app.session.selection import Selection

def count(*_):
    gc.collect()
    sessions = sum(type(item) is Selection for item in gc.get_objects())
    Path(sys.argv[1]).write_text(str(sessions))

signal.signal(signal.SIGUSR1, count)
sys.exit(app.server.serve.main(sys.argv[2:]))
"""
ROOT = Path(__file__).resolve().parents[1]


def main(arguments: list[str]) -> None:
    """Run all measurements and print them."""
    parser = argparse.ArgumentParser(prog="run.py dashboard")
    parser.add_argument("repetitions", nargs="?", type=int, default=50)
    parser.add_argument("--data", type=Path, help="folder that caches the dataset")
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        data = args.data or Path(folder) / "data"
        if not (data / "demo.zarr").exists():
            save_dataset(_dataset(), data / "demo.zarr")
        begin = time.perf_counter()
        count_file = Path(folder) / "sessions.txt"
        with _serve(data, Path(folder) / "runs", count_file) as (url, server):
            _print(f"server start             {time.perf_counter() - begin:8.1f} s   {_load()}")
            with _browser() as browser:
                _measure(browser, url, server, args.repetitions)
            asyncio.run(_measure_sessions(url, server))
            _print(
                f"sessions still alive     {_alive_sessions(server, count_file):8d}     a minute after all have closed"
            )


def _dataset() -> xr.Dataset:
    """The demonstration dataset at full size, with three more products (eight in all)."""
    ds = demo_dataset(n_sites=SITES, start=DAYS[0], end=DAYS[1])
    products = ds[v.SM_PRODUCT]
    rng = np.random.default_rng(0)
    more_products = [
        (products[k] + rng.normal(0, 0.02, products[k].shape).astype(np.float32))
        .clip(0, 1)
        .expand_dims({v.PRODUCT: [name]})
        for k, name in enumerate(MORE)
    ]
    stacked = xr.concat([products, *more_products], dim=v.PRODUCT).transpose(*products.dims)
    return ds.drop_vars([v.SM_PRODUCT, v.PRODUCT]).assign(
        {v.SM_PRODUCT: stacked.assign_attrs(products.attrs)}
    )


@contextmanager
def _serve(data: Path, runs: Path, count_file: Path) -> Iterator[tuple[str, int]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-c",
        PROGRAM,
        str(count_file),
        "--no-show",
        "--no-first-run",
        "--port",
        str(port),
    ]
    server = subprocess.Popen(
        [*command, "--data", str(data), "--runs", str(runs)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT), "GSM3_OFFLINE": "1"}, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while True:
            try:
                with urllib.request.urlopen(f"http://localhost:{port}/liveness", timeout=2):
                    break
            except OSError:
                if server.poll() is not None:
                    sys.exit(f"The server exited with code {server.returncode} before it responded.")
                time.sleep(0.05)
        yield f"http://localhost:{port}/?page=sites&run=none", server.pid
    finally:
        server.terminate()
        server.wait(20)


@contextmanager
def _browser() -> Iterator[Any]:
    with sync_playwright() as playwright:
        path = os.environ.get("CHROMIUM", "/usr/bin/chromium")
        options = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=path, args=options)
        yield browser
        browser.close()


def _measure(browser: Any, url: str, server: int, repetitions: int) -> None:
    context = browser.new_context(viewport={"width": 1440, "height": 2400})
    _paint(context, url, "first paint, cold").close()
    page = _paint(context, url, "first paint, warm")
    page.locator("#loader").wait_for(state="hidden")
    page.wait_for_timeout(4000)
    actions = actions_of(page)
    _print(f"memory of the server     {_megabytes(server):8.0f} MB")
    _print(f"{'':24s} {'p50':>8s} {'p95':>8s} {'goal':>8s}   ms   {'server':>8s}   ms CPU")
    for name, act in actions.items():
        act()
        page.wait_for_timeout(1000)
        before = _cpu_milliseconds(server)
        times = [1000 * act() for _ in range(repetitions)]
        page.wait_for_timeout(500)
        used = (_cpu_milliseconds(server) - before) / repetitions
        p50, p95 = np.percentile(times, [50, 95])
        _print(f"{name:24s} {p50:8.0f} {p95:8.0f} {GOALS[name]:8d}        {used:8.0f}   {_load()}")
    before = _megabytes(server)
    turn = cycle(actions.values())
    for _ in range(INTERACTIONS):
        next(turn)()
    _print(f"memory over {INTERACTIONS} more    {before:8.0f} MB -> {_megabytes(server):.0f} MB")


def _paint(context: Any, url: str, name: str) -> Any:
    page, received = context.new_page(), [0]
    page.set_default_timeout(TIMEOUT)
    cdp = context.new_cdp_session(page)
    cdp.send("Network.enable")
    cdp.on(
        "Network.loadingFinished",
        lambda e: received.__setitem__(0, received[0] + int(e["encodedDataLength"])),
    )
    cdp.on(
        "Network.webSocketFrameReceived",
        lambda e: received.__setitem__(0, received[0] + len(e["response"]["payloadData"])),
    )
    begin = time.perf_counter()
    page.goto(url)
    page.wait_for_function(
        "() => [...(window.Bokeh?.documents?.[0]?._all_models.values() ?? [])].some("
        "m => m.type === 'GlyphRenderer' && m.name === 'sites' && m.data_source.data.site?.length > 0)"
    )
    page.locator(".card.chosen .value").first.wait_for()
    _print(f"{name:24s} {time.perf_counter() - begin:8.1f} s   {received[0] / 1e6:.1f} MB   {_load()}")
    return page


async def _measure_sessions(url: str, server: int) -> None:
    before = _megabytes(server)
    sessions = [WebSession(url) for _ in range(5)]
    for session in sessions:
        await session.open()
        await session.drain(1)
    _print(f"memory per session       {(_megabytes(server) - before) / len(sessions):8.1f} MB")
    for session in sessions:
        session.close()
    used = _cpu_milliseconds(server)
    begin = time.perf_counter()
    times, errors = await simulate_sessions(url, SESSIONS, INTERVAL, SWITCHES)
    busy = (_cpu_milliseconds(server) - used) / 1000 / (time.perf_counter() - begin)
    p50, p95 = np.percentile([1000 * t for t in times], [50, 95]) if times else (np.nan, np.nan)
    _print(
        f"{SESSIONS} sessions, one switch per {INTERVAL:g} s: p50 {p50:.0f} p95 {p95:.0f} ms (goal {GOAL}), "
        f"{len(times)} switches, {len(errors)} errors; server CPU {100 * busy:.0f} %   {_load()}"
    )
    for error in sorted(set(errors)):
        _print(f"  {error}")


def _alive_sessions(server: int, count_file: Path) -> int:
    """Return the number of sessions on the server one minute after all have closed; -1 if it does not respond."""
    time.sleep(60)
    os.kill(server, signal.SIGUSR1)
    deadline = time.monotonic() + 60
    while not count_file.exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(0.2)
    return int(count_file.read_text()) if count_file.exists() else -1


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _load() -> str:
    return f"load {os.getloadavg()[0]:.1f}"


def _cpu_milliseconds(pid: int) -> float:
    """Milliseconds of CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return 1000 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]


if __name__ == "__main__":
    main(sys.argv[1:])
