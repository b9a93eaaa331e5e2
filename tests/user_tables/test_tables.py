"""User tables: values added to a dataset, refused rows, and the message of each error."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from gsm3core.errors import DatasetError
from gsm3core.schema import open_dataset, products, save_dataset
from gsm3core.user_tables.add_network import add_network
from gsm3core.user_tables.add_product import add_product
from gsm3core.user_tables.tables import read_table
from support.small_world import make_dataset

HEAD = "site,time,value,units"


def csv(path: Path, *rows: str, head: str = HEAD) -> Path:
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return path


def row(site: str = "S000", time: str = "2015-05-01", value: object = 0.2, units: str = "m3 m-3") -> str:
    return f"{site},{time},{value},{units}"


def network_row(site: str, lat: float, lon: float, time: str = "2015-05-01", value: float = 0.2) -> str:
    return f"{site},{time},{value},m3 m-3,{lat},{lon}"


NETWORK_HEAD = f"{HEAD},lat,lon"


def test_a_product_is_added_and_nothing_else_changes(dataset: xr.Dataset, tmp_path: Path) -> None:
    days = pd.date_range("2015-05-01", periods=30)
    values = {
        (s, d): round(0.1 + 0.01 * i + 0.001 * k, 4)
        for i, s in enumerate(["S001", "S003"])
        for k, d in enumerate(days)
    }
    path = csv(tmp_path / "mine.csv", *(row(s, f"{d:%Y-%m-%d}", x) for (s, d), x in values.items()))
    out, step = add_product(dataset, path, "My product")
    mine = products(out)["My product"]
    for (site, day), value in values.items():
        assert float(mine.sel(site=site, time=day)) == pytest.approx(value)
    assert int(mine.notnull().sum()) == len(values)
    assert out.drop_vars(["sm_product", "product"]).identical(
        dataset.assign_attrs(history=out.attrs["history"])
    )
    assert json.loads(out.attrs["history"])[-1] == step
    assert step["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (step["rows_read"], step["rows_used"], step["days_used"]) == (60, 60, 60)
    second, _ = add_product(out, csv(tmp_path / "b.csv", row(value=25, units="%")), "Other")
    assert list(products(second)) == ["SMAP", "My product", "Other"]
    assert float(products(second)["Other"].sel(site="S000", time="2015-05-01")) == pytest.approx(0.25)
    xr.testing.assert_identical(products(second)["My product"].drop_attrs(), mine.drop_attrs())
    assert "mine.csv" in second.sm_product.attrs["source"] and "b.csv" in second.sm_product.attrs["source"]
    read = open_dataset(save_dataset(second, tmp_path / "x.zarr"))
    assert list(read["product"].values) == ["My product", "Other"]


def test_formats_give_equal_tables(dataset: xr.Dataset, tmp_path: Path) -> None:
    series = dataset.sm_smap.isel(site=slice(0, 3), time=slice(10, 40)).drop_vars(
        ["lat", "lon", "region", "network", "station"]
    )
    series.rename("soil").to_netcdf(tmp_path / "grid.nc", engine="h5netcdf")
    long = series.to_dataframe("value").reset_index()
    flat = xr.Dataset({
        "site": ("row", long["site"].to_numpy().astype(object)), "time": ("row", long["time"].to_numpy()),
        "value": ("row", long["value"].to_numpy(), {"units": "m3 m-3"}),
    })  # fmt: skip
    flat.to_netcdf(tmp_path / "flat.nc", engine="h5netcdf")
    long.assign(units="m3 m-3").to_csv(tmp_path / "a.csv", index=False)
    long.assign(units="m3 m-3").to_csv(tmp_path / "b.csv", index=False, sep=";")
    tables = [read_table(tmp_path / f).daily for f in ("grid.nc", "flat.nc", "a.csv", "b.csv")]
    assert len(tables[0]) == int(series.notnull().sum()) > 0
    for other in tables[1:]:
        assert list(other["site"]) == list(tables[0]["site"]) and list(other["day"]) == list(tables[0]["day"])
        np.testing.assert_allclose(other["value"], tables[0]["value"], rtol=1e-6)


def test_parquet_is_read_or_its_package_named(tmp_path: Path) -> None:
    if importlib.util.find_spec("pyarrow"):
        frame = pd.DataFrame(
            {"site": ["S000"], "time": pd.to_datetime(["2015-05-01"]), "value": [0.2], "units": ["m3 m-3"]}
        )
        frame.to_parquet(tmp_path / "t.parquet", engine="pyarrow")
        assert len(read_table(tmp_path / "t.parquet").daily) == 1
        return
    (tmp_path / "t.parquet").write_bytes(b"PAR1 and more")
    with pytest.raises(
        DatasetError, match=r"needs the package pyarrow \(pip install pyarrow\); or save it as CSV"
    ):
        read_table(tmp_path / "t.parquet")


def test_times_with_zones_are_converted_to_utc_days(tmp_path: Path) -> None:
    path = csv(
        tmp_path / "t.csv",
        row(time="2015-05-02T01:00+02:00", value=0.1),  # 2015-05-01 23:00 UTC
        row(time="2015-05-01T22:00:00Z", value=0.3),
        row(time="2015-05-01T20:00:00-05:00", value=0.5),  # 2015-05-02 01:00 UTC
        row(time="2015-05-03 06:00", value=0.4),
        row(time="20150504", value=0.6),
    )
    table = read_table(path)
    assert [f"{d:%m-%d}" for d in table.daily["day"]] == ["05-01", "05-02", "05-03", "05-04"]
    assert list(table.daily["value"]) == pytest.approx([0.2, 0.5, 0.4, 0.6])
    assert table.notes == [
        "3 times with a zone converted to UTC; those without a zone are read as UTC",
        "several values a day at irregular times averaged", "5 values averaged to 4 UTC days",
    ]  # fmt: skip


def test_refused_rows_are_counted(dataset: xr.Dataset, tmp_path: Path) -> None:
    good = [row(time=f"2015-05-{d:02d}") for d in range(1, 29)]
    path = csv(
        tmp_path / "t.csv", *good, good[0], row(time="2015-06-01", value=-9999), row(time="2015-06-02", value=""),
        row(time="2015-06-03", value="NaN"), row(time="2015-06-04", value=1.4), row(time="1999-01-01"), row(site="S00X"),
    )  # fmt: skip
    _, step = add_product(dataset, path, "Mine")
    assert step["rows_read"] == 35
    assert step["rows_refused"] == {
        "fill value -9999": 1,
        "missing": 2,
        "outside 0-1 m3 m-3": 1,
        "duplicate row": 1,
    }
    assert step["days_refused"] == {
        "site not in the dataset": 1,
        "day not in the dataset": 1,
    }
    assert step["rows_used"] == step["days_read"] == 30 and step["days_used"] == 28
    assert step["unknown_sites"] == ["S00X"]


@pytest.mark.parametrize(("rows", "head", "message"), [
    ([row()], "site,when,value,units", r"has no column 'time'; it has site, when, value, units"),
    ([row()], "site,time,valeu,units", r"no column 'value'.*Did you mean 'valeu'"),
    (["S000,2015-05-01,0.2"], "site,time,value", "has no units: add a column 'units'"),
    ([row(units="mm")], HEAD, "units 'mm'; expected volumetric .* depth of its layer"),
    ([row(), row(units="%")], HEAD, "has several units: '%', 'm3 m-3'"),
    ([row(value=v) for v in (25.0,)], HEAD, r"1 of 1 values are outside 0 to 1.*It looks like percent: set units '%'"),
    ([row(value=0.25, units="%")], HEAD, "has units of percent, but values up to 0.25 only"),
    ([row(time="01/05/2015")], HEAD, r"ambiguous time '01/05/2015': the day or the month may come first"),
    ([row(), row(time="2015-02-30")], HEAD, "invalid time '2015-02-30' in line 3"),
    ([row(time="2015-05-01 12:00 CET")], HEAD, r"invalid time .*2020-02-01T06:00\+02:00"),
    (['S000,2015-05-01,"0,2",m3 m-3'], HEAD, "invalid value '0,2' in line 2 .* Write decimals with a point"),
    ([row(value="=cmd()")], HEAD, "invalid value '=cmd.*' in line 2"),
    ([row(value="inf")], HEAD, "expected a finite number"),
    ([row(), row(value=0.3)], HEAD, r"'S000' has several values at 2015-05-01 00:00:00: 0.2, 0.3 \(lines 2, 3\)"),
    ([row(site="")], HEAD, "missing site in line 2"),
    ([row(site="S0O1")], HEAD, r"no row matches a site .* 1 sites are not in the dataset, such as 'S0O1'. Did you mean 'S0.1'"),
    ([row(time="1999-05-01")], HEAD, "1 day not in the dataset"),
    ([row(value=-9999)], HEAD, "no valid row: 0 of 1 .refused: 1 fill value -9999"),
    ([], HEAD, "has no rows"),
    (["S000,0.1,0.2,2015-05-01,m3 m-3"], "site,Value,value,time,units", "has duplicate columns: value"),
    ([row(site="<script>")], HEAD, "invalid site name '<script>' in line 2"),
])  # fmt: skip
def test_errors_in_a_table_are_named(
    dataset: xr.Dataset, tmp_path: Path, rows: list[str], head: str, message: str
) -> None:
    path = csv(tmp_path / "t.csv", *rows, head=head)
    with pytest.raises(DatasetError, match=message):
        add_product(dataset, path, "Mine")


def test_sites_with_fractions_among_percent_are_named(tmp_path: Path) -> None:
    """A dry site has such values too, so it is read; the note asks."""
    days = [f"2015-05-{d:02d}" for d in range(1, 11)]
    rows = [row(site=s, time=d, value=x, units="%") for s, x in (("a", 0.25), ("b", 25)) for d in days]
    table = read_table(csv(tmp_path / "t.csv", *rows))
    assert table.notes == ["1 of 2 sites have values up to 1 % only, such as 'a' (0.25 %): are these m3 m-3?"]
    assert sorted(set(table.daily["value"])) == pytest.approx([0.0025, 0.25])
    zeros = read_table(csv(tmp_path / "t.csv", *(row(time=d, value=0, units="%") for d in days)))
    assert not zeros.daily["value"].any()


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    contents = {
        "binary.csv": b"\x00\x01\x02", "hdf.csv": b"\x89HDF\r\n\x1a\n",
        "latin.csv": f"{HEAD}\nOl\xe9,2015-05-01,0.2,1".encode("latin-1"),
        "empty.csv": b"", "text.nc": b"site,time", "classic.nc": b"CDF\x01 and more", "cut.nc": b"\x89HDF\r\n\x1a\n cut short",
        "code.pkl": b"\x80\x04", "text.parquet": b"site,time",
    }  # fmt: skip
    messages = {
        "binary.csv": "is not text", "hdf.csv": "is not text", "latin.csv": "is not UTF-8", "empty.csv": "is empty",
        "text.nc": "is not a netCDF file", "classic.nc": "classic.nc cannot be read.*may be truncated",
        "cut.nc": "may be truncated",
        "code.pkl": "has the suffix '.pkl'", "text.parquet": "is not a parquet file", "missing.csv": "does not exist",
    }  # fmt: skip
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    for name, message in messages.items():
        with pytest.raises(DatasetError, match=message):
            read_table(tmp_path / name)
    with pytest.raises(DatasetError, match=r"has 0\.0 MB; expected at most 0\.0 MB"):
        read_table(csv(tmp_path / "large.csv", row()), max_bytes=10)


@pytest.mark.parametrize(
    "name", ["SMAP", "smap", "In situ", "GSM3 LSTM", "", " x", "a" * 41, "<b>x</b>", "../x", "a\nb"]
)
def test_invalid_and_duplicate_names_are_refused(dataset: xr.Dataset, tmp_path: Path, name: str) -> None:
    with pytest.raises(DatasetError, match=r"duplicate product name|invalid product name"):
        add_product(dataset, csv(tmp_path / "t.csv", row()), name)


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(st.sampled_from(["S000", "S001", "elsewhere"]), st.integers(0, 500), st.floats(-0.05, 1.05)),
        max_size=30, unique_by=lambda r: r[:2],
    )
)  # fmt: skip
def test_all_rows_are_counted(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int, float]]
) -> None:
    path = tmp_path_factory.mktemp("t") / "t.csv"
    csv(path, *(row(s, str(np.datetime64("2015-04-01") + k), repr(x)) for s, k, x in rows))
    try:
        out, step = add_product(make_dataset(3, 400), path, "Mine")
    except DatasetError:
        return
    assert step["rows_read"] == len(rows) == step["rows_used"] + sum(step["rows_refused"].values())
    assert step["days_read"] == step["days_used"] + sum(step["days_refused"].values())
    assert int(out.sm_product.notnull().sum()) == step["days_used"]


def test_a_network_gets_inputs_but_no_test_data(dataset: xr.Dataset, tmp_path: Path) -> None:
    dataset.sm_smap.attrs["grid"] = "M36"
    dataset, _ = add_product(dataset, csv(tmp_path / "p.csv", row()), "Mine")
    near = (float(dataset.lat[0]), float(dataset.lon[0]))
    path = csv(
        tmp_path / "n.csv",
        network_row("here", near[0] + 0.001, near[1] + 0.001, value=0.31), network_row("beside", near[0] + 0.2, near[1]),
        network_row("far", 0.0, 0.0), network_row("early", *near, time="1999-01-01"),
        head=NETWORK_HEAD,
    )  # fmt: skip
    out, table = add_network(dataset, path, "MyNet")
    assert list(out.site.values[-2:]) == ["MyNet_beside", "MyNet_here"] and out.sizes["site"] == 14
    here, donor = out.sel(site="MyNet_here"), dataset.isel(site=0)
    np.testing.assert_array_equal(here.precipitation, donor.precipitation)
    assert (
        float(here.clay) == float(donor.clay)
        and str(here.network.values) == "MyNet"
        and str(here.region.values) == "CONUS"
    )
    assert int(here.sm_insitu.notnull().sum()) == 1 and float(
        here.sm_insitu.sel(time="2015-05-01")
    ) == pytest.approx(0.31)
    np.testing.assert_array_equal(here.sm_smap, donor.sm_smap)  # the same cell of 36 km
    assert int(out.sm_smap.sel(site="MyNet_beside").notnull().sum()) == 0  # another: its holdout would leak
    assert int(out.sm_product.sel(site=["MyNet_here", "MyNet_beside"]).notnull().sum()) == 0
    old = out.isel(site=slice(0, 12))
    for name in dataset.data_vars:
        np.testing.assert_array_equal(old[name].transpose(*dataset[name].dims), dataset[name])
        assert out[name].attrs["units"] == dataset[name].attrs["units"]
    notes = table.set_index("site")
    assert list(notes["outcome"][["far", "early", "beside"]]) == ["refused", "refused", "used"]
    assert "no site of the dataset within 25 km" in notes["note"]["far"]
    assert notes["note"]["early"] == "no value on a day of the dataset"
    assert notes["km"]["beside"] == pytest.approx(22.24, abs=0.01)  # 0.2 degrees of 111.2 km
    step = json.loads(out.attrs["history"])[-1]
    assert (step["step"], step["sites_used"], step["sites_refused"]) == ("add-network", 2, 2)
    assert open_dataset(save_dataset(out, tmp_path / "n.zarr")).sizes["site"] == 14


def test_a_network_is_added_to_a_satellite_dataset(dataset: xr.Dataset, tmp_path: Path) -> None:
    cells = dataset.drop_vars(["sm_insitu", "network", "station"])
    near = (float(dataset.lat[0]), float(dataset.lon[0]))
    out, _ = add_network(cells, csv(tmp_path / "n.csv", network_row("a", *near), head=NETWORK_HEAD), "Net")
    assert int(out.sm_insitu.notnull().sum()) == 1 and "n.csv" in json.dumps(out.attrs)


@pytest.mark.parametrize(("rows", "head", "message"), [
    ([row()], HEAD, "has no column 'lat'"),
    ([network_row("a", -100.0, 40.0)], NETWORK_HEAD, r"lat -100 of site 'a' in line 2 .*Are lat and lon swapped\?"),
    ([network_row("a", 40.0, 500.0)], NETWORK_HEAD, "lon 500 of site 'a'"),
    ([network_row("a", 40.0, -100.0), network_row("a", 41.0, -100.0, "2015-05-02")], NETWORK_HEAD, "'a' has several coordinates"),
    ([network_row("a", 0.0, 0.0)], NETWORK_HEAD, r"no site can be used .* within 25 km.*The nearest is"),
    (["a,2015-05-01,0.2,m3 m-3,north,0"], NETWORK_HEAD, "invalid lat 'north' of site 'a' in line 2"),
])  # fmt: skip
def test_errors_in_a_network_are_named(
    dataset: xr.Dataset, tmp_path: Path, rows: list[str], head: str, message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        add_network(dataset, csv(tmp_path / "n.csv", *rows, head=head), "Net")


def test_network_names_are_unique_and_longitudes_wrapped(dataset: xr.Dataset, tmp_path: Path) -> None:
    lat, lon = float(dataset.lat[0]), float(dataset.lon[0])
    path = csv(tmp_path / "n.csv", network_row("a", lat, lon + 360), head=NETWORK_HEAD)
    with pytest.raises(DatasetError, match="duplicate network name 'net1'"):
        add_network(dataset, path, "net1")
    out, _ = add_network(dataset, path, "New")
    assert float(out.lon.sel(site="New_a")) == pytest.approx(lon)
    assert (
        "longitudes of 180 to 360 degrees at 1 sites converted to -180 to 180"
        in json.loads(out.attrs["history"])[-1]["notes"]
    )
