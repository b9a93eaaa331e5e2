"""Repeated options: several folders of a source are one archive; any other repeated value is refused, never dropped."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from gsm3core.cli.build import recipe_from
from gsm3core.cli.main import app
from gsm3core.errors import ConfigError

BUILD = ["data", "build", "table", "--from", "p.csv", "--out", "o.zarr"]


@pytest.mark.parametrize(("arguments", "option"), [
    ([*BUILD, "--days", "2015-01-01:2015-01-02", "--days", "2016-01-01:2016-01-02"], "--days"),
    ([*BUILD, "--out", "p.zarr"], "--out"), ([*BUILD, "--box", "1,2,3,4", "--box=5,6,7,8"], "--box"),
    (["data", "build", "ismn", "--depth", "0.05", "--depth", "0.1", "--out", "o.zarr"], "--depth"),
    (["score", "x.zarr", "--metrics", "R", "--metrics", "bias"], "--metrics"),
    (["score", "x.zarr", "--mask", "frozen", "--mask", "snow"], "--mask"),
    (["data", "add-product", "a.zarr", "b.csv", "--name", "x", "--name", "y", "--out", "o.zarr"], "--name"),
    (["data", "list", "--root", "a", "--root", "b"], "--root"),
])  # fmt: skip
def test_a_repeated_value_is_refused(arguments: list[str], option: str) -> None:
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, ConfigError)
    assert str(result.exception) == f"{option} is given 2 times; expected once."


def options(**changes: list[str]) -> dict[str, object]:
    given = {
        "source": [Path("p.csv")], "in_situ": [], "box": "", "days": "2015-01-01:2015-01-02", "folders": [], "methods": [],
        "inputs": {"forcing": ["era5"], "attribute": [], "product": []}, "allow_gaps": False, "sensors": {},
    }  # fmt: skip
    return given | changes


def test_a_repeated_source_is_several_folders() -> None:
    recipe = recipe_from("table", **options(folders=["era5=a", "era5=b", "era5=c"]))
    assert recipe.sources["era5"].paths == (Path("a"), Path("b"), Path("c"))
    recipe = recipe_from("table", **options(folders=["era5=a"]))
    assert recipe.sources["era5"].paths == (Path("a"),)


def test_a_source_has_one_method() -> None:
    recipe = recipe_from("table", **options(methods=["era5=bilinear", "era5=bilinear"]))
    assert recipe.sources["era5"].method == "bilinear"
    with pytest.raises(
        ConfigError, match="--method of era5 is given as 'bilinear' and 'nearest'; expected one"
    ):
        recipe_from("table", **options(methods=["era5=bilinear", "era5=nearest"]))
