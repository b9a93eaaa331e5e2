"""One bad site of a table does not stop the others: it is refused with the reason, and missing-value codes are named."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import xarray as xr

from gsm3core.errors import DatasetError
from gsm3core.user_tables.add_network import add_network
from gsm3core.user_tables.add_product import add_product
from gsm3core.user_tables.tables import read_table

DAYS = [f"{d:%Y-%m-%d}" for d in pd.date_range("2015-05-01", periods=20)]


def rows(
    site: str, lat: object, lon: object, depth: object = 0.05, values: list[object] | None = None
) -> list[str]:
    return [
        f"{site},{d},{x},m3 m-3,{lat},{lon},{depth}" for d, x in zip(DAYS, values or [0.2] * 20, strict=False)
    ]


def network(path: Path, *lines: list[str], depth: str = "depth") -> Path:
    text = "\n".join([f"site,time,value,units,lat,lon,{depth}", *(x for one in lines for x in one)])
    path.write_text(text + "\n", encoding="utf-8")
    return path


@pytest.fixture
def home(dataset: xr.Dataset) -> tuple[float, float]:
    return float(dataset.lat[0]), float(dataset.lon[0])


def test_impossible_sites_are_listed_and_the_others_used(
    dataset: xr.Dataset, tmp_path: Path, home: tuple[float, float]
) -> None:
    lat, lon = home
    bad = {
        "cm": (lat, lon, 5), "negative": (lat, lon, -0.05), "north": (95.0, lon), "code": (-9999, -9999),
        "words": ("here", lon), "high": (lat, lon, 0.05, [0.2] * 10 + [7.0] * 10), "empty": (lat, lon, 0.05, [-9999] * 20),
    }  # fmt: skip
    two = [*rows("two", lat, lon)[:10], *rows("two", lat + 1, lon)[10:]]
    depths = [*rows("deeps", lat, lon, 0.05)[:10], *rows("deeps", lat, lon, 0.2)[10:]]
    differs = [*rows("differs", lat, lon), rows("differs", lat, lon, values=[0.3])[0]]
    path = network(
        tmp_path / "n.csv",
        rows("good", lat, lon),
        *(rows(k, *x) for k, x in bad.items()),
        two,
        depths,
        differs,
    )
    out, report = add_network(dataset, path, "Net")
    assert list(out.site.values[12:]) == ["Net_good"]
    notes = report.set_index("site")["note"]
    for site, why in {
        "cm": "depth 5 of site 'cm' in line .*is it centimetres\\? Write 0.05", "negative": "positive. Is it 0.05\\?",
        "north": "lat 95 of site 'north'", "code": r"missing lat \(-9999\)", "words": "invalid lat 'here'",
        "high": "10 of 20 values are outside 0 to 1", "empty": "no valid value", "two": "several coordinates",
        "deeps": "several depths", "differs": "several values at 2015-05-01",
    }.items():  # fmt: skip
        assert pd.Series([notes[site]]).str.contains(why).all(), (site, notes[site])
    assert set(report.loc[report["outcome"] == "refused", "site"]) == set(notes.index) - {"good"}
    step = json.loads(out.attrs["history"])[-1]
    assert (step["sites_used"], step["sites_refused"]) == (1, 10) and "cm" in step["refused"]
    assert step["rows_read"] == step["rows_used"] + sum(step["rows_refused"].values())


def test_all_sites_refused_is_an_error_with_every_reason(
    dataset: xr.Dataset, tmp_path: Path, home: tuple[float, float]
) -> None:
    lat, lon = home
    path = network(tmp_path / "n.csv", rows("a", lat, lon, 5), rows("b", 99, lon))
    with pytest.raises(
        DatasetError,
        match=r"(?s)no site can be used:.*depth 5 of site 'a'.*lat 99 of site 'b'|lat 99.*depth 5",
    ):
        add_network(dataset, path, "Net")


@pytest.mark.parametrize(
    ("column", "depth"),
    [("depth [cm]", 5), ("depth_cm", 5), ("Depth (mm)", 50), ("depth", "5 cm"), ("depth (m)", 0.05)],
)
def test_depths_in_other_units_are_converted(
    dataset: xr.Dataset, tmp_path: Path, home: tuple[float, float], column: str, depth: object
) -> None:
    out, _ = add_network(dataset, network(tmp_path / "n.csv", rows("a", *home, depth), depth=column), "Net")
    assert float(out.sel(site="Net_a").depth) == pytest.approx(0.05)


def test_a_missing_depth_is_missing(dataset: xr.Dataset, tmp_path: Path, home: tuple[float, float]) -> None:
    for code in ("-9999", "", "NA", "-99.9"):
        out, _ = add_network(dataset, network(tmp_path / "n.csv", rows("a", *home, code)), "Net")
        assert bool(out.sel(site="Net_a").depth.isnull())


@pytest.mark.parametrize(
    "code",
    [
        "-9999",
        "-999",
        "-99",
        "-6999",
        "9999",
        "1e20",
        "32767",
        "NA",
        "null",
        "---",
        "M",
        "#N/A",
        "NaN",
        "-99.99",
    ],
)
def test_codes_of_missing_values_never_become_soil_moisture(
    dataset: xr.Dataset, tmp_path: Path, code: str
) -> None:
    text = [f"S000,{DAYS[0]},{code},1", *(f"S000,{d},0.2,1" for d in DAYS[1:5]), f"S001,{DAYS[0]},0.3,1"]
    path = tmp_path / "t.csv"
    path.write_text("site,time,value,units\n" + "\n".join(text) + "\n")
    out, step = add_product(dataset, path, "Mine")
    found = out.sm_product.sel(product="Mine")
    assert int(found.notnull().sum()) == 5 and float(found.max()) == pytest.approx(0.3)
    if code[-1].isdigit():
        assert f"missing-value code {float(code):g} at S000 (1)" in step["notes"]
    else:
        assert step["rows_refused"] == {"missing": 1}


def test_a_site_with_wrong_values_leaves_the_others_of_a_product(dataset: xr.Dataset, tmp_path: Path) -> None:
    text = [f"S000,{d},0.2,1" for d in DAYS] + [f"S001,{d},25,1" for d in DAYS]
    path = tmp_path / "t.csv"
    path.write_text("site,time,value,units\n" + "\n".join(text) + "\n")
    out, step = add_product(dataset, path, "Mine")
    assert int(out.sm_product.notnull().sum()) == 20
    assert "20 of 20 values are outside 0 to 1" in step["refused"]["S001"] and step["rows_refused"] == {
        "site refused": 20
    }


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["a", "b", "c", "d", "e"])
def test_tables_of_the_field_are_read(real_data: Path, name: str) -> None:
    folder = real_data / "field" / "table-01-excel"
    if not folder.is_dir():
        pytest.skip("no field data")
    assert len(read_table(folder / f"{name}.csv").daily) == 200
