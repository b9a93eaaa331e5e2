"""What importing costs: the dashboard and the analysis start without torch, the package without anything."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"torch", "panel", "bokeh", "holoviews", "xarray", "pandas", "sklearn", "dask"}


def loaded_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*{{m.split('.')[0] for m in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


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
def test_heavy_modules_stay_out(statement: str, not_loaded: set[str]) -> None:
    assert not loaded_by(statement) & not_loaded
