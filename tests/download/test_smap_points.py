"""SMAP granules reduced to sites while they are downloaded: the same values as from whole granules, and none for others."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from gsm3core.assembly.collocate import to_sites
from gsm3core.cli import app
from gsm3core.cli.pull import points_of
from gsm3core.config import Period
from gsm3core.download.smap_points import pull_smap_at
from gsm3core.errors import CancelledError, DatasetError
from gsm3core.geography.grids import GRIDS, cell_of
from gsm3core.readers.kept_cells import kept_cells, reduce_granule
from gsm3core.readers.points import Points
from gsm3core.readers.smap_l3 import SmapL3Reader
from support.fake_earthaccess import Earthdata, install

NAME = "SMAP_L3_SM_P_E_201504{:02d}_R18290_001.h5"
DAYS = Period(start=dt.date(2015, 4, 1), end=dt.date(2015, 4, 5))
SITES = Points(
    np.array(["kenya", "texas", "fiji"]), np.array([-1.3, 31.6, -17.8]), np.array([36.8, -102.8, 179.98])
)
SHAPE = (GRIDS["M09"].rows, GRIDS["M09"].columns)


def write_granule(path: Path, day: int) -> None:
    """A granule with values around the sites, in the layout of SPL3SMP_E; nothing elsewhere."""
    rng = np.random.default_rng(day)
    with h5py.File(path, "w") as file:
        for group, tail in (("AM", ""), ("PM", "_pm")):
            g = file.create_group(f"Soil_Moisture_Retrieval_Data_{group}")
            options = {"chunks": (203, 241), "compression": "gzip", "compression_opts": 1}
            sm = g.create_dataset(f"soil_moisture{tail}", SHAPE, np.float32, fillvalue=-9999.0, **options)
            sm.attrs.update({"_FillValue": np.float32(-9999), "units": np.bytes_("cm**3/cm**3")})
            flag = g.create_dataset(
                f"retrieval_qual_flag{tail}", SHAPE, np.uint16, fillvalue=65534, **options
            )
            flag.attrs["_FillValue"] = np.uint16(65534)
            for cell in cell_of(SITES.lat, SITES.lon, "M09"):
                row, column = divmod(int(cell), SHAPE[1])
                for y in range(row - 8, row + 9):
                    for x in (np.arange(column - 8, column + 9) % SHAPE[1]).tolist():
                        sm[y, x], flag[y, x] = np.float32(rng.uniform(0.1, 0.4)), int(rng.uniform() < 0.2)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nsidc")
    write_granule(folder / NAME.format(1), 1)
    whole = (folder / NAME.format(1)).read_bytes()
    for day in range(2, 6):
        (folder / NAME.format(day)).write_bytes(whole)
    return folder


@pytest.fixture
def earthdata(store: Path, monkeypatch: pytest.MonkeyPatch) -> Earthdata:
    return install(monkeypatch, store)


def pull(folder: Path, points: Points = SITES, **options):
    return pull_smap_at(points, DAYS, folder, **options)


def at(*sites: int) -> Points:
    return Points(*(a[list(sites)] for a in (SITES.site, SITES.lat, SITES.lon)))


def build(tmp_path: Path, folder: Path, name: str):
    table = tmp_path / "sites.csv"
    rows = zip(SITES.site, SITES.lat, SITES.lon, strict=True)
    table.write_text("site,lat,lon\n" + "".join(f"{s},{a},{b}\n" for s, a, b in rows))
    out = tmp_path / f"{name}.zarr"
    command = [
        "data",
        "build",
        "table",
        "--from",
        str(table),
        "--days",
        "2015-04-01:2015-04-01",
        "--out",
        str(out),
    ]
    command += ["--product", "smap-l3e", "--source", f"smap-l3e={folder}"]
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, command), out


def test_a_dataset_from_reduced_granules_has_the_values_of_whole_ones(
    earthdata: Earthdata, store: Path, tmp_path: Path
) -> None:
    made = pull(tmp_path / "smap")
    assert [p.name for p in made.new] == [NAME.format(k) for k in range(1, 6)]
    day = Period(start=DAYS.start, end=DAYS.start)
    for overpass, how in (("AM", {}), ("AM", {"resolution": 0.25}), ("PM", {"method": "bilinear"})):
        a, b = (
            SmapL3Reader(overpass=overpass)
            .open(root, day, transform=lambda ds, how=how: to_sites(ds, SITES.lat, SITES.lon, **how))
            .sm_smap
            for root in (tmp_path / "smap", store)
        )
        np.testing.assert_array_equal(a.values, b.values)
        assert int(a.notnull().sum()) >= 1 and a.attrs["grid"] == b.attrs["grid"]


def test_reduced_granules_are_small_and_say_what_they_are(
    earthdata: Earthdata, store: Path, tmp_path: Path
) -> None:
    pull(tmp_path)
    path = tmp_path / NAME.format(1)
    assert path.stat().st_size < 60_000
    with h5py.File(path) as file, h5py.File(store / path.name) as whole:
        assert file.attrs["gsm3_reduced_from"] == path.name
        for group, tail in (("AM", ""), ("PM", "_pm")):
            name = f"Soil_Moisture_Retrieval_Data_{group}/soil_moisture{tail}"
            assert file[name].shape == SHAPE and file[name].attrs["units"] == whole[name].attrs["units"]
            kept = file[name][:] != -9999
            assert kept.sum() == 3 * 49, "7 x 7 cells around each site, also across the antimeridian"
            np.testing.assert_array_equal(file[name][:][kept], whole[name][:][kept])
    np.testing.assert_array_equal(kept_cells(path), np.sort(cell_of(SITES.lat, SITES.lon, "M09")))
    assert kept_cells(store / path.name) is None
    assert not list(tmp_path.rglob(".granules")) and not list(tmp_path.rglob("*.part"))


def test_few_granules_are_on_the_disk_at_a_time_and_none_is_requested_twice(
    earthdata: Earthdata, tmp_path: Path
) -> None:
    pull(tmp_path, jobs=2)
    assert earthdata.most <= 2 and len(earthdata.downloads) == 5
    assert len(pull(tmp_path).kept) == 5 and len(earthdata.downloads) == 5
    assert earthdata.queries[0]["short_name"] == "SPL3SMP_E" and earthdata.queries[0]["temporal"] == (
        "2015-04-01",
        "2015-04-05",
    )


def test_a_killed_pull_resumes(earthdata: Earthdata, tmp_path: Path) -> None:
    def cancel(done: int, total: int, name: str) -> None:
        assert total == 5
        if done == 2:
            raise CancelledError("cancelled")

    with pytest.raises(CancelledError):
        pull(tmp_path, jobs=1, on_progress=cancel)
    (tmp_path / ".granules").mkdir()
    (tmp_path / ".granules" / NAME.format(3)).write_bytes(b"half a granule of a killed call")
    made = pull(tmp_path, jobs=1)
    assert len(made.kept) == 2 and len(made.new) == 3 and len(earthdata.downloads) == 5
    assert not (tmp_path / ".granules").exists()


def test_single_failures_are_named_and_the_others_kept(
    earthdata: Earthdata, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    earthdata.failing = {NAME.format(2): 2}
    message = rf"(?s)1 of 5 granules could not be downloaded; the 4 others are kept.*{NAME.format(2)}: RuntimeError: .*502"
    with pytest.raises(DatasetError, match=message):
        pull(tmp_path, jobs=3)
    assert [p.name for p in pull(tmp_path).new] == [NAME.format(2)]
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / NAME.format(1)).write_bytes(b"<html>maintenance</html>")
    (damaged / NAME.format(2)).write_bytes((store / NAME.format(2)).read_bytes())
    earthdata.store = damaged
    with pytest.raises(
        DatasetError, match=rf"1 of 2 granules .*\n.*{NAME.format(1)}.* cannot be read as HDF5"
    ):
        pull(tmp_path / "b")
    assert [p.name for p in (tmp_path / "b").glob("*.h5")] == [NAME.format(2)]


def test_a_service_that_is_down_is_not_asked_for_everything(earthdata: Earthdata, tmp_path: Path) -> None:
    monkey = {NAME.format(k): 99 for k in range(1, 6)}
    earthdata.failing = monkey
    with pytest.raises(DatasetError, match="Stopped after 5 failures one after the other"):
        pull(tmp_path, jobs=1)


def test_sites_that_were_not_downloaded_are_named_and_the_advice_works(
    earthdata: Earthdata, tmp_path: Path
) -> None:
    folder = tmp_path / "smap"
    pull(folder, at(0))
    for day in range(2, 6):
        (folder / NAME.format(day)).unlink()
    done, _ = build(tmp_path, folder, "x")
    assert done.exit_code != 0
    text = " ".join(str(done.exception).split())
    assert "1 granules, such as SMAP_L3_SM_P_E_20150401_R18290_001.h5, were reduced to other sites" in text
    assert "no values at texas, fiji" in text and f"--into {folder}`" in text
    advice = ["data", "pull", "smap", "--at", str(tmp_path / "sites.csv")]
    advice += ["--days", "2015-04-01:2015-04-01", "--into", str(folder)]
    done = CliRunner(env={"COLUMNS": "200"}).invoke(app, advice)
    assert done.exit_code == 0 and "1 files downloaded" in done.output, done.output
    done, out = build(tmp_path, folder, "x")
    assert done.exit_code == 0, done.output
    assert len(kept_cells(folder / NAME.format(1))) == 3, "the sites of both calls"
    again = pull(folder, points_of(out))
    assert NAME.format(1) in [p.name for p in again.kept], "the sites of a dataset"


def test_whole_granules_can_be_kept(earthdata: Earthdata, store: Path, tmp_path: Path) -> None:
    pull(tmp_path, keep=True)
    assert (tmp_path / NAME.format(1)).read_bytes() == (store / NAME.format(1)).read_bytes()
    assert len(pull(tmp_path).kept) == 5


def test_other_layouts_and_accounts_are_named(earthdata: Earthdata, tmp_path: Path) -> None:
    path = tmp_path / NAME.format(1)
    with h5py.File(path, "w") as file:
        file.create_group("Soil_Moisture_Retrieval_Data_AM").create_dataset(
            "soil_moisture", data=np.zeros((4, 4))
        )
    for change, message in (("shape", r"has the shape \(4, 4\)"), ("group", "has no group")):
        if change == "group":
            with h5py.File(path, "w") as file:
                file.create_group("Other")
        with pytest.raises(DatasetError, match=message):
            reduce_granule(path, tmp_path / "out.h5", SITES.lat, SITES.lon)
    earthdata.authenticated = False
    with pytest.raises(
        DatasetError, match=r"Earthdata refused the account: check the line of urs\.earthdata"
    ):
        pull(tmp_path)
