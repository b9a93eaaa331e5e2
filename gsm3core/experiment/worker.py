"""The process of one place: carries out the folds that it is given, until its input is closed."""

from __future__ import annotations

import faulthandler
import json
import os
import queue
import signal
import sys
from collections.abc import Callable, Sequence
from threading import Thread
from typing import Any

from gsm3core.errors import GSM3Error
from gsm3core.experiment.allocator import prepare_process
from gsm3core.experiment.devices import DeviceSlot
from gsm3core.experiment.folds import folds_of
from gsm3core.experiment.runner import fold_runner
from gsm3core.run import Run
from gsm3core.schema import open_dataset


def main(arguments: Sequence[str]) -> None:
    """Read names of folds, a line each; say each event, that a fold is done, or why it failed, a line of JSON each.

    Parameters
    ----------
    arguments
        The run's directory, the device, and the share of its memory.
    """
    say = _voice()
    orders = _orders()
    prepare_process()
    folder, device, share = arguments
    try:
        run = Run.open(folder)
        ds = open_dataset(run.dataset_path)
        folds = {fold.name: fold for fold in folds_of(ds, run.config)}
        place = DeviceSlot(device, float(share))

        def tell(event: str, **fields: Any) -> None:
            say({"event": event, "fields": fields})

        while True:
            name = orders.get()
            fold_runner(run.config)(run, ds, folds[name], tell, lambda: False, place)
            say({"done": name})
    except GSM3Error as error:
        say({"failed": type(error).__name__, "message": str(error)})
        sys.exit(1)
    except Exception as error:  # a mistake of the program: its traceback goes to the log of the run
        say({"failed": type(error).__name__, "message": str(error)})
        raise


def _voice() -> Callable[[dict[str, Any]], None]:
    """Keep the standard output for what is said; whatever else is printed goes to the error output."""
    voice = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(what: dict[str, Any]) -> None:
        voice.write(json.dumps(what, default=float) + "\n")
        voice.flush()

    return say


def _orders() -> queue.SimpleQueue[str]:
    """Read the input beside the work; when it closes, whoever gave the orders is gone or has no more.

    Signals for the whole group, of a terminal or of the job queue, are left to who gives the orders.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    orders: queue.SimpleQueue[str] = queue.SimpleQueue()

    def listen() -> None:
        # Not through sys.stdin, whose lock a thread that waits for input would hold at the end of the process.
        rest = b""
        while new := os.read(0, 4096):
            *names, rest = (rest + new).split(b"\n")
            for name in names:
                orders.put(name.decode())
        os._exit(0)  # at once, in the middle of whatever it is; every file is written whole or not at all

    Thread(target=listen, daemon=True).start()
    return orders


if __name__ == "__main__":
    faulthandler.enable()
    main(sys.argv[1:])
