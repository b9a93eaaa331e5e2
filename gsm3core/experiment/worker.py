"""The process of one device slot: runs the folds that it receives on its standard input, until that is closed."""

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
    """Read fold names, one per line; write events, finished folds and failures, one line of JSON each.

    Parameters
    ----------
    arguments
        The run's folder, the device, and the share of its memory.
    """
    send = _output()
    requests = _requests()
    prepare_process()
    folder, device, share = arguments
    try:
        run = Run.open(folder)
        ds = open_dataset(run.dataset_path)
        folds = {fold.name: fold for fold in folds_of(ds, run.config)}
        slot = DeviceSlot(device, float(share))

        def emit(event: str, **fields: Any) -> None:
            send({"event": event, "fields": fields})

        while True:
            name = requests.get()
            fold_runner(run.config)(run, ds, folds[name], emit, lambda: False, slot)
            send({"done": name})
    except GSM3Error as error:
        send({"failed": type(error).__name__, "message": str(error)})
        sys.exit(1)
    except Exception as error:  # a bug: its traceback goes to the log of the run
        send({"failed": type(error).__name__, "message": str(error)})
        raise


def _output() -> Callable[[dict[str, Any]], None]:
    """Return a function that writes messages; anything else printed to standard output goes to standard error."""
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def send(message: dict[str, Any]) -> None:
        stream.write(json.dumps(message, default=float) + "\n")
        stream.flush()

    return send


def _requests() -> queue.SimpleQueue[str]:
    """Read the input in a thread, and end the process when the input closes.

    Signals to the whole process group, from a terminal or the job queue, are handled by the parent.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        # Not through sys.stdin, whose lock a thread waiting for input would hold at exit.
        rest = b""
        while new := os.read(0, 4096):
            *names, rest = (rest + new).split(b"\n")
            for name in names:
                requests.put(name.decode().strip())
        os._exit(0)  # immediately: every file is written atomically

    Thread(target=read, daemon=True).start()
    return requests


if __name__ == "__main__":
    faulthandler.enable()
    main(sys.argv[1:])
