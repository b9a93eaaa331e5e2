"""Runs ``gsm3`` commands of one checkout in processes of their own: one line of JSON per command and per answer.

Started by :mod:`benchmarks.field` with PYTHONPATH set to the checkout. The library is imported once; every command then runs
in a fork, in its own folder, so that neither an exit nor a hang of one command concerns another.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

_POLL = 0.02


def main() -> None:
    """Answer requests ``{"folder", "arguments", "seconds"}`` with ``{"code", "output"}`` until the input ends."""
    # The folder of this script is first on the path, where benchmarks/run.py would be the module "run".
    sys.path.pop(0)
    import gsm3core.assembly.assemble
    import gsm3core.cli
    import gsm3core.evaluation.site_scores
    import gsm3core.readers

    _answer({"code": 0, "output": str(Path(gsm3core.__file__).parents[1])})
    for line in sys.stdin:
        _answer(run(**json.loads(line)))


def _answer(answer: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def run(folder: str, arguments: list[str], seconds: float) -> dict[str, object]:
    """Run one command and return its exit status (``None`` if it was ended after ``seconds``) and its output."""
    text = Path(folder) / ".output.txt"
    child = os.fork()
    if child == 0:
        _run_here(folder, arguments, text)
    with suppress(OSError):  # also by the parent: it may have to end the child before the child runs
        os.setpgid(child, child)
    status, end = None, time.monotonic() + seconds
    while status is None and time.monotonic() < end:
        done, code = os.waitpid(child, os.WNOHANG)
        if done:
            status = os.waitstatus_to_exitcode(code)
        else:
            time.sleep(_POLL)
    if status is None:
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
    output = text.read_text(encoding="utf-8", errors="replace") if text.exists() else ""
    return {"code": status, "output": output}


def _run_here(folder: str, arguments: list[str], text: Path) -> NoReturn:
    code = 1
    try:
        os.setpgid(0, 0)
        os.chdir(folder)
        target = os.open(text, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(target, 1)
        os.dup2(target, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.argv = ["gsm3", *arguments]
        if arguments[0] == "groups":
            _print_groups(arguments[1])
        else:
            from gsm3core.cli import main as gsm3

            gsm3()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1 if error.code else 0
    except BaseException:  # noqa: BLE001  whatever a command raises is its outcome
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _print_groups(path: str) -> None:
    """Print the group of each site of a dataset: sites of one group are always held out together."""
    from gsm3core.experiment.folds import satellite_groups
    from gsm3core.schema import open_dataset

    ds = open_dataset(path)
    for site, group in zip(ds["site"].values.astype(str), satellite_groups(ds), strict=True):
        sys.stdout.write(f"group {group}: {site}\n")


if __name__ == "__main__":
    main()
