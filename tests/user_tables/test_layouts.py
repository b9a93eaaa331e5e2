"""Tables as spreadsheets, loggers and instruments write them: read right with a note, or the cause named."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import xarray as xr

from gsm3core.errors import DatasetError
from gsm3core.user_tables.places import read_places
from gsm3core.user_tables.tables import Table, read_table

PLAIN = "site,time,value,units\na,2015-05-01,0.25,m3 m-3\na,2015-05-02,0.5,m3 m-3\n"


def table(
    tmp_path: Path, text: str, *, name: str = "t.csv", encoding: str = "utf-8", **options: object
) -> Table:
    (tmp_path / name).write_bytes(text.encode(encoding))
    return read_table(tmp_path / name, **options)


def places(tmp_path: Path, text: str) -> pd.DataFrame:
    (tmp_path / "p.csv").write_text(text, encoding="utf-8")
    return read_places(tmp_path / "p.csv").sites


SAME = {
    "semicolons": PLAIN.replace(",", ";"),
    "tabs": PLAIN.replace(",", "\t"),
    "sep line": "sep=;\n" + PLAIN.replace(",", ";"),
    "quoted sep line": '"sep=;"\r\n' + PLAIN.replace(",", ";").replace("\n", "\r\n"),
    "semicolons and decimal commas": PLAIN.replace(",", ";").replace("0.", "0,"),
    "tabs and decimal commas": PLAIN.replace(",", "\t").replace("0.", "0,"),
    "quoted": 'site,time,value,units\n"a","2015-05-01","0.25","m3 m-3"\n"a","2015-05-02","0.5","m3 m-3"\n',
    "blank columns and lines": "site,time,value,units,,\na,2015-05-01,0.25,m3 m-3,,\n,,,,,\n\na,2015-05-02,0.5,m3 m-3,,\n,,,,,\n",
    "comments": "# farm A\n# logger 7\n" + PLAIN,
    "header as a comment": "# farm A\n# " + PLAIN,
    "other names": PLAIN.replace("site,time,value,units", "Station ID,Date,Soil moisture,Unit"),
    "unit in the header": "Site,Date,VWC (m3/m3)\na,2015-05-01,0.25\na,2015-05-02,0.5\n",
    "percent in the header": "Site,Date,VWC [%]\na,2015-05-01,25\na,2015-05-02,50\n",
    "time in UTC in the header": PLAIN.replace("time", "Time (UTC)"),
    "day.month.year": PLAIN.replace("2015-05-01", "01.05.2015").replace("2015-05-02", "02.05.2015"),
    "order in the header": "site,Date (dd/mm/yyyy),value,units\na,01/05/2015,0.25,1\na,02/05/2015,0.5,1\n",
    "month names": PLAIN.replace("2015-05-01", "01-May-2015").replace("2015-05-02", "2 May 2015 0:00"),
    "years first with slashes": PLAIN.replace("2015-05-01", "2015/05/01").replace("2015-05-02", "2015/5/2 0:00"),
    "UTC written out": PLAIN.replace("2015-05-01", "2015-05-01 00:00 UTC"),
    "date and time apart": "site,date,time,value,units\na,2015-05-01,6:00,0.25,1\na,2015-05-02,06:00,0.5,1\n",
}  # fmt: skip


@pytest.mark.parametrize("name", SAME)
def test_layouts_give_the_same_values(tmp_path: Path, name: str) -> None:
    found = table(tmp_path, SAME[name]).daily
    assert list(found["site"]) == ["a", "a"]
    assert [f"{d:%Y-%m-%d}" for d in found["day"]] == ["2015-05-01", "2015-05-02"]
    assert list(found["value"]) == pytest.approx([0.25, 0.5])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_encodings_give_the_same_values(tmp_path: Path, encoding: str) -> None:
    found = table(tmp_path, PLAIN.replace(",", "\t"), encoding=encoding).daily
    assert list(found["value"]) == pytest.approx([0.25, 0.5])


def test_latin_text_is_read_unless_it_names_a_site(tmp_path: Path) -> None:
    remark = "site,time,value,units,note\na,2015-05-01,0.25,m³/m³,10 °C\n"
    found = table(tmp_path, remark, encoding="latin-1")
    assert found.units == "m³/m³" and "text that is not UTF-8 read as Latin-1" in found.notes
    with pytest.raises(DatasetError, match=r"is not UTF-8 text .*'CSV UTF-8'"):
        table(tmp_path, remark.replace("\na", "\nOlé"), encoding="latin-1")


def test_the_order_of_day_and_month_is_decided_by_any_row(tmp_path: Path) -> None:
    rows = [f"a,{d:02d}/05/2015,0.2" for d in (1, 2, 13)]
    found = table(tmp_path, "site,time,value\n" + "\n".join(rows), units="1")
    assert [f"{d:%m-%d}" for d in found.daily["day"]] == ["05-01", "05-02", "05-13"]
    assert "dates read as day, month, year: '01/05/2015' is 2015-05-01" in found.notes
    rows = [f"a,5/{d}/2015 3:30 PM,0.2" for d in (1, 2, 13)]
    found = table(tmp_path, "site,time,value\n" + "\n".join(rows), units="1")
    assert [f"{d:%m-%d}" for d in found.daily["day"]] == ["05-01", "05-02", "05-13"]
    assert "one value a day at 15:30, taken as the value of its UTC day" in found.notes


REFUSED = {
    "ambiguous": ("a,01/05/2015,0.2,1", r"ambiguous time '01/05/2015'.*or name the column 'time \(dd/mm/yyyy\)'"),
    "order changes": ("a,13/05/2015,0.2,1\na,05/14/2015,0.2,1", "the order of day and month changes"),
    "two formats": ("a,2015-05-01,0.2,1\na,13/05/2015,0.2,1", "dates in two formats, such as '13/05/2015'"),
    "day number": ("a,42125,0.2,1", r"'42125' looks like a day number of a spreadsheet \(2015-05-01"),
    "seconds": ("a,1430438400,0.2,1", r"looks like seconds or milliseconds since 1970 \(2015-05-01"),
    "month only": ("a,2015-05,0.2,1", "time '2015-05' has no day"),
    "year only": ("a,2015,0.2,1", "time '2015' has no day"),
    "clock only": ("a,06:00,0.2,1", "invalid time '06:00' in line 2"),
    "two decimal signs": ("a;2015-05-01;0,2;1\na;2015-05-02;0.3;1",
                          r"value has decimal commas \(0,2\) and decimal points \(0.3\)"),
    "monthly": ("\n".join(f"a,2015-{m:02d}-01,0.2,1" for m in range(1, 9)),
                "site 'a' has one value a month; expected one per UTC day"),
    "weekly": ("\n".join(f"a,{d:%Y-%m-%d},0.2,1" for d in pd.date_range("2015-01-01", periods=9, freq="7D")),
               "one value every 7 days"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    rows, message = REFUSED[name]
    head = "site;time;value;units" if ";" in rows else "site,time,value,units"
    with pytest.raises(DatasetError, match=message):
        table(tmp_path, f"{head}\n{rows}\n")


def test_advice_about_times_works(tmp_path: Path) -> None:
    for order, day in (("dd/mm/yyyy", "2015-05-01"), ("mm/dd/yyyy", "2015-01-05")):
        found = table(tmp_path, f"site,time ({order}),value,units\na,01/05/2015,0.2,1\n")
        assert str(found.daily["day"].iloc[0])[:10] == day
    weekly = pd.date_range("2015-01-01", periods=9, freq="7D")
    rows = [f"a,{d:%Y-%m-%d},{0.2 if d in weekly else ''},1" for d in pd.date_range(weekly[0], weekly[-1])]
    found = table(tmp_path, "site,time,value,units\n" + "\n".join(rows))
    assert list(found.daily["day"]) == list(weekly)


@pytest.mark.parametrize("column", ["time (local)", "local time", "Time (CET)", "time_lst", "Date (UTC+3)"])
def test_local_times_are_refused(tmp_path: Path, column: str) -> None:
    with pytest.raises(DatasetError, match=r"expected times in UTC.*offset from UTC in every row"):
        table(tmp_path, f"site,{column},value,units\na,2015-05-01 06:00,0.2,1\n")
    found = table(tmp_path, "site,time,value,units\na,2015-05-01T01:00+02:00,0.2,1\n")  # the advice
    assert str(found.daily["day"].iloc[0])[:10] == "2015-04-30"


def test_hourly_tables_need_most_of_a_day(tmp_path: Path) -> None:
    hours = pd.date_range("2015-05-01", periods=72, freq="h")
    rows = [
        f"a,{t:%Y-%m-%dT%H:%M},{0.2 + 0.01 * t.hour:.2f},1" for t in hours if not (t.day == 2 and t.hour < 7)
    ]
    found = table(tmp_path, "site,time,value,units\n" + "\n".join(rows))
    assert list(found.daily["day"].dt.day) == [1, 3]
    assert list(found.daily["value"]) == pytest.approx([0.2 + 0.115] * 2)
    assert "values every 1 h averaged to UTC days; a day needs 18 of 24 values" in found.notes
    assert "1 days with too few values are missing" in found.notes


@pytest.mark.parametrize(("name", "content", "message"), [
    ("t.xlsx", b"PK\x03\x04", "suffix '.xlsx'; .*Save the sheet of an Excel workbook as 'CSV UTF-8'"),
    ("t.csv", b"PK\x03\x04", "is an Excel workbook or another zip archive; save the sheet as 'CSV UTF-8'"),
    ("t.csv", b"\xd0\xcf\x11\xe0", "is an Excel 97 workbook"),
    ("t.csv", b"CDF\x01", "is not text but netCDF; give it the suffix .nc"),
    ("t.csv", b"\x1f\x8b", "is not text but gzip; unpack it"),
])  # fmt: skip
def test_other_files_are_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content * 20)
    with pytest.raises(DatasetError, match=message):
        read_table(tmp_path / name)


def test_classic_netcdf_and_other_dimensions_are_tables(tmp_path: Path) -> None:
    days = pd.date_range("2015-05-01", periods=4)
    ds = xr.Dataset(
        {"swvl": (("time", "station"), [[0.1, 0.2]] * 4, {"units": "m3/m3"})},
        {
            "time": days,
            "station": ["a", "b"],
            "latitude": ("station", [1.0, 2.0]),
            "longitude": ("station", [3.0, 4.0]),
        },
    )
    ds.to_netcdf(tmp_path / "t.nc", engine="scipy", format="NETCDF3_CLASSIC")
    found = read_table(tmp_path / "t.nc", in_situ=True)
    assert len(found.daily) == 8 and list(found.sites["lat"]) == [1, 2] and list(found.sites["lon"]) == [3, 4]
    ds["swvl"].attrs.clear()
    ds.to_netcdf(tmp_path / "u.nc", engine="h5netcdf")
    with pytest.raises(DatasetError, match=r"u.nc has no units"):
        read_table(tmp_path / "u.nc")
    assert float(read_table(tmp_path / "u.nc", units="m3 m-3").daily["value"].max()) == pytest.approx(0.2)


NAIROBI = (-1.2833, 36.8)


@pytest.mark.parametrize("text", [
    "site,lat,lon\nx,-1.2833,36.8", "Name,Latitude,Longitude\nx,-1.2833,36.8", "id;Lat (deg);Lon (deg)\nx;-1,2833;36,8",
    "station,lat,lon\nx,-1.2833,36.8", "site,lat,lon\nx,1°17'S,36.8E", "site,lat,lon\nx,1° 17' 0\" S,36° 48' E",
    "site,lat,lon\nx,S 1.2833,E 36 48 00", "site,LAT,LONG,\nx,-1.2833,36.8,\n,,,\n", "site,lat,lon\nx,1.2833S,36.8",
    "decimalLatitude,decimalLongitude,site\n-1.2833,36.8,x", "site,lat,lon\nx,-1.2833,36.8\n\n\n",
])  # fmt: skip
def test_places_are_read_in_many_forms(tmp_path: Path, text: str) -> None:
    found = places(tmp_path, text + "\n")
    assert list(found.index) == ["x"]
    assert (found["lat"].iloc[0], found["lon"].iloc[0]) == pytest.approx(NAIROBI, abs=1e-3)


@pytest.mark.parametrize(("row", "message"), [
    ("x,136.8,-1.28", "lat 136.8 of site 'x' in line 2 is invalid; .*Are lat and lon swapped"),
    ("x,36.8E,1.28S", "has the letter of the other coordinate. Are lat and lon swapped"),
    ("x,50.25,369.75", "lon 369.75 of site 'x' in line 2 is invalid; expected -180 to 360 degrees.$"),
    ("x,1°77'S,36.8", "invalid lat"), ("x,-9999,36.8", r"missing lat \(-9999\) of site 'x'"),
    ("x,,36.8", "missing lat of site 'x'"),
    ("x,north,36.8", "invalid lat 'north' of site 'x' in line 2; expected decimal degrees"),
    ("x,1,2\nx,1,2", r"duplicate site 'x' \(lines 2, 3\)"),
])  # fmt: skip
def test_places_that_are_wrong_are_named(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        places(tmp_path, f"site,lat,lon\n{row}\n")


def test_a_site_may_be_called_like_a_missing_value(tmp_path: Path) -> None:
    assert list(places(tmp_path, "site,lat,lon\nNA,1,2\nM,3,4\n007,5,6\n").index) == ["NA", "M", "007"]


def test_a_wrong_place_is_listed_and_the_others_used(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("site,lat,lon\na,1,2\nb,-9999,-9999\nc,95,3\n")
    found = read_places(tmp_path / "p.csv")
    assert list(found.sites.index) == ["a"] and list(found.refused) == ["b", "c"]
    assert found.notes == [
        "site 'b' is refused: missing lat (-9999) of site 'b' in line 3",
        "site 'c' is refused: lat 95 of site 'c' in line 4 is invalid; expected -90 to 90 degrees. Are lat and lon swapped?",
    ]
