"""Assembled long-term means name their daily record, and the grid of SMAP is kept, from the files to the folds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from gsm3core.assembly.assemble import assemble
from gsm3core.assembly.recipe import Recipe
from gsm3core.assembly.sites import join
from gsm3core.config import DataConfig, ExperimentConfig
from gsm3core.experiment import satellite_groups
from gsm3core.experiment.folds import folds_of
from gsm3core.geography.grids import cell_of
from gsm3core.scaling import fold_attributes, long_term_means
from gsm3core.schema import attribute_names, forcing_names, open_dataset
from support import planted_sources as planted

PERIOD = {"start": "2015-04-01", "end": "2015-04-06"}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sources")
    planted.write_all(root)
    return root


@pytest.fixture(autouse=True)
def short_means(monkeypatch: pytest.MonkeyPatch) -> None:
    from gsm3core.assembly import merge

    monkeypatch.setattr(merge, "MIN_DAYS", 2)
    monkeypatch.setattr(long_term_means, "MIN_DAYS", 2)


def build(sources: Path, folder: Path, **changes: object) -> xr.Dataset:
    options = {"sites": {"kind": "ismn", "path": sources / "ismn"}, "period": PERIOD} | changes
    assemble(Recipe.model_validate(options), folder / "out.zarr", root=sources, overwrite=True)
    return open_dataset(folder / "out.zarr").load()


def test_the_mean_of_a_forcing_names_it(sources: Path, tmp_path: Path) -> None:
    ds = build(
        sources, tmp_path, forcings=["era5:air_temperature=t2m"], attributes=["era5:air_temperature", "smap-l3e:sm_smap"],
        products=["smap-l3e"],
    )  # fmt: skip
    assert ds.mean_air_temperature.attrs["mean_of"] == "t2m"
    assert ds.mean_air_temperature.attrs["period_start"] == "2015-04-01"
    assert ds.mean_air_temperature.attrs["period_end"] == "2015-04-06"
    assert ds.mean_sm_smap.attrs["mean_of"] == "sm_smap"
    assert forcing_names(ds) == ["t2m"]
    assert not [n for n in ds if str(n).endswith("_record")]


def test_a_mean_without_a_daily_variable_brings_its_record(sources: Path, tmp_path: Path) -> None:
    """Of the mean's days in the dataset; it is neither forcing nor target, and a run averages its training days."""
    ds = build(
        sources, tmp_path, forcings=["era5:precipitation"], attributes=["era5:air_temperature", "smap-l3e:sm_smap"],
        mean_period={"start": "2015-04-01", "end": "2015-04-05"},
    )  # fmt: skip
    assert forcing_names(ds) == ["precipitation"]
    assert set(attribute_names(ds)) == {"elevation", "mean_air_temperature", "mean_sm_smap"}
    record = ds.mean_air_temperature_record
    assert ds.mean_air_temperature.attrs["mean_of"] == "mean_air_temperature_record"
    assert record.attrs["record_of"] == "air_temperature" and record.attrs["units"] == "K"
    lat, lon = planted.cell10(*planted.SITES["north"])
    expected = [planted.era5_air(lat, lon, k, 11.5) for k in range(5)]
    np.testing.assert_allclose(record.sel(site="NET_north")[:5], expected, rtol=1e-6)
    assert np.isnan(record.sel(site="NET_north")[5]), "not a day of the mean"
    np.testing.assert_allclose(ds.mean_air_temperature, record.mean("time"), rtol=1e-6)
    temporal = {
        "name": "temporal", "train": {"start": "2015-04-01", "end": "2015-04-03"},
        "test": {"start": "2015-04-04", "end": "2015-04-06"},
    }  # fmt: skip
    (fold,) = folds_of(ds, ExperimentConfig.from_mapping({"holdout": temporal}))
    usable, chosen = fold_attributes(ds, fold, DataConfig())
    assert chosen.means == {
        "mean_air_temperature": "mean_air_temperature_record",
        "mean_sm_smap": "mean_sm_smap_record",
    }
    np.testing.assert_allclose(usable.mean_air_temperature, record[:, :3].mean("time"), rtol=1e-6)
    # SMAP added later as a target: its record is the target's.
    target = ds.mean_sm_smap_record.drop_attrs().assign_attrs(ds.mean_sm_smap_record.attrs)
    del target.attrs["record_of"]
    (custom,) = folds_of(
        ds, ExperimentConfig.from_mapping({"holdout": {"name": "custom", "sites": ["NET_north"]}})
    )
    assert "mean_sm_smap" in fold_attributes(ds, custom, DataConfig())[1].names
    assert "mean_sm_smap" in fold_attributes(ds.assign(sm_smap=target), custom, DataConfig())[1].dropped


def test_a_climatology_of_other_days_has_no_record(sources: Path, tmp_path: Path) -> None:
    ds = build(
        sources, tmp_path, period={"start": "2015-04-05", "end": "2015-04-06"}, forcings=["era5:precipitation"],
        attributes=["smap-l3e:sm_smap"], mean_period={"start": "2015-04-01", "end": "2015-04-04"},
    )  # fmt: skip
    assert "mean_sm_smap_record" not in ds and "mean_of" not in ds.mean_sm_smap.attrs
    assert ds.mean_sm_smap.attrs["period_end"] == "2015-04-04"


def test_joined_datasets_keep_the_records(sources: Path, tmp_path: Path) -> None:
    ds = build(sources, tmp_path, forcings=["era5:precipitation"], attributes=["era5:air_temperature"])
    first, second = ds.isel(site=[0, 1]), ds.isel(site=[2])
    second = second.assign(
        mean_air_temperature=second.mean_air_temperature.assign_attrs(period_start="2010-01-01")
    )
    both = join(first, second)
    np.testing.assert_array_equal(
        both.mean_air_temperature_record.sel(site=ds.site), ds.mean_air_temperature_record
    )
    assert both.mean_air_temperature_record.attrs["record_of"] == "air_temperature"
    assert both.mean_air_temperature.attrs["period_start"] == "2010-01-01"
    assert both.mean_air_temperature.attrs["period_end"] == "2015-04-06"


def test_joined_datasets_of_an_earlier_version_state_the_days_of_both(sources: Path, tmp_path: Path) -> None:
    """They have the days in `averaged` alone; in either order no days of the other dataset are lost."""
    ds = build(sources, tmp_path, forcings=["era5:precipitation"], attributes=["era5:air_temperature"])
    parts = []
    for sites, days in (([0, 1], "2015-04-01 to 2016-03-31"), ([2], "2017-01-01 to 2018-12-31")):
        part = ds.isel(site=sites)
        attrs = {"units": "K", "source": "x", "averaged": f"{days}, at least 30 days"}
        parts.append(
            part.assign(mean_air_temperature=part.mean_air_temperature.drop_attrs().assign_attrs(attrs))
        )
    for pair in (parts, parts[::-1]):
        attrs = join(*pair).mean_air_temperature.attrs
        assert (attrs["period_start"], attrs["period_end"]) == ("2015-04-01", "2018-12-31")
        assert "averaged" not in attrs


@pytest.mark.parametrize("kind", ["zarr", "joined"])
def test_the_grid_of_smap_survives_assembly(sources: Path, tmp_path: Path, kind: str) -> None:
    """The planted maps are of 36 km: cells of 9 km in one of them are held out together."""
    table = tmp_path / "places.csv"
    steps = 0.05 * np.arange(5)
    rows = [f"s{k}{m},{40 + a},{-100 + b}" for k, a in enumerate(steps) for m, b in enumerate(steps)]
    table.write_text("site,lat,lon\n" + "\n".join(rows) + "\n")
    ds = build(
        sources, tmp_path, sites={"kind": "table", "path": table}, forcings=["era5:precipitation"], products=["smap-l3e"],
    )  # fmt: skip
    if kind == "joined":
        ds = join(ds.isel(site=slice(0, 10)), ds.isel(site=slice(10, None)))
    assert ds.sm_smap.attrs["grid"] == "M36"
    coarse, fine = (cell_of(ds.lat.values, ds.lon.values, g) for g in ("M36", "M09"))
    group = satellite_groups(ds)
    np.testing.assert_array_equal(group[:, None] == group, coarse[:, None] == coarse)
    assert len(np.unique(coarse)) < len(np.unique(fine))
    assert ds.precipitation.attrs.get("grid") is None
