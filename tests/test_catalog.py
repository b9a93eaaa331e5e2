"""The data catalogue: typed entries and the refusal of invalid ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from gsm3core import catalog
from gsm3core.cli import app
from gsm3core.errors import DatasetError
from gsm3core.readers import make_grid_reader, make_point_reader, make_reader


def test_every_entry_has_a_reader_and_a_licence() -> None:
    entries = catalog.dataset_entries()
    assert set(entries) >= {"conus-smap", "uscrn"}
    for entry in entries.values():
        assert hasattr(make_reader(entry.reader), "open")
        assert entry.license
        assert entry.doi.startswith("10.")


def test_a_typo_in_an_entry_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("name: x\ntitel: y\n")
    with pytest.raises(DatasetError, match=r"(?s)invalid catalogue entry .*x\.yaml.*titel"):
        catalog._load(path)


SOURCES = {
    "smap-l3e", "ismn", "smos-l3", "amsr2-lprm", "gldas-noah025", "somo-ml", "era5", "mswep", "imerg", "mcd43a3",
    "myd11a1", "mod13c2", "esa-cci-land-cover", "hwsd", "amatulli-topography", "uscrn-daily",
}  # fmt: skip


def test_all_sources_of_the_paper_are_complete() -> None:
    entries = catalog.source_entries()
    assert set(entries) >= SOURCES
    for entry in entries.values():
        assert entry.doi or entry.name == "esa-cci-land-cover", "the ESA guide has no DOI"
        assert entry.license
        assert entry.variables
        for access in entry.access:
            assert access.url or access.short_name or access.dataset
        if entry.name not in catalog.sources_of("insitu"):
            make = make_point_reader if entry.grid.kind == "points" else make_grid_reader
            assert hasattr(make(entry.reader), "open")
        if any(x.ours == "sm_product" for x in entry.variables):
            assert entry.product
        if entry.step not in ("P1D", "P1M", "static"):
            assert entry.day, "sub-daily sources say which day a step belongs to"


def test_selection_has_the_inputs_of_the_paper() -> None:
    selection = catalog.selections()["gsm3-paper"]
    assert len(selection.forcings) == 18
    assert len(selection.attributes) == 17
    for inputs in (selection.forcings, selection.attributes):
        assert len({x.name for x in inputs}) == len(inputs)
    named = {x.name for x in selection.forcings if x.named_by_paper}
    assert {
        "precipitation",
        "precipitation_imerg",
        "precipitation_era5",
        "albedo_black_sky",
        "soil_temperature",
    } <= named
    assert "wind_u" not in named


def make_source(**changes: object) -> dict[str, object]:
    return {
        "name": "x", "title": "X", "provider": "P", "license": "L", "citation": "C", "doi": "10.1000/x",
        "access": [{"kind": "url", "url": "https://example.org"}], "format": "netCDF", "files": r"^x\.nc$",
        "example": "x.nc", "grid": {"kind": "latlon"}, "step": "P1D",
        "variables": [{"theirs": ["t"], "ours": "air_temperature", "units": {"K": 1}, "our_units": "K", "time": "day"}],
    } | changes  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"licence": "L"}, "licence"),
        ({"doi": "doi:10.1000/x"}, "doi"),
        ({"example": "y.nc"}, r"example 'y\.nc' does not match"),
        ({"step": "3 hours"}, "step"),
        ({"access": []}, "access"),
        ({"access": [{"kind": "earthdata", "short_name": "X"}]}, "needs 'version'"),
        ({"variables": [{"theirs": ["t"], "ours": "air_temperature", "units": {"degC": 1}, "our_units": "degC", "time": "day"}]},
         "has units 'degC'; expected 'K'"),
        ({"variables": [{"theirs": ["t"], "ours": "new", "units": {"K": 1}, "our_units": "K", "time": "day"}]},
         "set its long_name"),
        ({"variables": [{"theirs": ["t"], "ours": "air_temperature", "units": {"K": 1}, "our_units": "K", "time": "day",
                         "valid_range": [2, 1]}]}, "empty valid_range"),
        ({"variables": [{"theirs": ["t"], "ours": "air_temperature", "units": {}, "our_units": "K", "time": "day"}]}, "units"),
    ],
)  # fmt: skip
def test_errors_in_a_source_are_refused(tmp_path: Path, changes: dict[str, object], complaint: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(yaml.safe_dump(make_source()))
    assert catalog._load(path, catalog.SourceEntry).variable("air_temperature").units == {"K": 1}
    path.write_text(yaml.safe_dump(make_source(**changes)))
    with pytest.raises(DatasetError, match=rf"(?s)invalid catalogue entry .*x\.yaml.*{complaint}"):
        catalog._load(path, catalog.SourceEntry)


def test_unknown_names_suggest_the_most_similar() -> None:
    with pytest.raises(DatasetError, match=r"unknown source name 'smap-l3'. Did you mean 'smap-l3e'"):
        catalog.source_entry("smap-l3")
    with pytest.raises(DatasetError, match=r"era5 has no variable 'sm_smap'"):
        catalog.source_entry("era5").variable("sm_smap")


def test_the_command_lists_and_describes_sources(tmp_path: Path) -> None:
    folder = tmp_path / "mswep"
    folder.mkdir()
    (folder / "2015091.nc").write_bytes(b"12")
    runner = CliRunner(env={"COLUMNS": "300"})
    listed = runner.invoke(app, ["data", "list", "--root", str(tmp_path)])
    assert listed.exit_code == 0, listed.output
    assert "1 files" in listed.output
    assert "no folder" in listed.output
    for name in SOURCES:
        assert name in listed.output
    described = runner.invoke(app, ["data", "describe", "mswep", "--root", str(tmp_path)])
    for text in (
        "precipitation [mm d-1] from precipitation, units mm/day",
        "1 files",
        "10.1175/BAMS-D-17-0138.1",
        "request form",
    ):
        assert text in described.output
    paper = runner.invoke(app, ["data", "describe", "gsm3-paper"])
    assert "wind_u: wind_u of era5 (not named by the paper)" in paper.output
    assert isinstance(runner.invoke(app, ["data", "describe", "mswp"]).exception, DatasetError)


def test_downloads_say_when_the_live_service_was_tried() -> None:
    automatic = [
        (entry.name, access)
        for entry in catalog.source_entries().values()
        for access in entry.access
        if access.kind in ("service", "earthdata", "cds") or entry.name == "uscrn-daily"
    ]
    assert {name for name, _ in automatic} >= {"power", "open-meteo-era5", "era5", "smap-l3e", "uscrn-daily"}
    assert [name for name, access in automatic if not access.tried] == []
    done = CliRunner().invoke(app, ["data", "describe", "power"], env={"COLUMNS": "200"})
    assert "not tried live" in done.output and "no account" in done.output
