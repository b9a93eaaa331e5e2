"""The cross-continental holdout: regions of every scheme, buffers, and sites in no region."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from gsm3core import ExperimentConfig
from gsm3core import vocabulary as v
from gsm3core.config import HoldoutConfig
from gsm3core.errors import ConfigError
from gsm3core.experiment.folds import divide, folds_of
from gsm3core.geography.regions import region_of
from gsm3core.holdouts.base import Fold
from gsm3core.holdouts.division import division_lines
from support.places import PLACES, dataset_at

GEOD = Geod(ellps="WGS84")
SCHEMES = ("gsm3-paper", "continents", "climates", "countries")


def holdout(**values: object) -> ExperimentConfig:
    return ExperimentConfig.from_mapping({"holdout": {"name": "cross_continental"} | values})


def names(mask: np.ndarray) -> set[str]:
    return set(np.array(list(PLACES))[mask].tolist())


def fold(folds: list[Fold], name: str) -> Fold:
    return next(f for f in folds if f.name == name)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("outside", ["fold", "exclude"])
@pytest.mark.parametrize("buffer_km", [0.0, 100.0, 400.0])
def test_each_site_has_a_defined_role(scheme: str, outside: str, buffer_km: float) -> None:
    """Against regions and geodesics that are computed here, for all folds of a dataset at 28 places."""
    ds = dataset_at()
    lat, lon = ds.lat.values, ds.lon.values
    region = region_of(lat, lon, scheme)
    folds = folds_of(ds, holdout(regions=scheme, outside=outside, buffer_km=buffer_km))
    expected = set(region.tolist()) - ({v.NO_REGION} if outside == "exclude" else set())
    assert {f.name for f in folds} == expected
    for one in folds:
        np.testing.assert_array_equal(one.test_sites, region == one.name)
        roles = np.stack([one.train_sites, one.test_sites, *one.left_out.values()])
        np.testing.assert_array_equal(
            roles.sum(axis=0), 1, "a site has one role, and those left out have a reason"
        )
        if outside == "exclude":
            assert not one.train_sites[region == v.NO_REGION].any()
            assert not one.test_sites[region == v.NO_REGION].any()
        for i in np.flatnonzero(one.train_sites):
            held = np.flatnonzero(one.test_sites)
            metres = GEOD.inv(np.full(len(held), lon[i]), np.full(len(held), lat[i]), lon[held], lat[held])[2]
            assert metres.min() / 1000 > buffer_km
    tested = np.sum([f.test_sites for f in folds], axis=0)
    np.testing.assert_array_equal(tested, (outside == "fold") | (region != v.NO_REGION))


def test_neighbours_across_the_border_do_not_train() -> None:
    """Windsor (Canada) and Ciudad Juarez (Mexico) with CONUS held out; Durango, 800 km away, trains."""
    conus = fold(folds_of(dataset_at(), holdout(buffer_km=100)), "CONUS")
    assert {"Windsor", "Ciudad Juarez"} <= names(conus.left_out["within 100 km of the region"])
    assert {"Durango", "Nakuru"} <= names(conus.train_sites)
    none = fold(folds_of(dataset_at(), holdout(buffer_km=0)), "CONUS")
    assert {"Windsor", "Ciudad Juarez"} <= names(none.train_sites)
    assert not none.left_out


def test_sites_in_no_region_are_a_fold() -> None:
    folds = folds_of(dataset_at(), holdout())
    outside = {
        "Windsor", "Manitoba", "Saskatchewan", "Ciudad Juarez", "Durango", "Whitehorse", "Hilo", "Nakuru", "Machakos", "Lusaka",
        "Cordoba", "Tunis",
    }  # fmt: skip
    assert folds[-1].name == v.NO_REGION
    assert names(folds[-1].test_sites) == outside
    assert {"Detroit", "El Paso"} <= names(folds[-1].left_out["within 100 km of a test site"])
    assert names(fold(folds, "Alaska").test_sites) == {"Juneau", "Yakutat", "Fairbanks"}
    as_before = folds_of(dataset_at(), holdout(outside="train", buffer_km=0))
    assert v.NO_REGION not in {f.name for f in as_before}
    assert all(outside <= names(f.train_sites) for f in as_before)


def test_continents_of_sites_in_no_region_of_the_paper() -> None:
    folds = folds_of(dataset_at(), holdout(regions="continents", buffer_km=0))
    found = {f.name: names(f.test_sites) for f in folds}
    assert found["Africa"] == {"Nakuru", "Machakos", "Lodwar", "Lusaka", "Tunis", "Niamey", "Pretoria"}
    assert found["Central_America"] == {"Ciudad Juarez", "Durango"}
    assert found["South_America"] == {"Cordoba"}
    assert found["Oceania"] == {"Hilo", "Canberra"}
    assert {"Windsor", "Juneau", "Detroit"} <= found["North_America"]


def test_polygons_of_a_file(tmp_path: Path) -> None:
    ring = [[[33, -5], [42, -5], [42, 5], [33, 5], [33, -5]]]
    feature = {
        "type": "Feature",
        "properties": {"name": "East Africa"},
        "geometry": {"type": "Polygon", "coordinates": ring},
    }
    path = tmp_path / "east.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    folds = folds_of(dataset_at(), holdout(regions=str(path)))
    assert [f.name for f in folds] == ["East Africa", v.NO_REGION]
    assert names(folds[0].test_sites) == {"Nakuru", "Machakos", "Lodwar"}
    with pytest.raises(
        ConfigError, match=r"at least two regions of .*east.geojson; this dataset has only East Africa. Set"
    ):
        folds_of(dataset_at(), holdout(regions=str(path), outside="exclude"))
    with pytest.raises(ConfigError, match=r"holdout.regions = '.*west.geojson' is neither"):
        folds_of(dataset_at(), holdout(regions=str(tmp_path / "west.geojson")))


def test_impossible_divisions_are_refused() -> None:
    kenya = {n: PLACES[n] for n in ("Nakuru", "Machakos")}
    with pytest.raises(
        ConfigError, match=r"at least two regions of gsm3-paper; .* only Other. Use other holdout.regions"
    ):
        folds_of(dataset_at(kenya), holdout())
    with pytest.raises(ConfigError, match=r"only 2 sites in no region. Set holdout.outside = 'fold'"):
        folds_of(dataset_at(kenya), holdout(outside="exclude"))
    near = {n: PLACES[n] for n in ("Detroit", "Windsor")}
    with pytest.raises(
        ConfigError,
        match=r"Fold CONUS: no training site is left \(1 test sites, 1 within 100 km of the region\)",
    ):
        folds_of(dataset_at(near), holdout())


def test_a_satellite_cell_is_never_on_both_sides() -> None:
    """Two sites in one 36-km cell, 12 km apart on both sides of the border."""
    ds = dataset_at(PLACES | {"A": (49.03, -110.0), "B": (48.92, -110.0)})
    ds["sm_smap"].attrs["grid"] = "M36"
    conus = fold(folds_of(ds, holdout(buffer_km=0)), "CONUS")
    assert conus.left_out["in the satellite cell of a test site, or grouped with it"].tolist() == [
        s == "A" for s in ds.site.values
    ]


def test_counts_of_the_division() -> None:
    ds = dataset_at()
    config = holdout(buffer_km=100)
    folds, division = divide(ds, config)
    assert division["regions"] == "gsm3-paper"
    assert division["sites"][v.NO_REGION] == 12
    assert sum(division["sites"].values()) == len(PLACES)
    for one in folds:
        counts = division["folds"][one.name]
        assert counts["training"] == one.train_sites.sum()
        assert counts["test"] == one.test_sites.sum()
        assert counts["training"] + counts["test"] + sum(counts["left_out"].values()) == len(PLACES)
    lines = division_lines(json.loads(json.dumps(division)))
    assert lines[0].startswith("Regions: gsm3-paper. Sites: CONUS 6, Europe 2, Africa North 2, Alaska 3")
    assert lines[1] == "Sites in no region: 12, tested as a fold of their own, Other."
    assert "Fold CONUS, in neither training nor test: 2 within 100 km of the region." in lines
    assert division_lines(divide(ds, ExperimentConfig())[1]) == []


@given(
    st.lists(st.tuples(st.floats(-60, 80), st.floats(-179, 179)), min_size=4, max_size=12, unique=True),
    st.sampled_from(SCHEMES), st.sampled_from(["fold", "exclude"]), st.floats(0, 2000),
)  # fmt: skip
def test_any_places(at: list[tuple[float, float]], scheme: str, outside: str, buffer_km: float) -> None:
    """No test site trains, no site in no region trains under exclude, none within the buffer of a test site trains."""
    ds = dataset_at({f"s{k}": place for k, place in enumerate(at)}, n_days=3)
    lat, lon = ds.lat.values, ds.lon.values
    try:
        folds = folds_of(ds, holdout(regions=scheme, outside=outside, buffer_km=buffer_km))
    except ConfigError as error:
        assert "no training site is left" in str(error) or "at least two regions" in str(error)
        return
    none = region_of(lat, lon, scheme) == v.NO_REGION
    for one in folds:
        assert not (one.train_sites & one.test_sites).any()
        assert not (one.train_sites & none).any() or outside == "fold"
        for i in np.flatnonzero(one.train_sites):
            for j in np.flatnonzero(one.test_sites):
                assert GEOD.inv(lon[i], lat[i], lon[j], lat[j])[2] / 1000 > buffer_km


def test_defaults_and_stored_configurations(tmp_path: Path) -> None:
    default = HoldoutConfig()
    assert (default.regions, default.buffer_km, default.outside) == ("gsm3-paper", 100.0, "fold")
    path = tmp_path / "config.toml"
    path.write_text('[holdout]\nname = "cross_continental"\n')
    stored = ExperimentConfig.load_stored(path).holdout
    assert (stored.regions, stored.buffer_km, stored.outside) == ("gsm3-paper", 0.0, "train")
