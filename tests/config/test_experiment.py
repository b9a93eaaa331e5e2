"""Configurations: strict keys, error messages, and the TOML round trip."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gsm3core.catalog import selections
from gsm3core.config import ExperimentConfig
from gsm3core.errors import ConfigError
from gsm3core.resources import presets

INVALID: list[tuple[dict[str, Any], str]] = [
    ({"training": {"epoch": 3}}, r"training.epoch is an unknown key. Did you mean 'epochs'\?"),
    ({"training": {"epochs[0]": 3}}, r"training.epochs\[0\] is an unknown key. Did you mean 'epochs'\?"),
    (
        {"training": {"folds_at_once": "two"}},
        r"training.folds_at_once: Input should be 'auto' \(given: 'two'\)",
    ),
    ({"trainig": {}}, r"trainig is an unknown key. Did you mean 'training'\?"),
    (
        {"holdout": {"train": {"begin": "2015-04-01", "end": "2016-01-01"}}},
        r"holdout.train.begin is an unknown key",
    ),
    ({"holdout": {"name": "random"}}, r"holdout 'random' is not known"),
    ({"holdout": {"name": "temporl"}}, r"Did you mean 'temporal'"),
    ({"training": {"batch": 0}}, r"training.batch: .*greater than or equal to 1 \(given: 0\)"),
    ({"model": {"dropout": 1.0}}, r"model.dropout: .*less than 1"),
    (
        {"training": {"warmup": 180, "window": 180}},
        r"warmup \(180 days\) must be shorter than window \(180 days\)",
    ),
    ({"training": {"device": "gpu"}}, r"training.device"),
    ({"training": {"patience": 3}}, r"patience \(3 epochs\) needs validation sites; set validation_share"),
    (
        {"training": {"patience": 3, "validation_share": 0.1, "validation_score": "last"}},
        r"patience \(3 epochs\) needs validation_score 'R' or 'RMSE', not 'last'",
    ),
    ({"training": {"precision": "fp8"}}, r"training.precision: .*'fp32', 'bf16', 'fp16' or 'auto'"),
    ({"training": {"precision": "fp16", "device": "cpu"}}, r"'fp16' needs a GPU"),
    ({"training": {"cuda_graph": True, "device": "cpu"}}, r"cuda_graph needs a GPU"),
    (
        {"training": {"precision": "fp16", "optimizer": "adadelta"}},
        r"needs the optimizer 'adamw', not 'adadelta'",
    ),
    ({"model": {"heads": "seperate"}}, r"model.heads: .*'shared', 'separate' or 'affine'"),
    ({"model": {"head": "cmal"}}, r"model.head: .*'point' or 'gaussian'"),
    (
        {"holdout": {"train": {"start": "2016-01-01", "end": "2015-01-01"}}},
        r"ends \(2015-01-01\) before it starts",
    ),
    (
        {
            "holdout": {
                "name": "temporal",
                "train": {"start": "2015-01-01", "end": "2016-01-01"},
                "test": {"start": "2016-01-01", "end": "2017-01-01"},
            }
        },
        r"overlaps the training period",
    ),
]


@pytest.mark.parametrize(("values", "message"), INVALID)
def test_invalid_values_are_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ExperimentConfig.from_mapping(values)


def test_all_errors_are_listed_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        ExperimentConfig.from_mapping({"training": {"epoch": 1, "batch": 0}, "foo": 1}, source="my.toml")
    assert str(error.value).startswith("my.toml:")
    assert str(error.value).count("\n  - ") == 3


def test_configuration_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        ExperimentConfig().training.epochs = 3  # type: ignore[misc]


@given(
    title=st.text(st.characters(exclude_categories=("Cs", "Cc"))),
    epochs=st.integers(1, 1000),
    rate=st.floats(1e-6, 10),
    forcings=st.none()
    | st.lists(st.text(st.characters(codec="ascii", exclude_categories=("Cc",)), min_size=1), min_size=1),
    clip=st.floats(0, 10),
)
def test_toml_round_trip(
    title: str, epochs: int, rate: float, forcings: list[str] | None, clip: float
) -> None:
    config = ExperimentConfig.from_mapping(
        {
            "title": title,
            "data": {"forcings": forcings},
            "training": {"epochs": epochs, "learning_rate": rate, "clip_norm": clip},
            "holdout": {
                "name": "temporal",
                "train": {"start": "2015-04-01", "end": "2016-03-31"},
                "test": {"start": "2016-04-01", "end": "2017-03-31"},
            },
        }
    )
    assert ExperimentConfig.from_mapping(tomllib.loads(config.to_toml())) == config


PAPER = ("paper", "paper-temporal", "paper-spatial", "paper-cross-continental")


def test_presets_load() -> None:
    assert set(presets()) == {"gsm3", "quick", "smap-temporal", *PAPER}
    for name in presets():
        assert ExperimentConfig.load(name).training.epochs >= 1


@pytest.mark.parametrize("name", PAPER)
def test_paper_presets_have_the_papers_values(name: str) -> None:
    """Liu et al., GSM3 v1.0, sections 2.1 and 2.4."""
    paper = ExperimentConfig.load(name)
    training = paper.training
    assert (training.batch, training.epochs, training.window) == (128, 100, 365)
    assert (paper.model.hidden, paper.model.dropout, training.spin_up_days) == (256, 0.5, 0)
    assert (training.members, training.validation_share, paper.data.derived) == (1, 0, ())


@pytest.mark.parametrize(
    ("name", "holdout", "train", "test"),
    [
        ("paper-temporal", "temporal", ("2016-04-01", "2020-12-31"), ("2015-04-01", "2016-03-31")),
        ("paper-spatial", "random_spatial", ("2015-04-01", "2020-12-31"), None),
        ("paper-cross-continental", "cross_continental", ("2015-04-01", "2020-12-31"), None),
    ],
)
def test_paper_presets_have_the_papers_experiments(
    name: str, holdout: str, train: tuple[str, str], test: tuple[str, str] | None
) -> None:
    config = ExperimentConfig.load(name)
    chosen = selections()["gsm3-paper"]
    assert config.data.forcings == tuple(i.name for i in chosen.forcings)
    assert len(config.data.forcings) == 18
    # A held-out place has no soil moisture to average.
    left_out = set() if holdout == "temporal" else {"mean_sm_smap"}
    assert config.data.attributes == tuple(i.name for i in chosen.attributes if i.name not in left_out)
    assert len(config.data.attributes) + len(left_out) == 17
    assert config.data.targets == ("sm_insitu", "sm_smap")
    assert (config.holdout.name, config.holdout.folds) == (holdout, 5)
    for period, days in ((config.holdout.train, train), (config.holdout.test, test)):
        assert (days is None) == (period is None)
        assert period is None or (str(period.start), str(period.end)) == days


def test_the_cross_continental_preset_has_the_papers_regions() -> None:
    holdout = ExperimentConfig.load("paper-cross-continental").holdout
    assert (holdout.regions, holdout.outside, holdout.buffer_km) == ("gsm3-paper", "exclude", 0)


def test_a_file_extends_a_preset(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('extends = "paper-spatial"\n[training]\nepochs = 3\n[holdout]\nfolds = 7\n')
    mine, preset = ExperimentConfig.load(path), ExperimentConfig.load("paper-spatial")
    assert mine == preset.replace("training", epochs=3).replace("holdout", folds=7)
    path.write_text('extends = "papr"\n')
    with pytest.raises(
        ConfigError, match=r"mine.toml: extends = 'papr' is not a preset. Did you mean 'paper'"
    ):
        ExperimentConfig.load(path)
    path.write_text('extends = "paper"\n[training]\nepoch = 3\n')
    with pytest.raises(ConfigError, match=r"mine.toml:\n.*epoch is an unknown key"):
        ExperimentConfig.load(path)


def test_an_unreadable_configuration_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"neither a configuration file nor a preset. Did you mean 'quick'"):
        ExperimentConfig.load("quik")
    (tmp_path / "x.toml").write_text("a = [")
    with pytest.raises(ConfigError, match=r"x\.toml is not valid TOML"):
        ExperimentConfig.load(tmp_path / "x.toml")


def test_replace_ignores_none() -> None:
    config = ExperimentConfig().replace("training", epochs=7, seed=None)
    assert config.training.epochs == 7
    assert config.training.seed == ExperimentConfig().training.seed


@pytest.mark.parametrize(
    ("section", "key"), [("data", "targets"), ("data", "forcings"), ("holdout", "only_folds")]
)
def test_an_empty_list_is_refused(section: str, key: str) -> None:
    with pytest.raises(ConfigError, match=rf"{section}\.{key}: .* at least 1 item"):
        ExperimentConfig.from_mapping({section: {key: []}})


def test_errors_of_combined_keys_omit_the_whole_section() -> None:
    with pytest.raises(ConfigError) as error:
        ExperimentConfig.from_mapping({"training": {"patience": 3, "epochs": 5}})
    assert str(error.value).endswith("set validation_share above 0")


def test_a_run_without_a_forget_bias_keeps_one(tmp_path: Path) -> None:
    """Runs of the preset paper that were made before the key existed began with a bias of 1."""
    stored = tmp_path / "config.toml"
    text = ExperimentConfig.load("paper").to_toml()
    stored.write_text("".join(line for line in text.splitlines(True) if not line.startswith("forget_bias")))
    assert ExperimentConfig.load_stored(stored).model.forget_bias == 1.0
    stored.write_text(text)
    assert ExperimentConfig.load_stored(stored).model.forget_bias == "uniform"
