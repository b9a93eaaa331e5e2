"""Fixtures of the browser tests: Chromium restricted to this machine, and the server in a process of its own."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from playwright.sync_api import expect

from gsm3core import vocabulary as v
from gsm3core.config import ExperimentConfig
from gsm3core.demo import demo_dataset
from gsm3core.evaluation.site_scores import site_scores
from gsm3core.run import Run
from gsm3core.schema import open_dataset, products, save_dataset

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
LOCAL_ONLY = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost , EXCLUDE 127.0.0.1"
TIMEOUT_MS = 60_000  # test machines are shared
expect.set_options(timeout=TIMEOUT_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            # Raised by pytest-base-url, a dependency of pytest-playwright.
            item.add_marker(
                pytest.mark.filterwarnings("ignore:Session-scoped fixtures defined as instance methods")
            )


@pytest.fixture(scope="session", autouse=True)
def _chromium() -> None:
    if not CHROMIUM.exists():
        reason = f"no Chromium at {CHROMIUM}; install it or set CHROMIUM"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    quiet = ["--disable-background-networking", "--no-first-run"]
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", *quiet, LOCAL_ONLY]
    return {**browser_type_launch_args, "executable_path": str(CHROMIUM), "args": arguments}


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_context_args, "viewport": {"width": 1440, "height": 1100}}


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small demonstration dataset."""
    folder = tmp_path_factory.mktemp("data")
    save_dataset(demo_dataset(n_sites=60, end="2017-03-31"), folder / "demo.zarr")
    return folder


@pytest.fixture(scope="session")
def demo(data_folder: Path) -> xr.Dataset:
    return open_dataset(data_folder / "demo.zarr").load()


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory, data_folder: Path, demo: xr.Dataset) -> Run:
    """A finished run made without training; its prediction is in situ soil moisture with noise."""
    path = data_folder / "demo.zarr"
    config = (
        ExperimentConfig.load("quick").replace("data", dataset=str(path)).replace("holdout", name="temporal")
    )
    config = config.model_copy(update={"title": "Made for tests"})
    run = Run.create(tmp_path_factory.mktemp("finished"), config, {"dataset_path": str(path)})
    noise = np.random.default_rng(1).normal(0, 0.03, demo[v.SM_INSITU].shape)
    predicted = (demo[v.SM_INSITU].interpolate_na(v.TIME) + noise).astype(np.float32)
    days = xr.DataArray(np.arange(demo.sizes[v.TIME]) < 365, dims=v.TIME)
    in_test = days.broadcast_like(predicted).transpose(v.SITE, v.TIME)
    made = xr.Dataset(
        {v.SM_PREDICTED: predicted.reset_coords(drop=True), v.IN_TEST: in_test.reset_coords(drop=True)}
    )
    made[v.SM_PREDICTED].attrs["units"] = v.SM_UNITS
    run.write_predictions(made.assign_coords({v.FOLD: (v.SITE, ["temporal"] * demo.sizes[v.SITE])}))
    every = {v.MULTITASK_LSTM: made[v.SM_PREDICTED]} | products(demo)
    stacked = xr.concat([a.reset_coords(drop=True) for a in every.values()], dim=v.PRODUCT).assign_coords(
        {v.PRODUCT: list(every)}
    )
    run.write_scores(v.SM_INSITU, site_scores(stacked.where(in_test), demo[v.SM_INSITU]))
    run.append_event("run_started", folds=["temporal"], device="cpu")
    run.append_event("run_finished", seconds=1.0)
    return run


@pytest.fixture(scope="module")
def serve(
    data_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., tuple[str, Path]]]:
    """Start a server for a folder of runs; return its URL and working directory.

    Errors in its log fail the module.
    """
    started: list[tuple[subprocess.Popen[bytes], Path]] = []

    def start(runs_folder: Path, program: Sequence[str] = ("-m", "app.server.serve")) -> tuple[str, Path]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, *program, "--no-show", "--no-first-run", "--port", str(port)]
        command += ["--data", str(data_folder), "--runs", str(runs_folder)]
        home = tmp_path_factory.mktemp("server")
        log, environment = home / "log.txt", {**os.environ, "PYTHONPATH": str(ROOT)}
        with log.open("wb") as output:
            server = subprocess.Popen(
                command, cwd=home, env=environment, stdout=output, stderr=subprocess.STDOUT
            )
        started.append((server, log))
        _wait_until_alive(port, server, log)
        return f"http://localhost:{port}/", home

    yield start
    for server, _ in started:
        server.terminate()
        server.wait(20)
    for _, log in started:
        # Logged when a tab closes during a write; harmless.
        blocks = re.split(r"(?=Traceback|ERROR)", log.read_text(errors="replace"))
        closed = re.compile("WebSocketClosedError|StreamClosedError")
        errors = [b for b in blocks if re.match(r"Traceback|ERROR", b) and not closed.search(b)]
        assert not errors, errors[0][-3000:]


def _wait_until_alive(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://localhost:{port}/liveness", timeout=2):
                return
        except OSError:
            assert server.poll() is None, log.read_text(errors="replace")[-3000:]
            time.sleep(0.25)
    pytest.fail(f"the server did not answer:\n{log.read_text(errors='replace')[-3000:]}")


def record_errors(page: Any) -> list[str]:
    """Collect console errors, page errors and requests to other machines."""
    errors: list[str] = []
    page.set_default_timeout(TIMEOUT_MS)
    page.on("console", lambda m: errors.append(f"console: {m.text}") if m.type == "error" else None)
    page.on("pageerror", lambda e: errors.append(f"page: {e}"))
    page.on("request", lambda r: errors.append(f"outside: {r.url}") if _leaves(r.url) else None)
    return errors


def _leaves(url: str) -> bool:
    return not url.startswith(("data:", "blob:")) and not re.match(
        r"(https?|wss?)://(localhost|127\.0\.0\.1)[:/]", url
    )


@pytest.fixture
def clean_page(page: Any) -> Iterator[Any]:
    """A page that fails the test on a console error, page error or request to another machine."""
    errors = record_errors(page)
    yield page
    assert not errors, errors


@pytest.fixture
def new_clean_page(browser: Any, browser_context_args: dict[str, Any]) -> Iterator[Callable[[], Any]]:
    """Open further sessions, each as strict as ``clean_page``."""
    opened: list[tuple[Any, list[str]]] = []

    def open_one() -> Any:
        page = browser.new_context(**browser_context_args).new_page()
        opened.append((page, record_errors(page)))
        return page

    yield open_one
    for page, errors in opened:
        page.context.close()
        assert not errors, errors


# Canvas text is not in the DOM: read the data source of the renderer with this name from Bokeh's models.
_DATA = """name => {
  for (const d of window.Bokeh?.documents ?? []) for (const m of d._all_models.values())
    if (m.type === 'GlyphRenderer' && m.name === name) {
      const columns = m.data_source.data
      return Object.fromEntries(Object.entries(columns).map(([k, x]) => [k, Array.from(x)]))
    }
  return null
}"""
_FIND = """
  const find = (v, name) => {
    if (v.model?.type === 'Figure' && v.model.name === name) return v
    for (const c of v.child_views ?? []) { const f = find(c, name); if (f) return f }
    return null
  }
  const figure = name => { for (const v of Bokeh.index.roots) { const f = find(v, name); if (f) return f } return null }
"""
_WHERE = f"""([name, x, y]) => {{ {_FIND}
  const f = figure(name)
  if (f == null) return null
  const r = f.el.getBoundingClientRect()
  return [r.left + f.frame.x_scale.compute(x), r.top + f.frame.y_scale.compute(y)]
}}"""
_DRAWN = f"""name => {{ {_FIND}
  return Bokeh.documents.every(d => d.is_idle) && figure(name)?.frame != null
}}"""
# Scrolls to a figure that is not fully visible; returns whether it did.
_INTO_VIEW = f"""name => {{ {_FIND}
  const el = figure(name).el, r = el.getBoundingClientRect()
  if (r.top >= 70 && r.bottom <= window.innerHeight) return false
  el.scrollIntoView({{block: 'center'}})
  return true
}}"""


@pytest.fixture(scope="session")
def map_data() -> Callable[[Any], dict[str, list[Any]]]:
    """Read the data of the sites on the map."""
    return lambda page: page.evaluate(_DATA, "sites") or {}


@pytest.fixture(scope="session")
def drawn() -> Callable[[Any, str], dict[str, list[Any]]]:
    """Read the data of a named renderer."""
    return lambda page, name: page.evaluate(_DATA, name) or {}


@pytest.fixture(scope="session")
def pixel() -> Callable[[Any, str, float, float], list[float]]:
    """Return the screen position of data coordinates in a named figure, after scrolling to it."""

    def find(page: Any, name: str, x: float, y: float) -> list[float]:
        page.wait_for_function(_DRAWN, arg=name)
        page.evaluate(_INTO_VIEW, name)
        found: list[float] = []
        while True:  # until the layout is stable
            page.wait_for_timeout(400)
            now = page.evaluate(_WHERE, [name, x, y])
            if now == found:
                return found
            found = now

    return find


@pytest.fixture(scope="session")
def click_map() -> Callable[[Any, float, float], None]:
    """Click on the map at web-Mercator metres."""

    def click(page: Any, x: float, y: float) -> None:
        page.wait_for_timeout(800)  # until the ranges are stable
        left, top = page.evaluate(_WHERE, ["site_map", x, y])
        page.mouse.click(left, top)

    return click
