"""Notes on what precedes the test days."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from gsm3core.config import ExperimentConfig
from gsm3core.experiment.scoring import spin_up_notes
from gsm3core.holdouts.base import Fold
from gsm3core.scaling import spin_up_note
from support.small_world import make_dataset


def note(ds: xr.Dataset, first_test_day: int, **training: object) -> str:
    days = np.arange(ds.sizes["time"]) >= first_test_day
    everywhere = np.ones(ds.sizes["site"], bool)
    fold = Fold(name="f", train_sites=everywhere, test_sites=everywhere, train_days=~days, test_days=days)
    return spin_up_note(ds, [fold], ExperimentConfig.from_mapping({"training": training}))


@pytest.mark.parametrize(
    ("training", "text"),
    [
        (
            {"spin_up_days": 365},
            "Spin-up: 365 days of forcings before the test days; at 3 of 12 test sites the record of forcings begins less than "
            "365 days before the test days, and its first year is repeated.",
        ),
        (
            {"spin_up_days": 100},
            "Spin-up: at least 100 days of forcings before the test days at all 12 test sites.",
        ),
        (
            {"spin_up_days": 0},
            "No spin-up: a cold start on the first day of each record; at 3 of 12 test sites the record of forcings begins "
            "less than 365 days before the test days.",
        ),
        (
            {"spin_up_days": "warmup", "warmup": 20},
            "Spin-up: the first 20 days of each record run twice; at 3 of 12 test sites the record of forcings begins less "
            "than 365 days before the test days.",
        ),
    ],
)
def test_the_note_counts_sites_whose_record_begins_late(training: dict[str, object], text: str) -> None:
    ds = make_dataset(n_sites=12, n_days=600)
    for name in ("precipitation", "air_temperature"):
        ds[name].values[:3, :200] = np.nan
    assert note(ds, 400, **training) == text


def test_a_cold_start_long_before_the_test_days_is_noted() -> None:
    assert note(make_dataset(n_sites=12, n_days=600), 400, spin_up_days=0) == (
        "No spin-up: a cold start on the first day of each record; the record of forcings begins at least 365 days before the "
        "test days at all 12 test sites."
    )


@pytest.mark.parametrize("model", ["api_bucket", "gradient_boosting", "multitask_lstm"])
def test_only_networks_run_their_first_days_twice(model: str) -> None:
    ds, everywhere, first = make_dataset(), np.ones(12, bool), np.arange(400) < 300
    fold = Fold(name="f", train_sites=everywhere, test_sites=everywhere, train_days=first, test_days=~first)
    config = ExperimentConfig.from_mapping(
        {"model": {"name": model}, "training": {"spin_up_days": "warmup", "warmup": 20}}
    )
    (text,) = spin_up_notes(ds, [fold], config)
    assert text.startswith(
        "Spin-up: the first 20 days" if model == "multitask_lstm" else "No spin-up: a cold start"
    )
