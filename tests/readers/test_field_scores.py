"""Score files from the field: right values are known; see the README beside the inputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gsm3core import site_scores
from gsm3core.readers.series_file import open_series

pytestmark = pytest.mark.real_data


@pytest.fixture
def folder(real_data: Path) -> Path:
    if not (found := real_data / "field" / "table-03-score").is_dir():
        pytest.skip(f"no inputs from the field at {found}")
    return found


def test_hourly_against_daily_has_no_bias(folder: Path) -> None:
    scores = site_scores(
        open_series(folder / "i_hourly.nc"), open_series(folder / "obs.nc"), intervals="none"
    )
    assert float(abs(scores["bias"]).max()) < 1e-7 and float(scores["n_valid"].max()) == 200


@pytest.mark.parametrize("name", ["classic.nc", "c.zarr", "f.nc"])
def test_other_files_have_the_scores_of_the_first(folder: Path, name: str) -> None:
    observed = open_series(folder / "obs.nc")
    first = site_scores(open_series(folder / "p.nc"), observed, intervals="none")
    other = open_series(folder / name)
    np.testing.assert_allclose(site_scores(other, observed, intervals="none")["RMSE"], first["RMSE"])
    assert any("2015-" in n for n in other.attrs["notes"]) == (name == "f.nc")
