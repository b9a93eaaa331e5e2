"""A run states which precipitation it used, in its events, on the command line and on its page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.services.run_progress import Progress
from gsm3core import run_experiment
from gsm3core.cli.main import app
from gsm3core.schema import save_dataset
from support.configs import config
from support.small_world import make_dataset

LOG = "Log-transformed precipitation: precipitation_imerg, precipitation_era5."


@pytest.mark.parametrize(
    ("sections", "notes"),
    [
        (
            {"data": {"derived": ["antecedent_precipitation"]}},
            [LOG, "Antecedent precipitation: precipitation_imerg."],
        ),
        ({}, [LOG]),
        ({"data": {"transform_precipitation": False}}, []),
        ({"model": {"name": "api_bucket"}}, ["Precipitation of the bucket: precipitation_imerg."]),
        ({"model": {"name": "climatology"}}, []),
    ],
)
def test_a_run_names_its_precipitation(tmp_path: Path, sections: dict[str, Any], notes: list[str]) -> None:
    ds = make_dataset(9).rename(precipitation="precipitation_era5")
    ds["precipitation_imerg"] = ds["precipitation_era5"] * 1.1
    ds["precipitation_imerg"].attrs = dict(ds["precipitation_era5"].attrs)
    path = save_dataset(ds, tmp_path / "world.zarr")
    events: list[dict[str, Any]] = []
    chosen = config(path, {"name": "random_spatial", "folds": 2})
    for section, keys in sections.items():
        chosen = chosen.replace(section, **keys)
    run = run_experiment(chosen, out=tmp_path / "runs", on_event=events.append)
    assert [n for n in run.notes if "recipitation" in n] == notes
    progress = Progress(run=run.id)
    for event in events:
        progress = progress.after(event)
    assert list(progress.notes) == run.notes
    shown = CliRunner().invoke(app, ["runs", "show", run.id, "--out", str(tmp_path / "runs")])
    text = " ".join(shown.output.split())
    assert all(note in text for note in notes), shown.output
