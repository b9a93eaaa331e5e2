"""Imports: heavy libraries are loaded late, and modules import on every operating system."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"torch", "panel", "bokeh", "holoviews", "xarray", "pandas", "sklearn", "dask"}


def modules_loaded_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*{{m.split('.')[0] for m in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


# What Windows or macOS lack: modules that cannot be imported, and attributes that do not exist.
IMPORT_ALL = """
import importlib, os, pkgutil, signal, sys, warnings
import bokeh.server.server, dask, datashader, holoviews, matplotlib, panel, sklearn, torch
for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[name] = None
for module, names in ((os, ("sched_getaffinity", "sched_setaffinity", "sysconf", "killpg", "setsid", "getpgid")),
                      (signal, ("SIGKILL", "SIGHUP", "SIGALRM"))):
    for name in names:
        delattr(module, name)
import app, gsm3core
names = [m.name for package in (app, gsm3core) for m in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
for name in names:
    importlib.import_module(name)
print(len(names))
"""


def test_every_module_imports_without_posix_modules() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORT_ALL], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout.split()[-1]) > 150


@pytest.mark.parametrize(
    ("statement", "not_loaded"),
    [
        ("import gsm3core", HEAVY),
        ("from gsm3core import cli", HEAVY),
        ("from gsm3core import open_dataset, site_scores, Run, ExperimentConfig", {"torch", "panel"}),
        ("import gsm3core.jobs.queue", {"torch", "panel"}),
        ("from gsm3core.experiment import create_run", {"torch", "panel"}),
        ("import gsm3core.demo", {"torch", "panel"}),
        ("import app.server.serve", {"torch", "sklearn"}),
    ],
)
def test_heavy_libraries_are_not_loaded(statement: str, not_loaded: set[str]) -> None:
    assert not modules_loaded_by(statement) & not_loaded
