"""Uploads: the summary of a valid table, and refusal of invalid or malicious ones."""

from __future__ import annotations

import hashlib
import pickle
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from gsm3core.errors import DatasetError
from gsm3core.user_tables.add_product import add_product
from gsm3core.user_tables.files import SUFFIXES
from gsm3core.user_tables.upload import check_upload, safe_name, upload_file

GOOD = b"site,time,value,units\nS000,2015-05-01,20,%\nS000,2015-05-02,30,%\nS001,2015-05-04,-9999,%\nS002,2015-05-03,40,%\n"


def test_summary_of_a_valid_table() -> None:
    summary = check_upload(GOOD, "My table (1).csv")
    assert summary.sha256 == hashlib.sha256(GOOD).hexdigest()
    assert (summary.name, summary.bytes, summary.units) == ("My table _1_.csv", len(GOOD), "%")
    assert (summary.rows_read, summary.rows_used, summary.refused) == (4, 3, {"fill value -9999": 1})
    assert (summary.sites, summary.sites_count, summary.days) == (("S000", "S002"), 2, 3)
    assert (summary.first_day, summary.last_day) == ("2015-05-01", "2015-05-03")
    assert (summary.lowest, summary.median, summary.highest) == pytest.approx((0.2, 0.3, 0.4))


def test_a_checked_table_can_be_added(dataset: xr.Dataset) -> None:
    with upload_file(GOOD, "mine.csv") as path:
        out, step = add_product(dataset, path, "Mine")
        folder = path.parent
    assert not folder.exists(), "the temporary folder is removed"
    assert step["file"] == "mine.csv"
    assert float(out.sm_product.sel(product="Mine", site="S000", time="2015-05-02")) == pytest.approx(0.3)


class Evil:
    """Would leave a file where it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return open, (str(Path(tempfile.gettempdir()) / "gsm3-evil"), "w")  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (b"", "a.csv", "a.csv is empty"),
        (GOOD * 20, "a.csv", "expected at most 0.0 MB"),
        (GOOD, "a.xlsx", "'a.xlsx' has the suffix '.xlsx'; expected one of .csv"),
        (GOOD, "a", "expected one of"),
        (GOOD, "../../etc/passwd", "'passwd' has the suffix ''; expected one of"),
        (b"PK\x03\x04" + b"0" * 90, "a.csv", "is an Excel workbook or another zip archive; save the sheet as"),
        (b"\x89HDF\r\n\x1a\n" + b"0" * 90, "a.csv", "is not text"),
        (GOOD, "a.nc", "is not a netCDF file"),
        (b"\x89HDF\r\n\x1a\n" + b"0" * 90, "a.nc", "cannot be read as netCDF"),
        (GOOD, "a.parquet", "is not a parquet file"),
        (pickle.dumps(Evil()), "a.csv", "not text|no column"),
        (b"site,time,value,units\n<script>alert(1)</script>,2015-05-01,0.2,1\n", "a.csv", "invalid site name"),
        (b"site,time,value,units\n=cmd|' /C calc'!A0,2015-05-01,=1+1,1\n", "a.csv", "line 2"),
        (b"site,time,value\nS000,2015-05-01,0.2\n", "a.csv", "has no units"),
        (b"site,time,value,units\n=1+1,2015-05-01,0.2,1\n", "a.csv", "not starting like a formula"),
        (b"site,time,value,units\n-1+cmd|' /C calc'!A0,2015-05-01,0.2,1\n", "a.csv", "not starting like a formula"),
        (b"time,value,units,site\n2015-05-01,0,25,1,S000\n2015-05-02,0,30,1,S000\n", "a.csv", "decimals with a point"),
    ],
)  # fmt: skip
def test_invalid_uploads_are_refused(content: bytes, name: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        check_upload(content, name, max_bytes=1000)
    assert not (Path(tempfile.gettempdir()) / "gsm3-evil").exists()


def test_a_small_file_with_many_values_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gsm3core.user_tables import safety

    monkeypatch.setattr(safety, "MAX_ROWS", 1000)
    path = tmp_path / "a.nc"
    xr.Dataset({"value": ("row", np.zeros(100_000))}).to_netcdf(
        path, engine="h5netcdf", encoding={"value": {"zlib": True}}
    )
    with pytest.raises(DatasetError, match="expected at most 1,000 values"):
        check_upload(path.read_bytes(), "a.nc")


def test_references_to_other_files_are_refused(tmp_path: Path) -> None:
    """An HDF5 variable may refer to any file of the machine that opens it, whose lines would be shown as site names."""
    secret, path = tmp_path / "passwords", tmp_path / "a.nc"
    secret.write_text("root:secret-of-the-machine")
    with h5py.File(path, "w") as file:
        file.create_dataset("site", shape=(1,), dtype="S26", external=[(str(secret), 0, 26)])
        file.create_dataset("time", data=[b"2015-05-01"])
        file.create_dataset("value", data=[0.2]).make_scale("n")
        for name in ("site", "time"):
            file[name].dims[0].attach_scale(file["value"])
    with xr.open_dataset(path, engine="h5netcdf") as ds:
        assert ds.site.values.tolist() == [b"root:secret-of-the-machine"], "the attack works on the libraries"
    with pytest.raises(DatasetError, match="'site' refers to another file"):
        check_upload(path.read_bytes(), "a.nc", units="1")
    virtual = h5py.VirtualLayout(shape=(1,), dtype="f8")
    virtual[:] = h5py.VirtualSource(str(path), "value", shape=(1,))
    for other in ("link", "virtual"):
        with h5py.File(tmp_path / "b.nc", "w") as file:
            if other == "link":
                file["value"] = h5py.ExternalLink(str(path), "value")
            else:
                file.create_virtual_dataset("value", virtual)
        with pytest.raises(DatasetError, match="'value' refers to another file"):
            check_upload((tmp_path / "b.nc").read_bytes(), "b.nc", units="1")


def test_a_huge_compressed_coordinate_is_refused(tmp_path: Path) -> None:
    """2 GB of zeros in 2 kB, as a dimension scale: xarray would load it on opening."""
    path = tmp_path / "a.nc"
    with h5py.File(path, "w") as file:
        many = file.create_dataset(
            "n", shape=(2_000_000_000,), dtype="i1", chunks=(10_000_000,), compression="gzip"
        )
        many.make_scale("n")
    assert path.stat().st_size < 10_000
    with pytest.raises(
        DatasetError, match=r"2,000,000,000 values in one column .* at most 13,107,200 values"
    ):
        check_upload(path.read_bytes(), "a.nc")


def test_a_huge_compressed_parquet_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "a.parquet"
    pd.DataFrame({"value": np.zeros(20_000_000, np.int8)}).to_parquet(path)
    assert path.stat().st_size < 1e6
    with pytest.raises(DatasetError, match="expected at most 13,107,200 values"):
        check_upload(path.read_bytes(), "a.parquet")


@pytest.mark.parametrize(
    "text",
    [
        "site,time,value," + ",".join(f"c{k}" for k in range(300)) + "\n",
        ",".join("c" * 9 for _ in range(9000)) + "\n",
    ],
)
def test_a_header_of_many_names_is_refused(text: str) -> None:
    with pytest.raises(DatasetError, match="expected at most 200 columns"):
        check_upload(text.encode(), "a.csv")


@given(st.text(max_size=120), st.sampled_from(sorted(SUFFIXES)))
def test_file_names_stay_in_their_folder(stem: str, suffix: str) -> None:
    name = safe_name(stem + suffix)
    assert Path("/folder", name).parent == Path("/folder") and Path("/folder", name).resolve().parent == Path(
        "/folder"
    )
    assert name.endswith(suffix) and len(name) <= 80 and name not in (suffix, "." + suffix)
    assert not set(name) & set('/\\:*?"<>|\0\n') and not name.startswith((".", " "))
    assert safe_name(name) == name


@pytest.mark.parametrize(
    ("given_name", "expected"),
    [
        ("../../x.csv", "x.csv"), ("C:\\Users\\a\\x.CSV", "x.csv"), ("/etc/cron.d/x.nc", "x.nc"), ("..csv", "table.csv"),
        ("CON.csv", "table CON.csv"), ("a/b\\..\\c.csv", "c.csv"), ("x\0.csv", "x.csv"), ("a" * 300 + ".csv", "a" * 60 + ".csv"),
    ],
)  # fmt: skip
def test_unsafe_file_names_are_cleaned(given_name: str, expected: str) -> None:
    assert safe_name(given_name) == expected


def test_a_classic_file_with_more_values_than_the_limit_is_refused(tmp_path: Path) -> None:
    """40,000 values of one byte each are few bytes, but a large table."""
    n = 40_000
    ds = xr.Dataset(
        {"sm": (("site", "time"), np.full((4, n // 4), 20, np.int8), {"units": "%"})},
        coords={
            "site": np.arange(4, dtype=np.int32),
            "time": ("time", np.arange(n // 4, dtype=np.int32), {"units": "hours since 2000-01-01"}),
        },
    )
    ds.to_netcdf(tmp_path / "t.nc", engine="scipy", format="NETCDF3_CLASSIC")
    content = (tmp_path / "t.nc").read_bytes()
    with pytest.raises(DatasetError, match=r"t\.nc has 40,000 values in one column"):
        check_upload(content, "t.nc", max_bytes=100_000)
    assert check_upload(content, "t.nc", max_bytes=200_000).sites_count == 4
