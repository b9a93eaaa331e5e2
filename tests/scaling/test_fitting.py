"""The scaler uses training data only."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from gsm3core.catalog import selections
from gsm3core.config import DataConfig, ExperimentConfig
from gsm3core.errors import DatasetError, TrainingError
from gsm3core.scaling import Scaler, fit_scaler, missing_inputs
from support.folds import make_fold
from support.small_world import make_dataset

PLAIN = DataConfig(transform_precipitation=False)


def test_moments_use_the_training_part_only(dataset: xr.Dataset) -> None:
    fold = make_fold(dataset)
    scaler = fit_scaler(dataset, fold, PLAIN)
    rain = dataset.precipitation.values[fold.train_sites][:, fold.train_days].astype(float)
    assert scaler.forcings["precipitation"] == pytest.approx((rain.mean(), rain.std()))
    both = [
        dataset[n].values[fold.train_sites][:, fold.train_days].astype(float).ravel()
        for n in ("sm_insitu", "sm_smap")
    ]
    target = np.concatenate(both)
    assert scaler.target == pytest.approx((np.nanmean(target), np.nanstd(target)))
    scaled = scaler.scale_forcings(dataset)[fold.train_sites][:, fold.train_days].reshape(-1, 2)
    np.testing.assert_allclose(scaled.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(scaled.std(0), 1, atol=1e-5)


def test_held_out_values_do_not_change_the_scaler(dataset: xr.Dataset) -> None:
    fold = make_fold(dataset)
    before = fit_scaler(dataset, fold, DataConfig())
    spoiled = dataset.copy(deep=True)
    for name in ("precipitation", "air_temperature", "sm_insitu", "sm_smap"):
        spoiled[name].values[fold.test_sites] = 999.0
        spoiled[name].values[:, ~fold.train_days] = -999.0
    spoiled["clay"].values[fold.test_sites] = 1e6
    spoiled["land_cover"].values[fold.test_sites] = 16
    assert fit_scaler(spoiled, fold, DataConfig()) == before


def test_precipitation_is_transformed_as_in_hydrodl(dataset: xr.Dataset) -> None:
    fold = make_fold(dataset)
    scaler = fit_scaler(dataset, fold, DataConfig(forcings=("precipitation",)))
    mean, std = scaler.forcings["precipitation"]
    expected = (np.log10(np.sqrt(dataset.precipitation.values.astype(float)) + 0.1) - mean) / std
    np.testing.assert_allclose(scaler.scale_forcings(dataset)[..., 0], expected, atol=1e-5)


def test_unseen_classes_become_zeros(dataset: xr.Dataset) -> None:
    dataset["land_cover"].values[:] = 10
    dataset["land_cover"].values[1] = 12
    fold = make_fold(dataset)
    dataset["land_cover"].values[0] = 1
    assert fold.test_sites[0]
    columns = fit_scaler(dataset, fold, DataConfig(attributes=("land_cover",))).scale_attributes(dataset)
    np.testing.assert_array_equal(columns[:3], [[0, 0], [0, 1], [1, 0]])


def test_gaps_are_filled_and_counted(dataset: xr.Dataset) -> None:
    dataset["precipitation"].values[3, 100:103] = np.nan
    dataset["air_temperature"].values[5, 10] = np.nan
    dataset["clay"].values[2] = np.nan
    fold = make_fold(dataset)
    mean = fit_scaler(dataset, fold, PLAIN)
    assert (mean.scale_forcings(dataset)[3, 100:103, 1] == 0).all()
    assert list(mean.forcings) == ["air_temperature", "precipitation"]
    assert missing_inputs(dataset, mean) == {
        "precipitation": 3,
        "air_temperature": 1,
        "clay": 1,
    }
    between = fit_scaler(dataset, fold, DataConfig(transform_precipitation=False, fill_forcing="interpolate"))
    m, s = between.forcings["air_temperature"]
    neighbours = dataset.air_temperature.values[5, [9, 11]].mean()
    assert between.scale_forcings(dataset)[5, 10, 0] == pytest.approx((neighbours - m) / s, abs=1e-4)


def test_a_constant_variable_scales_to_zero(dataset: xr.Dataset) -> None:
    dataset["elevation"].values[:] = 5.0
    scaled = fit_scaler(dataset, make_fold(dataset), DataConfig(attributes=("elevation",))).scale_attributes(
        dataset
    )
    np.testing.assert_array_equal(scaled, 0)


def test_scaler_round_trip(dataset: xr.Dataset, tmp_path: Path) -> None:
    scaler = fit_scaler(dataset, make_fold(dataset), DataConfig())
    scaler.save(tmp_path / "scaler.json")
    assert Scaler.load(tmp_path / "scaler.json") == scaler
    assert [p.name for p in tmp_path.iterdir()] == ["scaler.json"]


def test_missing_variables_are_listed_with_available_ones(dataset: xr.Dataset) -> None:
    with pytest.raises(
        DatasetError,
        match=r"(?s)forcing 'precip' is not in the dataset. Did you mean 'precipitation'.*air_temperature, precipitation",
    ):
        fit_scaler(dataset, make_fold(dataset), DataConfig(forcings=("precip",)))
    nothing = make_dataset()
    nothing["sm_insitu"].values[:] = np.nan
    with pytest.raises(TrainingError, match="sm_insitu has no value at the training sites"):
        fit_scaler(nothing, make_fold(nothing), DataConfig(targets=("sm_insitu",)))


def test_all_missing_inputs_are_in_one_list(dataset: xr.Dataset) -> None:
    """The paper's selection on a small dataset: every input, its source, and what the dataset has."""
    paper = ExperimentConfig.load("paper-temporal").data
    smap_only = dataset.drop_vars("sm_insitu")
    with pytest.raises(DatasetError) as error:
        fit_scaler(smap_only, make_fold(dataset), paper)
    for item in (*selections()["gsm3-paper"].forcings, *selections()["gsm3-paper"].attributes):
        listed = f"{item.name!r} (source {item.source})" in str(error.value)
        assert listed == (item.name not in dataset), item.name
    assert str(error.value).count("\n") == 7
    for text in (
        "target 'sm_insitu' is not in the dataset",
        "forcings of the dataset: air_temperature, precipitation",
        "attributes of the dataset: clay, elevation, land_cover",
        "targets of the dataset: sm_smap",
        "gsm3 data describe SOURCE",
    ):
        assert text in str(error.value)


def test_missing_inputs_can_be_flagged(dataset: xr.Dataset, tmp_path: Path) -> None:
    """A joined dataset: the first sites have no temperature, one site no clay, and all records start late."""
    dataset["air_temperature"].values[:3] = np.nan
    dataset["clay"].values[5] = np.nan
    for name in ("precipitation", "air_temperature"):
        dataset[name].values[:, :20] = np.nan
    scaler = fit_scaler(dataset, make_fold(dataset), DataConfig(flag_missing=True))
    assert scaler.flagged == ("air_temperature", "clay"), "days before a record do not count as gaps"
    scaler.save(tmp_path / "scaler.json")
    assert Scaler.load(tmp_path / "scaler.json") == scaler
    x, c = scaler.scale_forcings(dataset), scaler.scale_attributes(dataset)
    plain = fit_scaler(dataset, make_fold(dataset), DataConfig())
    assert (x.shape[-1], c.shape[-1]) == (scaler.n_forcings, scaler.n_attributes)
    assert (scaler.n_forcings, scaler.n_attributes) == (plain.n_forcings + 1, plain.n_attributes + 1)
    np.testing.assert_array_equal(x[..., :-1], plain.scale_forcings(dataset))
    np.testing.assert_array_equal(x[..., -1], np.isnan(dataset.air_temperature.values))
    np.testing.assert_array_equal(c[:, -1], np.arange(12) == 5)


def test_training_targets_are_saved_in_situ_first(dataset: xr.Dataset, tmp_path: Path) -> None:
    backwards = DataConfig(targets=("sm_smap", "sm_insitu"))
    assert fit_scaler(dataset, make_fold(dataset), backwards).targets == ("sm_insitu", "sm_smap")
    dataset["sm_insitu"].values[make_fold(dataset).train_sites] = np.nan
    assert fit_scaler(dataset, make_fold(dataset), backwards).targets == ("sm_smap",)


def test_a_scaler_of_an_older_run_is_read(dataset: xr.Dataset, tmp_path: Path) -> None:
    path = tmp_path / "scaler.json"
    scaler = fit_scaler(dataset, make_fold(dataset), DataConfig())
    scaler.save(path)
    old = json.loads(path.read_text())
    del old["targets"], old["flagged"]
    path.write_text(json.dumps(old))
    assert Scaler.load(path) == scaler


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"forcings": ("precipitation", "sm_insitu")}, "'sm_insitu' cannot be used as forcing"),
        ({"forcings": ("clay",)}, "'clay' cannot be used as forcing"),
        ({"attributes": ("precipitation",)}, "'precipitation' cannot be used as attribute"),
        ({"targets": ("precipitation",)}, "(?s)'precipitation' cannot be used as target.*sm_insitu, sm_smap"),
    ],
)
def test_a_variable_is_accepted_only_in_its_role(
    dataset: xr.Dataset, names: dict[str, tuple[str, ...]], message: str
) -> None:
    """Soil moisture as an input would be target leakage."""
    with pytest.raises(DatasetError, match=message):
        fit_scaler(dataset, make_fold(dataset), DataConfig.model_validate(names))


def test_targets_without_forcings_are_not_used(dataset: xr.Dataset) -> None:
    """In situ only before the forcings begin is neither predicted nor used in the target's scale."""
    for name in ("precipitation", "air_temperature"):
        dataset[name].values[:, :100] = np.nan
    dataset["sm_insitu"].values[:, 100:] = np.nan
    fold = make_fold(dataset)
    scaler = fit_scaler(dataset, fold, DataConfig())
    assert scaler.targets == ("sm_smap",)
    smap = dataset.sm_smap.values[fold.train_sites][:, 100:250].astype(float)
    assert scaler.target == pytest.approx((np.nanmean(smap), np.nanstd(smap)))


def test_missing_classes_are_counted(dataset: xr.Dataset) -> None:
    """As in joined datasets of which only one has land cover."""
    classes = dataset["land_cover"]
    dataset["land_cover"] = classes.astype(float).where(np.arange(12) > 4).assign_attrs(classes.attrs)
    scaler = fit_scaler(dataset, make_fold(dataset), DataConfig())
    assert missing_inputs(dataset, scaler) == {"land_cover": 5}
