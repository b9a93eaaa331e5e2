"""A user's GeoJSON of regions: read as written, and refused with the feature and what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gsm3core.errors import ConfigError
from gsm3core.geography.geojson import read_polygons
from gsm3core.geography.regions import region_of, region_scheme

SQUARE = [[[0, 40], [10, 40], [10, 50], [0, 50], [0, 40]]]
EAST = [[[10, 40], [20, 40], [20, 50], [10, 50], [10, 40]]]


def feature(name: object, coordinates: object = SQUARE, kind: str = "Polygon") -> dict[str, object]:
    return {
        "type": "Feature", "properties": {"name": name}, "geometry": {"type": kind, "coordinates": coordinates},
    }  # fmt: skip


def write(path: Path, *features: object, kind: str = "FeatureCollection") -> Path:
    path.write_text(json.dumps({"type": kind, "features": list(features)}))
    return path


def test_points_have_the_region_that_contains_them(tmp_path: Path) -> None:
    hole = [[[30, 0], [40, 0], [40, 10], [30, 10], [30, 0]], [[34, 4], [36, 4], [36, 6], [34, 6], [34, 4]]]
    both = [EAST, [[[-180, -10], [-170, -10], [-170, 0], [-180, 0], [-180, -10]]]]
    path = write(
        tmp_path / "mine.geojson",
        feature("West"),
        feature("Far east", both, "MultiPolygon"),
        feature("Ring", hole),
    )
    lat, lon = [45, 45, -5, 1, 5, 45], [5, 15, -175, 31, 35, 10]
    assert region_of(lat, lon, path).tolist() == ["West", "Far east", "Far east", "Ring", "Other", "West"]
    assert region_scheme(path).regions == ("West", "Far east", "Ring")


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.geojson", feature("Old"))
    assert region_of([45], [5], path).tolist() == ["Old"]
    write(path, feature("A longer name"))
    assert region_of([45], [5], path).tolist() == ["A longer name"]


def test_a_point_in_two_regions_is_refused(tmp_path: Path) -> None:
    other = [[[5, 40], [20, 40], [20, 50], [5, 50], [5, 40]]]
    path = write(tmp_path / "mine.geojson", feature("A"), feature("B", other))
    assert region_of([45, 45], [2, 15], path).tolist() == ["A", "B"]
    with pytest.raises(
        ConfigError, match=r"latitude 45.0000, longitude 7.0000 lies in two regions, 'A' and 'B'"
    ):
        region_of([45], [7], path)


BOWTIE = [[[0, 0], [10, 10], [10, 0], [0, 10], [0, 0]]]
SWAPPED = [[[40, -100], [50, -100], [50, -90], [40, -90], [40, -100]]]
CROSSING = [[[170, 0], [-170, 0], [-170, 10], [170, 10], [170, 0]]]
NAMELESS = {
    "type": "Feature",
    "properties": {"NAME_0": "France"},
    "geometry": {"type": "Polygon", "coordinates": SQUARE},
}


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ([feature("A"), NAMELESS], r"feature 2 has no property 'name' \(its properties: 'NAME_0'\). Add"),
        ([{"type": "Feature", "geometry": None}], r"feature 1 has no property 'name' \(its properties: none\)"),
        (["text"], r"feature 1 has no property 'name'"),
        ([feature("A"), feature("B"), feature("a")], r"feature 3 has the name 'a', which feature 1 has too \('A'\)"),
        ([feature("")], r"feature 1 has the name ''; expected 1 to 60 letters"),
        ([feature("../up")], r"has the name '../up'; expected"),
        ([feature("a/b")], r"Rename it"),
        ([feature("other")], r"stands for sites in no region"),
        ([feature(7)], r"feature 1 has the name 7"),
        ([feature("A", [0, 1], "Point")], r"feature 1 \('A'\) has a geometry of type 'Point'; expected Polygon"),
        ([feature("A", [[0, 1], [1, 1]], "LineString")], r"of type 'LineString'"),
        ([feature("A", [])], r"feature 1 \('A'\) is empty"),
        ([feature("A", [[[0, 0], [1, 1]]])], r"feature 1 \('A'\) cannot be read"),
        ([feature("A", BOWTIE)], r"feature 1 \('A'\) is invalid: Self-intersection\[5 5\]"),
        ([feature("A", SWAPPED)], r"has the latitude -100; .*GeoJSON coordinates are \(longitude, latitude\)"),
        ([feature("A", [[[300, 0], [310, 0], [310, 5], [300, 0]]])], r"has the longitude 310"),
        ([feature("A", CROSSING)], r"an edge of 340 degrees of longitude. Cut the polygon at the antimeridian"),
        ([], r"has 0 features; expected 1 to 1000"),
    ],
)  # fmt: skip
def test_an_invalid_feature_is_named(tmp_path: Path, features: list[object], message: str) -> None:
    path = write(tmp_path / "mine.geojson", *features)
    with pytest.raises(ConfigError, match=message) as raised:
        read_polygons(path)
    assert str(path) in str(raised.value)


def test_an_invalid_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.geojson"
    with pytest.raises(ConfigError, match=r"mine.geojson cannot be read: No such file"):
        read_polygons(path)
    path.write_text("{")
    with pytest.raises(ConfigError, match=r"mine.geojson is not JSON"):
        read_polygons(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"mine.geojson is not JSON"):
        read_polygons(path)
    path.write_text("[]")
    with pytest.raises(ConfigError, match=r"not a GeoJSON FeatureCollection \(its type is None\)"):
        read_polygons(path)
    with pytest.raises(ConfigError, match=r"its type is 'Topology'"):
        read_polygons(write(path, kind="Topology"))
    (tmp_path / "x.geojson.gz").write_bytes(b"no gzip")
    with pytest.raises(ConfigError, match=r"x.geojson.gz"):
        read_polygons(tmp_path / "x.geojson.gz")


def test_a_box_around_the_world_is_valid(tmp_path: Path) -> None:
    world = [[[-180, -60], [180, -60], [180, 60], [-180, 60], [-180, -60]]]
    path = write(tmp_path / "world.geojson", feature("Belt", world))
    assert region_of([0, 70], [179, 0], path).tolist() == ["Belt", "Other"]
