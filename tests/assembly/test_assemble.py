"""Assembled datasets against planted source files whose values are known at every site."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from gsm3core.assembly.assemble import assemble
from gsm3core.assembly.recipe import Recipe
from gsm3core.files import fingerprint
from gsm3core.schema import open_dataset, precipitation_names, products
from support import planted_sources as planted
from support.planted_sources import DAYS, SITES

RECIPE = {
    "sites": {"kind": "ismn"},
    "forcings": ["era5:air_temperature,air_temperature@max,precipitation"],
    "attributes": ["hwsd:sand,clay", "amatulli-topography:poleward_aspect"],
    "products": ["smap-l3e", "gldas-noah025", "amsr2-lprm", "somo-ml"],
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sources")
    planted.write_all(root)
    return root


def recipe(root: Path, **changes: object) -> Recipe:
    sites = {**RECIPE["sites"], "path": root / "ismn"}
    return Recipe.model_validate({**RECIPE, "sites": sites, **changes})


@pytest.fixture(scope="module")
def built(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "world.zarr"
    assemble(recipe(sources), out, root=sources)
    return out


@pytest.fixture
def ds(built: Path) -> xr.Dataset:
    return open_dataset(built).load()


def at(ds: xr.Dataset, place: str) -> xr.Dataset:
    return ds.sel(site=f"NET_{place}")


def test_every_forcing_value(ds: xr.Dataset) -> None:
    for name, place in SITES.items():
        lat, lon = planted.cell10(*place)
        site = at(ds, name)
        for k in range(len(DAYS)):
            # Mean of hours 0 to 23: 1.15 K above midnight; the maximum is at 23 h.
            midnight = planted.era5_air(lat, lon, k, 0)
            assert float(site.air_temperature[k]) == pytest.approx(midnight + 1.15, abs=1e-4)
            assert float(site.air_temperature_max[k]) == pytest.approx(midnight + 2.3, abs=1e-4)
            assert float(site.precipitation[k]) == pytest.approx(planted.era5_rain(lat, lon, k), abs=1e-4)


def test_renamed_precipitation_is_still_precipitation(sources: Path, tmp_path: Path) -> None:
    """What recognises it, the CF standard name, passes through reader, daily means, cached pieces and store."""
    out = tmp_path / "renamed.zarr"
    wet = ["era5:air_temperature,precipitation=my_rain,precipitation@max=my_rate"]
    assemble(recipe(sources, forcings=wet, attributes=[], products=["smap-l3e"]), out, root=sources)
    ds = open_dataset(out)
    assert ds.my_rain.attrs["standard_name"] == "lwe_precipitation_rate"
    assert precipitation_names(ds) == ["my_rain"]


def test_every_product_value(ds: xr.Dataset) -> None:
    assert set(products(ds)) == {"SMAP", "GLDAS-Noah", "AMSR2", "SoMo.ml"}
    for name, (lat, lon) in SITES.items():
        row, column = planted.ease36(lat, lon)
        y, x = -57.5 + 5 * round((lat + 57.5) / 5), -177.5 + 5 * round((lon + 177.5) / 5)
        for k in range(len(DAYS)):
            site = at(ds, name).isel(time=k)
            water = np.mean([planted.gldas_water(y, x, k, h) for h in range(0, 24, 3)])
            assert float(site.sm_product.sel(product="GLDAS-Noah")) == pytest.approx(water / 100, abs=1e-6)
            assert float(site.sm_product.sel(product="AMSR2")) == pytest.approx(0.2 + 0.01 * k, abs=1e-6)
            assert float(site.sm_product.sel(product="SoMo.ml")) == pytest.approx(
                0.3 + 0.001 * (90 + k), abs=1e-6
            )
            if name == "south" and k % 2 == 1:
                assert np.isnan(site.sm_smap), "not recommended"
            else:
                assert float(site.sm_smap) == pytest.approx(
                    0.1 + 0.0001 * (row + column) + 0.01 * k, abs=1e-6
                )


def test_records_and_attributes(ds: xr.Dataset) -> None:
    insitu = 0.1 + 0.01 * np.arange(6)
    np.testing.assert_allclose(at(ds, "south").sm_insitu, insitu, rtol=1e-6)
    np.testing.assert_allclose(
        at(ds, "north").sm_insitu, np.where(np.arange(6) == 2, np.nan, insitu), rtol=1e-6
    )
    assert [round(float(at(ds, n).sand), 6) for n in SITES] == [0.4, 0.6, 0.4]
    # A north-facing slope faces the pole in the north and the equator in the south.
    assert [float(at(ds, n).poleward_aspect) for n in SITES] == [0.5, -0.5, 0.5]
    assert [str(at(ds, n).region.values) for n in SITES] == ["Europe", "Australia", "Other"]
    assert ds.sizes == {"site": 3, "time": 6, "product": 3}


def test_provenance_counts_add_up(ds: xr.Dataset, built: Path, sources: Path) -> None:
    steps = {s.get("source", s["step"]): s for s in json.loads(ds.attrs["history"])}
    era5 = steps["era5"]
    assert era5["files"] == 2
    rain = era5["variables"]["precipitation"]
    assert (rain["site_days"], rain["present"], rain["missing"], rain["days_lacking"]) == (18, 18, 0, 0)
    assert rain["screening"]["read"] == rain["screening"]["kept"] == 6 * 24 * 19 * 36
    smap = steps["smap-l3e"]["variables"]["sm_smap"]
    assert (smap["present"], smap["missing"]) == (15, 3)
    # Southern rows (from 204) on the three odd days.
    assert smap["screening"]["not_recommended"] == 3 * 202 * 964
    assert steps["gldas-noah025"]["files"] == 48
    assert str(sources) not in ds.attrs["history"], "no local path"
    lines = built.with_name("world.inputs.csv").read_text().splitlines()
    assert len(lines) == 1 + 2 + 48 + 6 + 6 + 1 + 3 + 1
    import hashlib

    one = next(p for p in (sources / "somo-ml").iterdir())
    assert f"somo-ml,{one.name},{one.stat().st_size},{hashlib.sha256(one.read_bytes()).hexdigest()}" in lines
    stations = built.with_name("world.stations.csv").read_text()
    assert "km_to_era5" in stations.splitlines()[0]
    assert steps["assemble"]["recipe"]["forcings"] == RECIPE["forcings"]


def test_same_inputs_give_the_same_bytes(built: Path, sources: Path, tmp_path: Path) -> None:
    again = assemble(recipe(sources), tmp_path / "world.zarr", root=sources)
    assert fingerprint(again.dataset) == fingerprint(built)
    assert again.reused == 0
    assert not (tmp_path / ".world.zarr.work").exists()
