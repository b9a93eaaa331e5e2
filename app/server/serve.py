"""Start the dashboard; create the demonstration dataset and a first run if there are none."""

from __future__ import annotations

import argparse
import gc
import logging
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import panel as pn

from app.runtime.session_expiry import NEVER_CONNECTED_MILLISECONDS
from app.server.access import decide_access, is_loopback
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
Echo = Callable[[str], None]

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
    echo: Echo = print,
) -> None:
    """Serve the dashboard until interrupted.

    Parameters
    ----------
    host, port
        Address to listen on. Browsers load everything from it, except map tiles if a user turns on the online map, see
        :mod:`app.ui.map.tile_source`.
    data
        Folder of datasets; if it has none, the simulated demonstration dataset is written to it.
    runs
        Folder of runs.
    show
        Whether to open a browser.
    first_run
        Whether to train a run on the demonstration dataset in the background if there is no run yet.
    origins, auth
        See :func:`app.server.access.decide_access`.
    echo
        Called with a line of text for every step.

    Raises
    ------
    GSM3Error
        If the access rules are not valid, or the port cannot be used.
    """
    access = decide_access(host, port, origins=origins, auth=auth)
    check_port(host, port)
    store = Store(Path(data), Path(runs))
    store.runs_folder.mkdir(parents=True, exist_ok=True)
    queue = JobQueue(store.runs_folder)
    ensure_dataset(store, echo)
    monitor = RunMonitor(store, queue)
    if first_run and not store.runs():
        submit_first_run(store, queue, echo)
    tiles.probe_in_background()
    configure_panel()
    warm_up(store, monitor, echo)
    # These objects live as long as the server; collecting them again and again would pause all sessions.
    gc.collect()
    gc.freeze()
    stop = monitor.start()
    name = "localhost" if is_loopback(host) or host == "0.0.0.0" else host
    echo(f"The dashboard is at http://{name}:{port} (Ctrl+C stops it; running experiments continue).")
    try:
        pn.serve(
            {"/": lambda: make_page(store, monitor)},
            address=host,
            port=port,
            show=show,
            title="GSM3",
            verbose=False,
            liveness=True,
            # Sessions that never connected; a closed tab expires sooner, see app.runtime.session_expiry.
            check_unused_sessions_milliseconds=5000,
            unused_session_lifetime_milliseconds=NEVER_CONNECTED_MILLISECONDS,
            **access.options(),
        )
    finally:
        stop()


def check_port(host: str, port: int) -> None:
    """Check that the port can be used, before any dataset is written or run started.

    Raises
    ------
    GSM3Error
        If the port is in use, or the address is not this machine's.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            raise GSM3Error(
                f"Cannot listen on {host}:{port}: {error}. Choose another port with --port."
            ) from error


def ensure_dataset(store: Store, echo: Echo) -> None:
    """Write the demonstration dataset if there is no dataset."""
    if store.datasets():
        return
    from gsm3core.demo import demo_dataset
    from gsm3core.schema import save_dataset

    echo(f"No dataset in {store.data}. Simulating the demonstration dataset.")
    save_dataset(demo_dataset(), store.data / DEMO)
    echo(f"Wrote {store.data / DEMO}.")


def submit_first_run(store: Store, queue: JobQueue, echo: Echo) -> None:
    """Queue one quick run on the demonstration dataset, so that a model is available soon."""
    path = store.datasets().get(DEMO)
    if path is None:
        return  # nothing is trained on the user's own data without a request
    config = (
        ExperimentConfig.load("quick").replace("data", dataset=str(path)).replace("holdout", name="temporal")
    )
    try:
        queue.submit(config.model_copy(update={"title": "First run, temporal"}))
    except GSM3Error as error:
        echo(f"The first run could not be started: {error}")
        return
    echo("A first LSTM is training in the background; the dashboard shows it when it is finished.")


def configure_panel() -> None:
    """Configure Panel: extensions, notifications and sizing."""
    pn.extension("tabulator", "filedropper", notifications=True)
    pn.config.throttled = True
    pn.config.respect_explicit_sizing = True


def warm_up(store: Store, monitor: RunMonitor, echo: Echo) -> None:
    """Load and score the default dataset before the first session needs it."""
    for layer in ("coast", "borders"):
        outline(layer)
    monitor.poll()
    try:
        dataset, run, reference = Selection().resolve(store)
        if dataset:
            echo(f"Reading {dataset} and scoring its products.")
            store.evaluation(dataset, run, reference)
    except (GSM3Error, OSError) as error:
        echo(str(error))  # the page shows it too
        return
    make_page(store, monitor)


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
    parser.add_argument("--no-first-run", action="store_true", help="do not train a first run")
    parser.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="HOST[:PORT]",
        help="address that browsers on other machines show; requires passwords",
    )
    parser.add_argument(
        "--auth", type=Path, metavar="FILE", help="name:password lines; or set GSM3_APP_PASSWORD"
    )
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")

    def echo(text: str) -> None:
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
            echo=echo,
        )
    except KeyboardInterrupt:
        return 0
    except GSM3Error as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
