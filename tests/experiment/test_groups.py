"""Sites that are held out together: cells, distances, and the footprint of the satellite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from pyproj import Geod

from gsm3core import run_experiment
from gsm3core.config import ExperimentConfig
from gsm3core.experiment import satellite_groups
from gsm3core.experiment.folds import folds_of, split_validation_sites
from gsm3core.experiment.footprint import footprint_notes, group_notes, sites_within_footprint
from gsm3core.geography.grids import cell_of
from gsm3core.schema import save_dataset
from support.small_world import TINY, make_dataset

SPATIAL: dict[str, dict[str, Any]] = {
    "random_spatial": {"folds": 3},
    "spatial_block": {"folds": 2, "block_km": 30},
    "cross_continental": {"buffer_km": 0},
    "custom": {"networks": ["net1"]},
}


def crowded(grid: str = "M09") -> xr.Dataset:
    """60 sites within 3 degrees, on both sides of two regions' border; the last four have no target."""
    rng = np.random.default_rng(3)
    ds = make_dataset(n_sites=60, n_days=90)
    ds = ds.assign_coords(
        lat=("site", 40 + rng.uniform(-1.5, 1.5, 60)), lon=("site", -100 + rng.uniform(-1.5, 1.5, 60)),
        region=("site", np.where(np.arange(60) % 2, "CONUS", "Europe")),
    )  # fmt: skip
    known = xr.DataArray(np.arange(60) < 56, dims="site")
    for name in ("sm_insitu", "sm_smap"):
        ds[name] = ds[name].where(known).assign_attrs(ds[name].attrs)
    ds.sm_smap.attrs["grid"] = grid
    return ds


def distances(ds: xr.Dataset) -> np.ndarray:
    a, b = np.meshgrid(np.arange(ds.sizes["site"]), np.arange(ds.sizes["site"]), indexing="ij")
    lat, lon = ds.lat.values, ds.lon.values
    return np.asarray(Geod(ellps="WGS84").inv(lon[a], lat[a], lon[b], lat[b])[2]) / 1000


def config(name: str, **keys: object) -> ExperimentConfig:
    return ExperimentConfig.from_mapping({"holdout": {"name": name, **SPATIAL[name], **keys}})


@pytest.mark.parametrize("name", SPATIAL)
def test_no_training_site_is_within_the_distance_of_a_test_site(name: str) -> None:
    ds = crowded()
    if name == "cross_continental":
        ds = ds.assign_coords(region=("site", np.where(ds.lon.values < -100, "CONUS", "Europe")))
    km = distances(ds)
    before = after = 0
    for at in (0.0, 20.0):
        for fold in folds_of(ds, config(name, group_km=at)):
            pairs = km[np.ix_(fold.test_sites, fold.train_sites)]
            close = int((pairs <= 20).sum())
            before, after = (before + close, after) if at == 0 else (before, after + close)
    assert before > 0
    assert after == 0


@pytest.mark.parametrize("name", SPATIAL)
def test_cells_of_the_chosen_grid_are_held_out_whole(name: str) -> None:
    ds = crowded()
    cell = cell_of(ds.lat.values, ds.lon.values, "M36")
    shared = 0
    for grid in (None, "M36"):
        for fold in folds_of(ds, config(name, group_grid=grid)):
            both = np.intersect1d(cell[fold.test_sites], cell[fold.train_sites])
            if grid:
                assert not len(both)
            shared += len(both)
    assert shared > 0, "without it, cells of 36 km are divided"
    np.testing.assert_array_equal(
        satellite_groups(ds, config(name, group_grid="M36").holdout), satellite_groups(crowded("M36"))
    )


@pytest.mark.parametrize("name", SPATIAL)
def test_a_twin_is_never_on_both_sides_by_default(name: str) -> None:
    """Every site has a twin 0.7 km away, some in another cell; cells alone divide these."""
    ds = crowded().isel(site=slice(0, 30))
    edge = 0.7 / 111.2
    twin = ds.assign_coords(
        site=[f"T{i}" for i in range(30)],
        lat=("site", ds.lat.values + edge),
        network=("site", ["twins"] * 30),
    )
    both = xr.concat([ds, twin], "site")
    both.sm_smap.attrs["grid"] = "M09"
    if name == "cross_continental":
        border = np.median(ds.lat.values) + edge / 2
        both = both.assign_coords(region=("site", np.where(both.lat.values < border, "CONUS", "Europe")))
    cell = cell_of(both.lat.values, both.lon.values, "M09")
    assert (cell[:30] != cell[30:]).any()
    divided = []
    for settings in (config(name), config(name, group_km=0)):
        folds = folds_of(both, settings)
        both_sides = [
            f.test_sites[:30] & f.train_sites[30:] | f.train_sites[:30] & f.test_sites[30:] for f in folds
        ]
        divided.append(sum(int(b.sum()) for b in both_sides))
    assert divided[0] == 0
    if name == "random_spatial":
        assert divided[1] > 0, "the cells alone divide twins"
    (note,) = group_notes(both, config(name))
    assert note.startswith(
        f"{2 * int((cell[:30] != cell[30:]).sum())} sites in different cells are held out together"
    )
    assert group_notes(both, config(name, group_km=0)) == []


def test_groups_without_twins_are_the_cells() -> None:
    """The default changes no folds where no two cells have sites within 1 km."""
    ds = make_dataset(n_sites=12, n_days=60)
    settings = ExperimentConfig.from_mapping({"holdout": {"name": "random_spatial", "folds": 4}})
    before = ExperimentConfig.from_mapping({"holdout": {"name": "random_spatial", "folds": 4, "group_km": 0}})
    for new, old in zip(folds_of(ds, settings), folds_of(ds, before), strict=True):
        np.testing.assert_array_equal(new.test_sites, old.test_sites)


def test_stored_runs_keep_their_groups(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[holdout]\nname = "random_spatial"\n')
    assert ExperimentConfig.load_stored(path).holdout.group_km == 0
    path.write_text('[holdout]\nname = "random_spatial"\ngroup_km = 0.0\n')
    assert ExperimentConfig.load_stored(path).holdout.group_km == 0
    assert ExperimentConfig().holdout.group_km == 1


def test_validation_sites_are_split_by_the_same_groups() -> None:
    ds = crowded()
    settings = config("random_spatial", group_km=12)
    fold = folds_of(ds, settings)[0]
    training, validation = split_validation_sites(ds, fold, ["sm_insitu"], 0.2, 0, holdout=settings.holdout)
    assert validation.any()
    assert distances(ds)[np.ix_(validation, training.train_sites)].min() > 12


@pytest.mark.parametrize(("grid", "footprint"), [("M09", 33), ("M36", 36)])
def test_test_sites_near_training_sites_are_counted(grid: str, footprint: int) -> None:
    ds, settings = crowded(grid), config("random_spatial", folds=5)
    folds = folds_of(ds, settings)
    km, has_target = distances(ds), np.arange(60) < 56
    near = sum(
        int((km[np.ix_(f.test_sites, f.train_sites & has_target)] <= footprint).any(axis=1).sum())
        for f in folds
    )
    assert 0 < near < 60
    assert sites_within_footprint(ds, folds, settings) == (near, 60)
    (note,) = footprint_notes(ds, folds, settings)
    assert note.startswith(
        f"{near} of 60 held-out sites have a training site within {footprint} km, the footprint of SMAP"
    )
    assert f"holdout.group_km = {footprint}" in note


def test_a_run_states_the_count_only_where_sites_are_held_out(tmp_path: Path) -> None:
    world = save_dataset(crowded().isel(site=slice(0, 24)), tmp_path / "world.zarr")
    values: dict[str, Any] = {**TINY, "data": {"dataset": str(world)}, "model": {"name": "climatology"}}
    run = run_experiment(
        ExperimentConfig.from_mapping(values | {"holdout": {"name": "random_spatial", "folds": 2}}),
        out=tmp_path / "runs",
    )
    assert any("held-out sites have a training site within 33 km" in note for note in run.notes)
    temporal = {
        "name": "temporal",
        "train": {"start": "2015-04-01", "end": "2015-05-20"},
        "test": {"start": "2015-05-21", "end": "2015-06-29"},
    }
    run = run_experiment(ExperimentConfig.from_mapping(values | {"holdout": temporal}), out=tmp_path / "runs")
    assert not any("held-out" in note for note in run.notes)
