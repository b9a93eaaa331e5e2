"""Of two ISMN downloads of the same period, the later one counts."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from gsm3core.readers.ismn.reader import read_ismn
from support.ismn_archive import Sensor, write_archive

YEAR1, YEAR2 = Sensor(days=50), Sensor(first="2018-01-01", days=50)


@pytest.mark.parametrize(
    "names", [("b_first", "a_second"), ("Data.d", "Data (1).d")], ids=["order", "browser copy"]
)
def test_of_downloads_of_one_period_the_later_one_counts(tmp_path: Path, names: tuple[str, str]) -> None:
    """A corrected download has the same dates in its names: the archive given last, or the copy of a browser."""
    new = YEAR1.with_(level=0.3)
    paths = []
    for name, sensor in zip(names, (YEAR1, new), strict=True):
        paths.append(tmp_path / name.replace(".d", ".zip"))
        with zipfile.ZipFile(paths[-1], "w") as opened:
            opened.writestr(sensor.name, sensor.text())
    ds, table = read_ismn(paths if names[0] == "b_first" else tmp_path)
    assert float(ds.sm_insitu.isel(time=0).item()) == pytest.approx(new.series[:24].mean(), abs=1e-6)
    assert "rows differ between them: the last file counts" in table["note"][0]


def test_static_variables_of_the_last_archive_count(tmp_path: Path) -> None:
    roots = []
    for name, level, rows in (
        (
            "b",
            YEAR1,
            "clay fraction;% weight;0.00;0.30;20;;HWSD\nsand fraction;% weight;0.00;0.30;42;;HWSD\n",
        ),
        ("a", YEAR2, "clay fraction;% weight;0.00;0.30;30;;HWSD\n"),
    ):
        path = write_archive(tmp_path / name, [level]) / level.name
        path.with_name("TESTNET_TESTNET_Hill_static_variables.csv").write_text(rows)
        roots.append(tmp_path / name)
    ds, _ = read_ismn(roots)
    assert (float(ds.clay.item()), float(ds.sand.item())) == pytest.approx((0.30, 0.42))
