"""Fixtures for all tests: a small synthetic SiteDataset, and the real data sets where they are."""

from __future__ import annotations

import os

# Tiny networks on shared cores: threads that wait for each other cost more than they give.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# No server of a test asks for an online map.
os.environ.setdefault("GSM3_OFFLINE", "1")
from pathlib import Path

import pytest
import xarray as xr
from hypothesis import settings

from support.small_world import make_dataset

# Shared machines stall: a deadline would fail at random.
settings.register_profile("gsm3", deadline=None, max_examples=60)
settings.load_profile("gsm3")

REAL_DATA = Path(os.environ.get("GSM3_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets; a test that needs it says so and where it looked."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"real data sets are not at {REAL_DATA} (set GSM3_SHARED_DATA)")
    return REAL_DATA


@pytest.fixture
def dataset() -> xr.Dataset:
    """A fresh small dataset."""
    return make_dataset()
