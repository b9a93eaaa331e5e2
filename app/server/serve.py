"""Serves the dashboard; prepares a first dataset and a first run where there are none."""

from __future__ import annotations

import argparse
import gc
import logging
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import panel as pn

from app.runtime.session_expiry import UNSEEN_MILLISECONDS
from app.server.access import decide, is_loopback
from app.server.shell import make_page
from app.services.run_monitor import RunMonitor
from app.services.store import Store
from app.session.selection import Selection
from app.ui.map import tile_source as tiles
from app.ui.map.basemap import outline
from gsm3core.config import ExperimentConfig
from gsm3core.errors import GSM3Error
from gsm3core.jobs.queue import JobQueue

DEMO = "demo.zarr"
Say = Callable[[str], None]

_log = logging.getLogger(__name__)


def serve(
    host: str = "127.0.0.1",
    port: int = 5006,
    *,
    data: str | Path = "data",
    runs: str | Path = "runs",
    show: bool = True,
    first_run: bool = True,
    origins: Sequence[str] = (),
    auth: str | Path | None = None,
    say: Say = print,
) -> None:
    """Serve the dashboard until interrupted.

    Parameters
    ----------
    host, port
        Where to listen. Everything that the page needs comes from here. No request of a browser leaves for elsewhere,
        unless a visitor turns on the online map, see :mod:`app.ui.map.tile_source`.
    data
        Folder of datasets; where it holds none, the simulated demonstration dataset is made in it.
    runs
        Folder of runs.
    show
        Open a browser.
    first_run
        Where there is no run yet, train one on the demonstration dataset in the background.
    origins, auth
        See :func:`app.server.access.decide`: others may look only with a password, from an address that is named.
    say
        Gets a line of text for every step.

    Raises
    ------
    GSM3Error
        If it would be open to others without a password, or the port cannot be used.
    """
    access = decide(host, port, origins=origins, auth=auth)
    check_port(host, port)
    store = Store(Path(data), Path(runs))
    store.runs_folder.mkdir(parents=True, exist_ok=True)
    queue = JobQueue(store.runs_folder)
    ensure_dataset(store, say)
    activity = RunMonitor(store, queue)
    if first_run and not store.runs():
        submit_first_run(store, queue, say)
    tiles.look_later()
    prepare()
    warm_up(store, activity, say)
    # What is there by now stays. To walk all of it again and again for garbage would stop every visitor for a while.
    gc.collect()
    gc.freeze()
    stop = activity.start()
    name = "localhost" if is_loopback(host) or host == "0.0.0.0" else host
    say(f"The dashboard is at http://{name}:{port} (Ctrl+C ends it; experiments go on).")
    try:
        pn.serve(
            {"/": lambda: make_page(store, activity)},
            address=host,
            port=port,
            show=show,
            title="GSM3",
            verbose=False,
            liveness=True,
            # A page that a slow browser still loads keeps its place. Who leaves is forgotten sooner: app.runtime.session_expiry.
            check_unused_sessions_milliseconds=5000,
            unused_session_lifetime_milliseconds=UNSEEN_MILLISECONDS,
            **access.options(),
        )
    finally:
        stop()


def check_port(host: str, port: int) -> None:
    """Say at once that a port cannot be used, before anything is made or trained.

    Raises
    ------
    GSM3Error
        If another program listens there, or the address is not this machine's.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            raise GSM3Error(
                f"The dashboard cannot listen on {host}:{port} ({error}). Choose another port with --port."
            ) from error


def ensure_dataset(store: Store, say: Say) -> None:
    """Make the demonstration dataset where there is no dataset at all."""
    if store.datasets():
        return
    from gsm3core.demo import demo_dataset
    from gsm3core.schema import save_dataset

    say(f"No dataset in {store.data}: making the demonstration dataset. It is simulated, not measured.")
    save_dataset(demo_dataset(), store.data / DEMO)
    say(f"Made {store.data / DEMO}.")


def submit_first_run(store: Store, queue: JobQueue, say: Say) -> None:
    """Queue one quick run on the demonstration dataset, so that there soon is a model to look at."""
    path = store.datasets().get(DEMO)
    if path is None:
        return  # somebody else's data: nothing is trained on them unasked
    config = (
        ExperimentConfig.load("quick").replace("data", dataset=str(path)).replace("holdout", name="temporal")
    )
    try:
        queue.submit(config.model_copy(update={"title": "First run, temporal"}))
    except GSM3Error as error:
        say(f"The first run cannot start: {error}")
        return
    say("A first LSTM is training in the background, and appears on the page when it is done.")


def prepare() -> None:
    """Load what every page needs; no page may ask another server for it."""
    pn.extension("tabulator", "filedropper", notifications=True)
    pn.config.throttled = True
    pn.config.respect_explicit_sizing = True


def warm_up(store: Store, activity: RunMonitor, say: Say) -> None:
    """Read and compute once what the first visitor would otherwise wait for."""
    for layer in ("coast", "borders"):
        outline(layer)
    activity.look()
    try:
        dataset, run, reference = Selection().wanted(store)
        if dataset:
            say(f"Reading {dataset} and scoring its products.")
            store.evaluation(dataset, run, reference)
    except (GSM3Error, OSError) as error:
        say(str(error))  # the page shows it too, with what to do
        return
    make_page(store, activity)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve from the command line; ``gsm3 app`` does the same."""
    parser = argparse.ArgumentParser(
        prog="python -m app.server.serve", description="Serve the GSM3 dashboard."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=5006)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of datasets")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of runs")
    parser.add_argument("--no-show", action="store_true", help="do not open a browser")
    parser.add_argument("--no-first-run", action="store_true", help="train nothing unasked")
    parser.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="HOST[:PORT]",
        help="address under which others see the dashboard; needs passwords",
    )
    parser.add_argument(
        "--auth", type=Path, metavar="FILE", help="name:password lines; or set GSM3_APP_PASSWORD"
    )
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")

    def say(text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    try:
        serve(
            given.host,
            given.port,
            data=given.data,
            runs=given.runs,
            show=not given.no_show,
            first_run=not given.no_first_run,
            origins=given.allow_origin,
            auth=given.auth,
            say=say,
        )
    except KeyboardInterrupt:
        return 0
    except GSM3Error as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
