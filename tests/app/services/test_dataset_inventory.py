"""Dataset inventory, and tables that users upload to new datasets."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from app.services.dataset_inventory import catalogue, dataset_summaries, sources_table
from app.services.uploads import NETWORK, PRODUCT, UploadRequest, add, check, new_path
from app.ui.workarounds.upload_limit import BoundedFileDropper
from gsm3core import vocabulary as v
from gsm3core.catalog import source_entries
from gsm3core.errors import DatasetError
from gsm3core.files import fingerprint
from gsm3core.schema import open_dataset
from gsm3core.user_tables.upload import MAX_UPLOAD_BYTES

DATASET = "bucket.zarr"
TABLE = """site,time,value,units
S001,2015-04-03,0.21,m3 m-3
S001,2015-04-04,0.22,m3 m-3
S004,2015-04-03,0.31,m3 m-3
nowhere,2015-04-03,0.5,m3 m-3
"""
STATIONS = """site,time,value,units,lat,lon
a,2015-04-03,21,%,40.01,-100.0
a,2015-04-04,22,%,40.01,-100.0
far,2015-04-03,22,%,-60.0,100.0
"""


def upload_request(content=TABLE, kind=PRODUCT, **changes):
    values = {
        "dataset": DATASET,
        "kind": kind,
        "name": "Mine",
        "units": "",
        "file": "mine.csv",
        "new_name": "With mine",
    }
    return UploadRequest(**(values | changes), content=content.encode())


def test_sources_table_has_local_files():
    table = sources_table(catalogue())
    assert set(table.index) == set(source_entries())
    assert table["here"].dtype == bool
    assert (table["files"] > 0).equals(table["here"])


def test_product_is_added_to_a_new_dataset(store):
    before = fingerprint(store.data / DATASET)
    added = add(store, upload_request())
    assert added.dataset == "With mine.zarr"
    assert (added.used, added.days) == (2, 3)
    ds = open_dataset(store.data / added.dataset).load()
    mine = ds[v.SM_PRODUCT].sel({v.PRODUCT: "Mine"})
    assert mine.sel({v.SITE: "S001", v.TIME: "2015-04-04"}).item() == pytest.approx(0.22)
    assert int(mine.notnull().sum()) == 3
    assert list(ds[v.PRODUCT].values) == ["SMOS", "Mine"]
    assert fingerprint(store.data / DATASET) == before
    refused = added.sites[added.sites["outcome"] == "refused"]
    assert refused["site"].tolist() == ["nowhere"]
    assert "With mine.zarr" in store.datasets()
    assert not [p for p in store.data.iterdir() if p.name.startswith(".")]  # no temporary files


def test_network_uses_forcings_of_its_neighbour(store):
    added = add(store, upload_request(STATIONS, NETWORK, name="Farm"))
    table = added.sites.set_index("site")
    assert table.loc["a", "outcome"] == "used"
    assert table.loc["far", "outcome"] == "refused"
    ds = open_dataset(store.data / added.dataset).load()
    assert ds[v.SM_INSITU].sel({v.SITE: "Farm_a", v.TIME: "2015-04-03"}).item() == pytest.approx(0.21)
    neighbour = table.loc["a", "neighbour"]
    np.testing.assert_array_equal(
        ds["precipitation"].sel({v.SITE: "Farm_a"}).values,
        ds["precipitation"].sel({v.SITE: neighbour}).values,
    )


def test_check_summarises_the_table(store):
    upload = check(upload_request())
    assert (upload.sites_count, upload.rows_used, upload.first_day, upload.last_day) == (
        3,
        4,
        "2015-04-03",
        "2015-04-04",
    )
    assert upload.highest == pytest.approx(0.5)


@pytest.mark.parametrize(
    "name",
    ["../outside", "a/b", "", " ", ".hidden", "x" * 61, "CON\0", "a\\b", "naïve", "bucket", "Bucket.zarr"],
)
def test_invalid_dataset_names_are_rejected(store, name):
    with pytest.raises(DatasetError):
        new_path(store, name)
    assert new_path(store, "fine name-1.zarr") == store.data / "fine name-1.zarr"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "SMAP"}, "duplicate product name"),
        ({"name": "<b>"}, "invalid product name"),
        ({"content": "site,time\nS001,2015-04-03\n"}, "no column 'value'"),
        ({"content": "site,time,value,units\nS001,2015-04-03,cm,m3 m-3\n"}, "invalid value 'cm'"),
        ({"content": "site,time,value,units\nS0O1,2015-04-03,0.2,m3 m-3\n"}, "Did you mean"),
        ({"file": "mine.pkl"}, "expected one of .csv"),
        ({"file": "mine.csv", "content": "\x00\x01"}, "is not text"),
    ],
)
def test_invalid_table_is_rejected_before_writing(store, changes, message):
    before = sorted(p.name for p in store.data.iterdir())
    with pytest.raises(DatasetError, match=message):
        add(store, upload_request(**changes))
    assert sorted(p.name for p in store.data.iterdir()) == before


def test_server_rejects_too_large_uploads():
    dropper = BoundedFileDropper(max_bytes=MAX_UPLOAD_BYTES)

    def send(chunk, total, data):
        event = {"name": "big.csv", "chunk": chunk, "total_chunks": total, "type": "text/csv", "data": data}
        dropper._process_event(SimpleNamespace(event_name="upload_event", data=event))

    half = b"x" * (MAX_UPLOAD_BYTES // 2)
    send(1, 3, half)
    send(2, 3, half)
    assert sum(map(len, dropper._file_buffer["big.csv"])) <= MAX_UPLOAD_BYTES
    send(3, 3, b"one more")
    assert dropper.value == {}
    assert dropper._file_buffer == {}
    send(1, 1, TABLE.encode())
    assert list(dropper.value) == ["big.csv"]


def test_dataset_summaries_list_contents(store):
    add(store, upload_request())
    (store.data / "broken.nc").write_text("not netCDF")
    found = {h.name: h for h in dataset_summaries(store)}
    assert set(found) == {DATASET, "With mine.zarr", "broken.nc"}
    assert "cannot be read" in found["broken.nc"].problem
    ds = store.dataset(DATASET)
    old, new = found[DATASET], found["With mine.zarr"]
    assert (old.sites, old.networks, old.regions) == (ds.sizes[v.SITE], 4, 3)
    assert (old.first_day, old.last_day) == ("2015-04-01", "2016-05-04")
    assert old.records == ("in situ", "SMAP", "SMOS")
    assert new.records == ("in situ", "SMAP", "SMOS", "Mine")
    assert new.history[-1]["step"] == "add-product"
    assert set(old.of_kind("daily input")) == {"precipitation", "air_temperature"}
    assert old.simulated


def test_catalogue_has_all_sources(monkeypatch, tmp_path):
    monkeypatch.setenv("GSM3_SOURCES", str(tmp_path))
    entry = source_entries()["uscrn-daily"]
    (tmp_path / "uscrn-daily").mkdir()
    (tmp_path / "uscrn-daily" / entry.example).write_text("x")
    found = {p.name: p for sources in catalogue().values() for _, p, _ in sources}
    assert set(found) == set(source_entries())
    # The climate classes are part of the package.
    assert [name for name, p in found.items() if p.available] == ["koppen-geiger", "uscrn-daily"]
    assert found["power"].on_request and found["era5-timeseries"].on_request and not found["era5"].on_request
