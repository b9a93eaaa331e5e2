"""Files that users received from GES DISC and from GDAL (shared/data/field): the right values, known by construction."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from gsm3core.assembly.collocate import to_sites
from gsm3core.readers.gldas_noah import GldasNoahReader
from gsm3core.readers.imerg import ImergReader
from gsm3core.readers.modis import ModisNdviReader

pytestmark = pytest.mark.real_data
KANSAS = ([39.1], [-96.6])


@pytest.fixture
def field(real_data: Path) -> Path:
    folder = real_data / "field"
    if not folder.is_dir():
        pytest.skip(f"no inputs from the field at {folder}")
    return folder


@pytest.mark.parametrize("variant", ["a", "b"])
def test_ndvi_is_that_of_the_northern_half(field: Path, variant: str) -> None:
    ds = ModisNdviReader().open(
        field / "modis-02-ndvi-gdal" / variant, transform=lambda a: to_sites(a, *KANSAS)
    )
    np.testing.assert_allclose(ds.ndvi.values.ravel(), [0.8, 0.8], rtol=1e-6)


@pytest.mark.parametrize("name", ["gldas-01-sub", "gldas-02-ep"])
def test_gldas_of_the_subsetter_and_the_early_product(field: Path, name: str) -> None:
    """Every value equals that of the file divided by 100 (kg m-2 of 100 mm)."""
    ds = GldasNoahReader().open(field / name / "g")
    assert ds.sizes["time"] == 7
    for k, path in enumerate(sorted((field / name / "g").iterdir())):
        with h5py.File(path) as raw:
            water = raw["SoilMoi0_10cm_inst"][0]
        np.testing.assert_allclose(ds.sm_product[k], np.where(water < 0, np.nan, water / 100), rtol=1e-6)
    assert ("early product" in ds.attrs.get("notes", "")) == name.endswith("ep")


def test_imerg_of_the_subsetter(field: Path) -> None:
    ds = ImergReader().open(field / "imerg-01-sub" / "a")
    assert [str(t)[:10] for t in ds.time.values] == ["2024-02-28", "2024-02-29", "2024-03-01"]
    for k, path in enumerate(sorted((field / "imerg-01-sub" / "a").iterdir())):
        with h5py.File(path) as raw:
            rain = raw["precipitation"][0].T
            order = np.argsort(raw["lat"][:])
        np.testing.assert_allclose(ds.precipitation[k], rain[order], rtol=1e-6)
