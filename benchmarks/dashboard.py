"""How fast the dashboard answers, for 1,317 sites x 8 products x 6 years: against the real server, with products alone.

``run.py dashboard [REPETITIONS] [--data FOLDER]``; FOLDER keeps the dataset for another time. Needs Chromium (CHROMIUM,
default /usr/bin/chromium) and about 3 GB of memory.

What is measured, in this order:

- the server's start, until it answers (it reads and scores the dataset first);
- first meaningful paint: from asking for the Sites page until the map has its sites and the medians are to be read;
  cold is a new browser, warm one that has the page's files; and what was received, files and websocket;
- each interaction in Chromium (1440 x 2400, no GPU): from the click until the browser's own models hold the answer, looked
  at frame by frame; with the processor time of the server, which does not depend on what else the machine does;
- the server's memory over 200 further interactions, and by visitor;
- twenty visitors over websockets, who draw nothing (twenty Chromiums would measure Chromium), each with a switch of the
  metric every 5 s: from sending the choice until the map's numbers have arrived;
- the visitors that the server still knows a minute after all have left.

The machine's load, beside which the times are to be read, is printed with them.
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
from benchmarks.dashboard_visitors import WebVisitor, crowd
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
VISITORS, EVERY, SWITCHES, GOAL = 20, 5.0, 6, 500
PATIENCE = 300_000  # milliseconds
# The server, which tells on a signal how many visitors it knows: each has one selection.
PROGRAM = """
import gc, signal, sys
from pathlib import Path
import app.server.serve
from app.session.selection import Selection

def count(*_):
    gc.collect()
    alive = sum(type(thing) is Selection for thing in gc.get_objects())
    Path(sys.argv[1]).write_text(str(alive))

signal.signal(signal.SIGUSR1, count)
sys.exit(app.server.serve.main(sys.argv[2:]))
"""
ROOT = Path(__file__).resolve().parents[1]


def main(arguments: list[str]) -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="run.py dashboard")
    parser.add_argument("repetitions", nargs="?", type=int, default=50)
    parser.add_argument("--data", type=Path, help="folder that keeps the dataset")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        data = given.data or Path(folder) / "data"
        if not (data / "demo.zarr").exists():
            save_dataset(_world(), data / "demo.zarr")
        begin = time.perf_counter()
        alive = Path(folder) / "alive.txt"
        with _serve(data, Path(folder) / "runs", alive) as (url, server):
            _say(f"server start             {time.perf_counter() - begin:8.1f} s   {_load()}")
            with _browser() as browser:
                _measure(browser, url, server, given.repetitions)
            asyncio.run(_visitors(url, server))
            _say(f"visitors still known     {_known(server, alive):8d}     a minute after all have left")


def _world() -> xr.Dataset:
    """The demonstration world at full size, with three further products to make eight."""
    ds = demo_dataset(n_sites=SITES, start=DAYS[0], end=DAYS[1])
    products = ds[v.SM_PRODUCT]
    rng = np.random.default_rng(0)
    further = [
        (products[k] + rng.normal(0, 0.02, products[k].shape).astype(np.float32))
        .clip(0, 1)
        .expand_dims({v.PRODUCT: [name]})
        for k, name in enumerate(MORE)
    ]
    stacked = xr.concat([products, *further], dim=v.PRODUCT).transpose(*products.dims)
    return ds.drop_vars([v.SM_PRODUCT, v.PRODUCT]).assign(
        {v.SM_PRODUCT: stacked.assign_attrs(products.attrs)}
    )


@contextmanager
def _serve(data: Path, runs: Path, alive: Path) -> Iterator[tuple[str, int]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", PROGRAM, str(alive), "--no-show", "--no-first-run", "--port", str(port)]
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
                    sys.exit("The server ended.")
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
    _say(f"memory of the server     {_megabytes(server):8.0f} MB")
    _say(f"{'':24s} {'p50':>8s} {'p95':>8s} {'goal':>8s}   ms   {'server':>8s}   ms of processor")
    for name, act in actions.items():
        act()
        page.wait_for_timeout(1000)
        before = _processor(server)
        times = [1000 * act() for _ in range(repetitions)]
        page.wait_for_timeout(500)
        used = (_processor(server) - before) / repetitions
        p50, p95 = np.percentile(times, [50, 95])
        _say(f"{name:24s} {p50:8.0f} {p95:8.0f} {GOALS[name]:8d}        {used:8.0f}   {_load()}")
    before = _megabytes(server)
    turn = cycle(actions.values())
    for _ in range(INTERACTIONS):
        next(turn)()
    _say(f"memory over {INTERACTIONS} more    {before:8.0f} MB -> {_megabytes(server):.0f} MB")


def _paint(context: Any, url: str, name: str) -> Any:
    page, received = context.new_page(), [0]
    page.set_default_timeout(PATIENCE)
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
    _say(f"{name:24s} {time.perf_counter() - begin:8.1f} s   {received[0] / 1e6:.1f} MB   {_load()}")
    return page


async def _visitors(url: str, server: int) -> None:
    before = _megabytes(server)
    first = [WebVisitor(url) for _ in range(5)]
    for one in first:
        await one.open()
        await one.rest(1)
    _say(f"memory by visitor        {(_megabytes(server) - before) / len(first):8.1f} MB")
    for one in first:
        one.close()
    used = _processor(server)
    begin = time.perf_counter()
    times, errors = await crowd(url, VISITORS, EVERY, SWITCHES)
    busy = (_processor(server) - used) / 1000 / (time.perf_counter() - begin)
    p50, p95 = np.percentile([1000 * t for t in times], [50, 95]) if times else (np.nan, np.nan)
    _say(
        f"{VISITORS} visitors, a switch every {EVERY:g} s: p50 {p50:.0f} p95 {p95:.0f} ms (goal {GOAL}), {len(times)} switches, "
        f"{len(errors)} errors; the server is busy {100 * busy:.0f} % of the time   {_load()}"
    )
    for error in sorted(set(errors)):
        _say(f"  {error}")


def _known(server: int, alive: Path) -> int:
    """Return how many visitors the server knows a minute after all have left."""
    time.sleep(60)
    os.kill(server, signal.SIGUSR1)
    deadline = time.monotonic() + 60
    while not alive.exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(0.2)
    return int(alive.read_text()) if alive.exists() else -1


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _load() -> str:
    return f"load {os.getloadavg()[0]:.1f}"


def _processor(pid: int) -> float:
    """Milliseconds of processor that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return 1000 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]


if __name__ == "__main__":
    main(sys.argv[1:])
