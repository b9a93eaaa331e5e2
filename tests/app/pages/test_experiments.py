"""Experiment form, fold preview, progress and comparison of runs."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from app.pages.experiments.form import ExperimentForm, readable_error
from app.pages.experiments.holdout_form import HOLDOUTS
from app.services.fold_preview import TEST_SITE, TRAINING_SITE, UNUSED_SITE, FoldPreview, preview_folds
from app.services.medians import median_scores
from app.services.run_progress import Progress
from app.services.run_settings import differing, settings
from app.services.site_table import site_table_of
from app.session.selection import Selection
from gsm3core import vocabulary as v
from gsm3core.config import ExperimentConfig, HoldoutConfig
from gsm3core.errors import ConfigError, DatasetError
from gsm3core.experiment import create_run
from gsm3core.experiment.folds import divide, folds_of
from gsm3core.experiment.footprint import footprint_notes
from gsm3core.scaling import fold_attributes
from support.places import PLACES, dataset_at

DATASET = "bucket.zarr"


class IdleMonitor:
    """A run monitor that is never called."""


@pytest.fixture
def form(store):
    return ExperimentForm(Selection(dataset=DATASET), store, IdleMonitor())


def fill(field, text):
    field.value = field.value_input = text


def hold_out(form, name):
    form.holdout.name_choice.value = name


def test_every_holdout_of_the_library_is_offered(form):
    assert tuple(HOLDOUTS) == tuple(sorted(v.HOLDOUTS, key=list(HOLDOUTS).index))
    assert set(HOLDOUTS) == set(v.HOLDOUTS)


def test_initial_form_is_the_preset(form, store):
    expected = ExperimentConfig.load("quick").replace("data", dataset=str(store.data / DATASET))
    expected = expected.replace("holdout", name="temporal")
    assert form.config() == expected


def test_configuration_has_the_values_of_the_form(form):
    hold_out(form, "spatial_block")
    fill(form.holdout.folds, "3")
    fill(form.holdout.block, "250.5")
    fill(form.holdout.train, "2015-05-01 to 2016-01-31")
    fill(form.epochs, "7")
    fill(form.members, "2")
    form.targets.value = v.SM_SMAP
    fill(form.title, " A title ")
    config = form.config()
    assert (config.holdout.name, config.holdout.folds, config.holdout.block_km) == ("spatial_block", 3, 250.5)
    assert (config.holdout.train.start, config.holdout.train.end) == (
        dt.date(2015, 5, 1),
        dt.date(2016, 1, 31),
    )
    assert (config.training.epochs, config.training.members, config.title) == (7, 2, "A title")
    assert config.data.targets == (v.SM_SMAP,)


def test_preview_states_what_a_run_would_change(form, store):
    """The attributes and the training sites within a footprint, in the words of the run; a distance keeps these apart."""
    hold_out(form, "random_spatial")
    notes = preview_folds(store, DATASET, form.config()).notes
    ds = store.dataset(DATASET)
    folds, _ = divide(ds, form.config())
    assert list(notes) == [
        *fold_attributes(ds, folds[0], form.config().data)[1].notes, *footprint_notes(ds, folds, form.config())
    ]  # fmt: skip
    assert any("held-out sites have a training site within 33 km" in n for n in notes)
    fill(form.holdout.folds, "2")
    fill(form.holdout.group, "33")
    assert form.config().holdout.group_km == 33
    apart = preview_folds(store, DATASET, form.config()).notes
    assert any(n.startswith("0 of ") for n in apart)


def test_baseline_has_no_epochs(form):
    form.model.value = "climatology"
    assert form.config().model.name == "climatology"
    assert not form.epochs.visible
    assert form.config().training.epochs == ExperimentConfig.load("quick").training.epochs


def test_preset_periods_apply_to_its_holdout_only(form):
    form.preset.value = "smap-temporal"
    assert form.config().holdout == ExperimentConfig.load("smap-temporal").holdout
    assert form.config().data.targets == (v.SM_SMAP,)
    hold_out(form, "cross_continental")
    assert form.config().holdout.test is None


def test_all_records_override_the_targets_of_a_preset(form):
    form.preset.value = "smap-temporal"
    form.targets.value = "all"
    assert form.config().data.targets is None


def test_periods_of_a_preset_do_not_stay_in_the_next(form):
    form.preset.value = "paper-spatial"
    assert form.config().holdout == ExperimentConfig.load("paper-spatial").holdout
    form.preset.value = "quick"
    assert form.config().holdout.train is None
    fill(form.holdout.train, "2015-05-01 to 2016-01-31")
    form.preset.value = "gsm3"
    assert form.config().holdout.train.start == dt.date(2015, 5, 1), "typed days stay"


@pytest.mark.parametrize("preset", ["paper-temporal", "paper-spatial", "paper-cross-continental"])
def test_missing_inputs_are_shown_in_one_list(form, store, preset):
    form.preset.value = preset
    problem = preview_folds(store, DATASET, form.config()).problem
    missing = [n for n in form.config().data.forcings if n != "precipitation" and n != "air_temperature"]
    assert all(f"{n!r} (source " in problem for n in missing)
    assert "'ndvi' (source mod13c2)" in problem
    assert problem in str(_refusal(form, store))


def _refusal(form, store) -> str:
    with pytest.raises(DatasetError) as error:
        create_run(form.config(), store.data / "runs")
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "field", "text", "message"),
    [
        ("random_spatial", "folds", "many", "Folds: 'many' is not a whole number"),
        ("random_spatial", "folds", "1", "Folds: Input should be greater than or equal to 2"),
        ("spatial_block", "block", "wide", r"Block size \(km\): 'wide' is not a number"),
        ("spatial_block", "block", "-5", r"Block size \(km\): Input should be greater than 0"),
        ("temporal", "test", "2015", "Test days: '2015' is not a period"),
        ("temporal", "test", "2015-02-30 to 2015-03-01", "Test days: .* is not a period"),
        ("temporal", "train", "2016-01-01 to 2015-01-01", "Training days: the period ends"),
    ],
)
def test_invalid_value_is_reported(form, name, field, text, message):
    hold_out(form, name)
    fill(getattr(form.holdout, field), text)
    with pytest.raises(ConfigError) as error:
        form.config()
    assert pd.Series([readable_error(str(error.value))]).str.contains(message).all(), str(error.value)


@pytest.mark.parametrize("name", ["random_spatial", "cross_continental"])
def test_previewed_folds_are_those_of_the_experiment(form, store, name):
    hold_out(form, name)
    fill(form.holdout.folds, "3")
    config = form.config()
    preview = preview_folds(store, DATASET, config)
    expected = folds_of(store.dataset(DATASET), config)
    assert [f.name for f in preview.folds] == [f.name for f in expected]
    for fold in expected:
        roles = np.array(preview.roles(fold.name))
        np.testing.assert_array_equal(roles == TEST_SITE, fold.test_sites)
        np.testing.assert_array_equal(roles == TRAINING_SITE, fold.train_sites & ~fold.test_sites)
    tested = preview.test_fold_names()
    assert all(tested[k] == f.name.replace("_", " ") for f in expected for k in np.flatnonzero(f.test_sites))
    assert not preview.splits_days


def test_regions_buffer_and_sites_in_no_region(form, store):
    hold_out(form, "cross_continental")
    assert form.config().holdout == HoldoutConfig(name="cross_continental")
    form.holdout.regions.value = "continents"
    fill(form.holdout.buffer, "350.5")
    form.holdout.outside.value = "exclude"
    config = form.config()
    assert (config.holdout.regions, config.holdout.buffer_km) == ("continents", 350.5)
    assert config.holdout.outside == "exclude"
    preview = preview_folds(store, DATASET, config)
    folds, division = divide(store.dataset(DATASET), config)
    assert preview.division == division
    assert {f.name for f in folds} <= {"Africa", "Asia", "Europe", "North_America", "Oceania"}
    for fold in folds:
        for reason, mask in fold.left_out.items():
            assert (np.array(preview.roles(fold.name)) == reason).tolist() == mask.tolist()
    fill(form.holdout.buffer, "wide")
    with pytest.raises(ConfigError, match=r"Buffer \(km\): 'wide' is not a number"):
        form.config()


def test_preset_of_the_paper_sets_its_regions(form):
    form.preset.value = "paper-cross-continental"
    assert form.config().holdout == ExperimentConfig.load("paper-cross-continental").holdout
    assert (form.config().holdout.buffer_km, form.config().holdout.outside) == (0, "exclude")


def test_sites_that_no_fold_uses_are_named():
    sites = dataset_at()
    config = ExperimentConfig.from_mapping({"holdout": {"name": "cross_continental", "outside": "exclude"}})
    folds, division = divide(sites, config)
    preview = FoldPreview(
        "x", site_table_of(sites), pd.DatetimeIndex(sites.time.values), tuple(folds), "", division
    )
    tested = dict(zip(PLACES, preview.test_fold_names(), strict=True))
    assert tested["Nakuru"] == tested["Windsor"] == "in no region, not used"
    assert (tested["Juneau"], tested["Detroit"]) == ("Alaska", "CONUS")
    assert dict(zip(PLACES, preview.roles("CONUS"), strict=True))["Hilo"] == "in no region"


def test_temporal_holdout_splits_days(form, store):
    fill(form.holdout.train, "2015-04-01 to 2015-12-31")
    fill(form.holdout.test, "2016-01-01 to 2016-03-31")
    preview = preview_folds(store, DATASET, form.config())
    assert preview.splits_days
    assert preview.date_range(preview.folds[0].test_days) == "2016-01-01 to 2016-03-31"


def test_short_record_defaults_to_a_spatial_holdout(form):
    form.holdout.update_dataset([], [], 366)
    assert form.holdout.chosen == "random_spatial"
    form.holdout.update_dataset([], [], 731)
    assert form.holdout.chosen == "temporal"
    form.holdout.name_choice.value = "spatial_block"  # chosen by the user from here on
    form.holdout.update_dataset([], [], 366)
    assert form.holdout.chosen == "spatial_block"


def test_typed_holdout_is_kept_for_another_dataset(form):
    form.holdout.update_dataset([], [], 731)
    fill(form.holdout.test, "2015-04-01 to 2015-06-30")
    form.holdout.update_dataset([], [], 366)
    assert form.holdout.chosen == "temporal"


def test_preset_holdout_is_kept_for_another_dataset(form):
    form.holdout.update_dataset([], [], 731)
    form.preset.value = "smap-temporal"
    form.holdout.update_dataset([], [], 366)
    assert form.holdout.chosen == "temporal"


def test_message_names_fields_instead_of_keys():
    message = readable_error("The record is too short. Give holdout.train and holdout.test.")
    assert message == "The record is too short. Give Training days and Test days."
    assert readable_error("configuration:\n  - holdout: they overlap") == "Periods: they overlap"
    assert (
        readable_error("holdout.train is 2010", "Training and test days") == "Training and test days is 2010"
    )
    assert readable_error("data/holdout.test.nc is missing") == "data/holdout.test.nc is missing"


def test_custom_holdout(form, store):
    hold_out(form, "custom")
    preview = preview_folds(store, DATASET, form.config())
    assert preview.folds == ()
    assert "needs holdout.sites" in preview.problem
    form.holdout.update_dataset(["net0", "net1"], ["S001"], 731)
    form.holdout.networks.value = ["net1"]
    form.holdout.polygon = ((5.0, 45.0), (20.0, 45.0), (20.0, 55.0), (5.0, 55.0))
    sites = preview_folds(store, DATASET, form.config())
    expected = (sites.sites[v.NETWORK] == "net1") | (
        sites.sites[v.LON].between(5, 20) & sites.sites[v.LAT].between(45, 55)
    )
    np.testing.assert_array_equal(sites.folds[0].test_sites, expected)
    assert set(sites.roles("custom")) <= {TEST_SITE, TRAINING_SITE, UNUSED_SITE}


def test_preview_reports_an_impossible_holdout(form, store):
    preview = preview_folds(store, DATASET, form.config())  # 400 days: too short for the default periods
    assert "too short" in preview.problem


def test_changes_are_counted(form):
    before = form.holdout.changed
    fill(form.holdout.folds, "4")
    hold_out(form, "random_spatial")
    form.holdout.polygon = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))
    assert form.holdout.changed >= before + 3


def test_losses_of_ensemble_members_are_concatenated():
    progress = Progress(run="r")
    for member in (0, 1):
        for epoch in (1, 2):
            progress = progress.after(
                {
                    "event": "progress", "fold": "a", "index": 1, "of": 2, "member": member, "members": 2, "epoch": epoch,
                    "epochs": 2, "fraction": 0.5, "loss": 1.0, "loss_insitu": float(epoch), "validation_RMSE": 0.04,
                }
            )  # fmt: skip
    assert [e for e in progress.losses.epoch if e == int(e)] == [5.0, 6.0, 7.0, 8.0]
    assert np.isnan(progress.losses.insitu[2])  # gap between two networks
    assert np.nanmax(progress.losses.validation) == 0.04
    assert (progress.member, progress.members) == (1, 2)


def test_median_scores_match_the_run(store, make_run):
    run = make_run("20260101-000000-a")
    table = median_scores(store, run)
    scores = run.scores(v.SM_INSITU).sel({v.PRODUCT: v.MULTITASK_LSTM})
    for metric in ("R", "RMSE", "ubRMSE", "bias"):
        row = table.loc[(v.SM_INSITU, metric)]
        assert row["median"] == pytest.approx(float(scores[metric].median()))
        assert row["lower"] <= row["median"] <= row["upper"]
        assert row["sites"] == int(scores[metric].notnull().sum())
    assert median_scores(store, make_run("20260102-000000-b", finished=False)).empty


def test_different_settings_come_first(make_run):
    first, second = make_run("20260101-000000-a"), make_run("20260102-000000-b")
    text = (second.folder / "config.toml").read_text().replace("hidden = 64", "hidden = 128")
    (second.folder / "config.toml").write_text(text)
    second = type(second).open(second.folder)
    table = differing([first, second])
    assert list(table.index[table["differs"]]) == ["model.hidden"]
    assert table.index[0] == "model.hidden"
    assert list(table.loc["model.hidden", [first.id, second.id]]) == ["64", "128"]
    assert settings(first)["data.dataset"] == DATASET
