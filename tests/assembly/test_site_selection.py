"""Site tables, 9 km cells, long-term means, bilinear sampling and recipes against planted formulas."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from pyproj import Transformer

from gsm3core.assembly.assemble import assemble
from gsm3core.assembly.recipe import Recipe, load_recipe
from gsm3core.assembly.variable_spec import parse_variables
from gsm3core.catalog import selections
from gsm3core.errors import ConfigError, DatasetError
from gsm3core.schema import open_dataset
from support import planted_sources as planted

PERIOD = {"start": "2015-04-01", "end": "2015-04-06"}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sources")
    for name, write in (("era5", planted.era5), ("smap-l3e", planted.smap), ("hwsd", planted.hwsd)):
        (root / name).mkdir()
        write(root / name)
    return root


def build(root: Path, tmp_path: Path, **recipe: object) -> xr.Dataset:
    out = tmp_path / "d.zarr"
    assemble(Recipe.model_validate(recipe), out, root=root, overwrite=True)
    return open_dataset(out).load()


def test_cells_of_a_bounding_box(sources: Path, tmp_path: Path) -> None:
    """Exactly the 9 km cells with their centre in the box; four by four share a 36 km cell of the planted SMAP."""
    ds = build(
        sources, tmp_path, sites={"kind": "grid", "box": [9.9, 49.8, 10.6, 50.4]}, period=PERIOD,
        forcings=["era5:precipitation"], products=["smap-l3e"],
    )  # fmt: skip
    to_metres = Transformer.from_crs(4326, 6933, always_xy=True)
    x, y = to_metres.transform(ds.lon.values, ds.lat.values)
    column, row = (x + 17367530.4451615) / 9008.055210146, (7314540.8306386 - y) / 9008.055210146
    np.testing.assert_allclose(column % 1, 0.5, atol=1e-6)
    np.testing.assert_allclose(row % 1, 0.5, atol=1e-6)
    names = [f"M09_r{int(r):04d}_c{int(c):04d}" for r, c in zip(row, column, strict=True)]
    assert ds.site.values.tolist() == names
    west, north = to_metres.transform(9.9, 50.4)
    east, south = to_metres.transform(10.6, 49.8)
    inside = [
        np.ceil((a - o) / 9008.055210146 - 0.5)
        for a, o in ((west, -17367530.4451615), (east, -17367530.4451615))
    ]
    assert len(set(np.round(ds.lon.values, 6))) == inside[1] - inside[0]
    for k in range(ds.sizes["site"]):
        coarse = (int(row[k]) // 4, int(column[k]) // 4)
        assert float(ds.sm_smap[k, 1]) == pytest.approx(0.11 + 0.0001 * sum(coarse), abs=1e-6)
        assert float(ds.precipitation[k, 2]) == pytest.approx(planted.era5_rain(50, 10, 2), abs=1e-4)
    assert south < north and set(ds.region.values) == {"Europe"}


def test_sites_without_records_for_prediction(sources: Path, tmp_path: Path) -> None:
    """Longitudes from 0 to 360 are accepted; bilinear sampling of a plane is exact."""
    table = tmp_path / "places.csv"
    table.write_text("site,lat,lon\na,52.5,13\nb,-30,190\n")
    ds = build(
        sources, tmp_path, sites={"kind": "table", "path": table}, period=PERIOD,
        forcings=["era5:precipitation"], sources={"era5": {"method": "bilinear"}},
    )  # fmt: skip
    assert ds.lon.values.tolist() == [13.0, -170.0]
    assert float(ds.precipitation[0, 0]) == pytest.approx(planted.era5_rain(52.5, 13, 0), abs=1e-4)
    assert float(ds.precipitation[1, 3]) == pytest.approx(planted.era5_rain(-30, 190, 3), abs=1e-4)
    assert ds.sm_smap.isnull().all() and "prediction" in ds.sm_smap.attrs["source"]
    history = json.loads(ds.attrs["history"])
    assert any("longitudes of 180 to 360 degrees at 1 site" in note for note in history[0]["notes"])


def test_long_term_means_over_their_own_period(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Days outside the dataset's period are averaged too; too few days give an error."""
    from gsm3core.assembly import merge

    table = tmp_path / "places.csv"
    table.write_text("site,lat,lon\na,50,10\n")
    recipe = {
        "sites": {"kind": "table", "path": table}, "period": {"start": "2015-04-03", "end": "2015-04-06"},
        "mean_period": {"start": "2015-04-01", "end": "2015-04-04"},
        "forcings": ["era5:air_temperature"], "attributes": ["era5:air_temperature"],
    }  # fmt: skip
    with pytest.raises(
        DatasetError, match=r"air_temperature, for mean_air_temperature, has no mean.* at least 30 days"
    ):
        build(sources, tmp_path, **recipe)
    monkeypatch.setattr(merge, "MIN_DAYS", 3)
    ds = build(sources, tmp_path, **recipe)
    expected = np.mean([planted.era5_air(50, 10, k, 11.5) for k in range(4)])
    assert float(ds.mean_air_temperature[0]) == pytest.approx(expected, abs=1e-3)
    assert ds.sizes["time"] == 4
    assert ds.mean_air_temperature.attrs["averaged"] == "2015-04-01 to 2015-04-04, at least 3 days"
    counts = next(s for s in json.loads(ds.attrs["history"]) if s.get("source") == "era5")["variables"]
    assert counts["air_temperature"]["site_days"] == 4
    assert counts["mean_air_temperature"]["present"] == 4


@pytest.mark.parametrize(
    ("role", "text", "expected"),
    [
        ("forcing", "era5:air_temperature@max", [("air_temperature", "max", "air_temperature_max")]),
        (
            "forcing",
            "imerg:precipitation=precipitation_imerg",
            [("precipitation", "mean", "precipitation_imerg")],
        ),
        ("attribute", "era5:shortwave_down", [("shortwave_down", "mean", "mean_shortwave_down")]),
        ("attribute", "mod13c2", [("ndvi", "mean", "ndvi")]),
        ("product", "smap-l3e", [("sm_smap", "mean", "sm_smap")]),
        ("product", "gldas-noah025:sm_product=Mine", [("sm_product", "mean", "Mine")]),
        ("product", "gldas-noah025=x", None),
        ("product", "gldas-noah025:sm_product=SMAP", None),
        ("product", "gldas-noah025:sm_product=smap", None),
        ("forcing", "era5:air_temperature=lat", None),
        ("forcing", "era5:air_temperature=region", None),
        ("attribute", "hwsd:sand=time", None),
        ("product", "era5:air_temperature", None),
        ("product", "hwsd", None),
        ("forcing", "era5:air_temprature", None),
        ("forcing", "era5:air_temperature@median", None),
        ("forcing", "hwsd", None),
        ("forcing", "ismn", None),
        ("forcing", "era5:precipitation=sm_smap", None),
    ],
)
def test_variable_specifications(role: str, text: str, expected: list[tuple[str, str, str]] | None) -> None:
    if expected is None:
        with pytest.raises((ConfigError, DatasetError)):
            parse_variables(role, text)  # type: ignore[arg-type]
        return
    assert [(w.variable, w.statistic, w.name) for w in parse_variables(role, text)] == expected  # type: ignore[arg-type]


def test_recipe_with_the_selection_of_the_paper(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(
        "sites: {kind: ismn, path: a.zip}\nselection: gsm3-paper\nproducts: [smap-l3e]\n"
        "sources: {era5: {path: e, method: bilinear}}\nmean_period: {start: 2016-04-01, end: 2020-12-31}\n"
    )
    recipe = load_recipe(path)
    variables = {w.name: w for w in recipe.variables()}
    paper = selections()["gsm3-paper"]
    assert set(variables) == {x.name for x in (*paper.forcings, *paper.attributes)} | {"sm_smap"}
    assert variables["air_temperature_min"].statistic == "min"
    assert str(variables["ndvi"].days) == "start=datetime.date(2015, 4, 1) end=datetime.date(2022, 3, 31)"
    assert (
        str(variables["mean_sm_smap"].days)
        == "start=datetime.date(2016, 4, 1) end=datetime.date(2020, 12, 31)"
    )
    assert variables["sand"].days is None
    # The paper interpolates terrain and NDVI; a recipe's own method counts more.
    assert [recipe.settings(s).method for s in ("amatulli-topography", "mod13c2", "hwsd", "era5")] == [
        "bilinear", "bilinear", "nearest", "bilinear",
    ]  # fmt: skip
    own = {"amatulli-topography": {"method": "nearest"}, "mod13c2": {"path": "n"}}
    changed = Recipe.model_validate({**recipe.model_dump(exclude={"sources"}), "sources": own})
    assert [changed.settings(s).method for s in ("amatulli-topography", "mod13c2")] == ["nearest", "bilinear"]
    assert recipe.sites[0].path == tmp_path / "a.zip" and recipe.settings("era5").path == tmp_path / "e"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("sites: {kind: ismn}", "need 'path'"),
        ("sites: {kind: grid}", "need 'box'"),
        ("sites: {kind: grid, box: [10, 50, 9, 51]}", "west < east"),
        ("sites: {kind: ismn, path: a}\nforcing: [era5]", "forcing"),
        ("sites: {kind: ismn, path: a}\nsources: {era5: {minimum: 2}}", "minimum"),
        ("sites: {kind", "is not a valid recipe"),
        ("sites: {kind: table, path: a, box: [1, 2, 3, 4], depth: 0.1}", "do not accept 'box', 'depth'"),
        ("sites: {kind: grid, path: a, box: [1, 2, 3, 4]}", "do not accept 'path'"),
        (
            "sites: {kind: ismn, path: a}\nmean_period: {start: 2016-01-02, end: 2016-01-01}",
            "mean_period: the period ends",
        ),
    ],
)
def test_invalid_recipes(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=complaint):
        load_recipe(path)


def test_duplicate_variables_are_merged(tmp_path: Path) -> None:
    recipe = {"sites": {"kind": "ismn", "path": tmp_path}, "forcings": ["era5", "era5:air_temperature"]}
    names = [w.name for w in Recipe.model_validate(recipe).variables()]
    assert names.count("air_temperature") == 1 and len(names) == len(set(names))


def test_contradictions_in_a_recipe(tmp_path: Path) -> None:
    sites = {"kind": "ismn", "path": tmp_path}
    with pytest.raises(
        ConfigError,
        match=r"duplicate variable name 'precipitation': .* era5, .* imerg.*precipitation_imerg",
    ):
        Recipe.model_validate({"sites": sites, "forcings": ["era5:precipitation", "imerg"]}).variables()
    with pytest.raises(
        ConfigError, match=r"settings for 'era', but no variable uses it. Did you mean 'era5'"
    ):
        Recipe.model_validate({"sites": sites, "forcings": ["era5"], "sources": {"era": {}}}).variables()


def monthly_ndvi(root: Path, first: str, months: int) -> None:
    """Write MOD13C2 in the layout of h4toh5 on four cells: month k has 0.1 + 0.01 k in the north."""
    root.mkdir()
    for k, month in enumerate(pd.date_range(first, periods=months, freq="MS")):
        with h5py.File(root / f"MOD13C2.A{month:%Y%j}.061.2021327005613.h5", "w") as file:
            group = file.create_group("MOD_Grid_monthly_CMG_VI/Data Fields")
            stored = np.array([[1000 + 100 * k] * 4, [2000] * 4], np.int16)
            ndvi = group.create_dataset("CMG 0.05 Deg Monthly NDVI", data=stored)
            ndvi.attrs.update({"scale_factor": 10000.0, "_FillValue": np.int16(-3000), "units": "NDVI"})


def test_monthly_maps_and_land_cover_as_attributes(tmp_path: Path) -> None:
    """NDVI is averaged over its mean period; land cover has both legends, from the nearest cell."""
    monthly_ndvi(tmp_path / "mod13c2", "2015-01-01", 15)
    (tmp_path / "esa-cci-land-cover").mkdir()
    classes = np.where(np.arange(36)[:, None] < 18, 130, 72) + np.zeros((1, 72), int)
    xr.Dataset(
        {"lccs_class": (("lat", "lon"), classes.astype(np.uint8).astype(np.int8), {
            "_Unsigned": "true", "flag_values": np.array([72, 130], np.uint8).astype(np.int8),
            "flag_meanings": "tree_needleleaved_evergreen_open grassland"})},
        coords={"lat": 87.5 - 5 * np.arange(36), "lon": -177.5 + 5 * np.arange(72)},
    ).to_netcdf(tmp_path / "esa-cci-land-cover" / "ESACCI-LC-L4-LCCS-Map-300m-P1Y-2015-v2.0.7.nc", engine="h5netcdf")  # fmt: skip
    table = tmp_path / "places.csv"
    table.write_text("site,lat,lon\nn,50,10\ns,-30,150\n")
    ds = build(
        tmp_path, tmp_path, sites={"kind": "table", "path": table}, period={"start": "2015-06-01", "end": "2015-06-03"},
        mean_period={"start": "2015-03-01", "end": "2016-02-29"},
        attributes=["mod13c2", "esa-cci-land-cover:land_cover_lccs,land_cover"],
        sources={"esa-cci-land-cover": {"options": {"cells": 2}}},
    )  # fmt: skip
    np.testing.assert_allclose(ds.ndvi, [0.1 + 0.01 * np.mean(np.arange(2, 14)), 0.2], rtol=1e-6)
    assert ds.ndvi.attrs["averaged"] == "2015-03-01 to 2016-02-29, at least 12 months"
    assert ds.land_cover_lccs.values.tolist() == [130, 72]
    assert ds.land_cover.values.tolist() == [10, 9], (
        "grassland; open forest of 15-40 % trees is a savanna to IGBP"
    )
    assert ds.land_cover.attrs["flag_meanings"].split()[10] == "grassland"


def test_a_missing_table_of_sites_is_named(tmp_path: Path) -> None:
    recipe = {
        "sites": {"kind": "table", "path": tmp_path / "absent.csv"},
        "period": PERIOD,
        "forcings": ["power"],
    }
    with pytest.raises(DatasetError, match=r"absent\.csv does not exist or is not a file"):
        assemble(Recipe.model_validate(recipe), tmp_path / "d.zarr", root=tmp_path, offline=True)
    recipe["sites"] = {"kind": "table", "path": tmp_path}
    with pytest.raises(DatasetError, match="has the suffix ''; expected one of"):
        assemble(Recipe.model_validate(recipe), tmp_path / "d.zarr", root=tmp_path, offline=True)
