"""Published scores as a factor table: `gsm3 factors --table`, valid and invalid files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from gsm3core import cli, factors
from gsm3core.errors import ConfigError, DatasetError
from gsm3core.factors import read_score_table


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """60 sites in 20 climate cells; the score increases with temperature and is independent of the soil."""
    rng = np.random.default_rng(0)
    temperature = np.repeat(rng.uniform(270, 300, 20), 3).round(2)
    frame = pd.DataFrame(
        {"my_r": (temperature - 270) / 40 + rng.normal(0, 0.02, 60), "temp": temperature,
         "soil": rng.choice(["loam", "sandy clay", "peat"], 60), "region": np.where(temperature > 285, "A", "B")}
    )  # fmt: skip
    frame.loc[4, "my_r"] = np.nan
    frame.to_csv(tmp_path / "scores.csv", index=False)
    return tmp_path / "scores.csv"


def test_columns_become_score_factors_classes_and_clusters(table: Path) -> None:
    found = factors.read_score_table(table, "my_r", ["temp", "soil", "region"], clusters=["temp", "region"])
    frame = pd.read_csv(table).drop(index=4)
    np.testing.assert_array_equal(found.score, frame["my_r"])
    np.testing.assert_array_equal(found.column("temp"), frame["temp"])
    assert set(found.classes["soil"].values()) == {"loam", "sandy clay", "peat"}
    meaning = [found.classes["soil"][x] for x in found.column("soil")]
    assert meaning == list(frame["soil"]) and "region class" in found.factors
    same = found.network[:, None] == found.network
    np.testing.assert_array_equal(same, frame["temp"].to_numpy()[:, None] == frame["temp"].to_numpy())
    assert found.weights() is None and found.metric == "R"


def test_invalid_tables_are_named(table: Path, tmp_path: Path) -> None:
    read = factors.read_score_table
    with pytest.raises(DatasetError, match=r"no column 'my_R'\. Did you mean 'my_r'"):
        read(table, "my_R", ["temp"])
    with pytest.raises(DatasetError, match="does not exist"):
        read(tmp_path / "no.csv", "my_r", ["temp"])
    with pytest.raises(DatasetError, match="No factors given"):
        read(table, "my_r", [])
    with pytest.raises(DatasetError, match="cannot also be a factor"):
        read(table, "my_r", ["my_r"])
    with pytest.raises(DatasetError, match="row 2: soil is"):
        read(table, "soil", ["temp"])
    frame = pd.read_csv(table)
    frame.assign(site="one").to_csv(table, index=False)
    with pytest.raises(DatasetError, match="duplicate site id 'one'"):
        read(table, "my_r", ["temp"])
    frame.head(10).to_csv(table, index=False)
    with pytest.raises(DatasetError, match="at least 20"):
        read(table, "my_r", ["temp"])
    table.write_text("my_r,temp\n")
    with pytest.raises(DatasetError, match="no row"):
        read(table, "my_r", ["temp"])


def test_command_line(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"settings": factors.Settings(trees=20, rounds=10), "folds": 3}
    importance, skill = factors.importance_of, factors.fit_skill
    monkeypatch.setattr(factors, "importance_of", lambda t, **o: importance(t, repeats=1, **o, **small))
    monkeypatch.setattr(factors, "fit_skill", lambda t, **o: skill(t, **o, **small))
    words = [
        "factors",
        "--table",
        str(table),
        "--score",
        "my_r",
        "--factors",
        "temp,soil",
        "--clusters",
        "temp,region",
    ]
    done = CliRunner().invoke(cli.app, [*words, "--by", "temp:280,290"])
    assert done.exit_code == 0, done.output
    for text in ("R at 59 sites", "permutation, forest", "R by temp", "<= 280"):
        assert text in done.output
    wrong = CliRunner().invoke(cli.app, [*words, "--by", "temp"]).exception
    assert isinstance(wrong, ConfigError) and "elevation:200,1000" in str(wrong)
    both = CliRunner().invoke(cli.app, ["factors"]).exception
    assert isinstance(both, ConfigError) and "either a run or --table" in str(both)


def test_invalid_scores_and_factors_are_rejected(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"site": [f"s{k}" for k in range(30)], "R": rng.uniform(0, 1, 30), "lat": rng.uniform(30, 50, 30),
                          "lon": rng.uniform(0, 9, 30), "rmse": rng.uniform(1, 2, 30)})  # fmt: skip
    path = tmp_path / "scores.csv"
    frame.to_csv(path, index=False)
    found = read_score_table(path, "R", ["lat"])
    np.testing.assert_allclose(found.column("latitude"), frame["lat"])
    np.testing.assert_allclose(found.lat, frame["lat"])
    with pytest.raises(DatasetError, match="an R is within -1 and 1"):
        read_score_table(path, "rmse", ["lat"])
    assert read_score_table(path, "rmse", ["lat"], metric="RMSE").metric == "RMSE"
    with pytest.raises(DatasetError, match="is the site id"):
        read_score_table(path, "R", ["site"])
    with pytest.raises(DatasetError, match="duplicate factor"):
        read_score_table(path, "R", ["lat", "lat"])
