"""Sites of two in-situ sources in one dataset: records kept, a station of both counted once."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gsm3core.assembly.assemble import assemble
from gsm3core.assembly.recipe import Recipe, SiteSpec
from gsm3core.assembly.site_union import find_all_sites
from gsm3core.errors import DatasetError
from gsm3core.schema import open_dataset
from support import uscrn_server

DAYS = pd.date_range("2019-01-01", "2019-12-31")


def network(folder: Path) -> Path:
    for path, content in uscrn_server.network((2019,)).items():
        name = path.rsplit("/", 1)[-1]
        if name.startswith("CRND"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
    return folder


def archive(folder: Path, *, copy_of: np.ndarray) -> Path:
    """An ISMN archive: the probe of Monahans 200 m off in coordinates, and a station of its own."""
    for station, lat, lon, values in (
        ("Monahans-6-ENE", 31.6215, -102.8085, copy_of),
        ("Alone", -1.2921, 36.8219, np.linspace(0.1, 0.3, len(DAYS))),
    ):
        place = folder / "NETW" / station
        place.mkdir(parents=True)
        hours = pd.date_range(DAYS[0], periods=24 * len(DAYS), freq="h")
        rows = [
            f"{t:%Y/%m/%d %H:%M} {t:%Y/%m/%d %H:%M} NETW NETW {station} {lat:.5f} {lon:.5f} 100.00 0.0500 0.0500 "
            f"{values[k // 24]:.4f} G M"
            for k, t in enumerate(hours)
            if np.isfinite(values[k // 24])
        ]
        name = f"NETW_NETW_{station}_sm_0.050000_0.050000_Probe_20190101_20191231.stm"
        (place / name).write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> tuple[SiteSpec, SiteSpec]:
    root = tmp_path_factory.mktemp("union")
    uscrn = SiteSpec(kind="uscrn-daily", path=network(root / "u"))
    record = find_all_sites([uscrn], None).ds["sm_insitu"].sel(site="USCRN|TX_Monahans_6_ENE").values
    return uscrn, SiteSpec(kind="ismn", path=archive(root / "i", copy_of=record))


def test_a_station_of_two_sources_counts_once(sources: tuple[SiteSpec, SiteSpec]) -> None:
    found = find_all_sites(sources, None)
    sites = found.ds.site.values.tolist()
    assert sorted(set(found.ds.network.values)) == ["NETW", "USCRN"]
    assert sum("Monahans" in s for s in sites) == 1 and any("Alone" in s for s in sites)
    assert len(sites) == 4 and found.ds.sizes["time"] == 365
    alone = found.ds.sm_insitu.sel(site=next(s for s in sites if "Alone" in s)).values
    np.testing.assert_allclose(alone, np.linspace(0.1, 0.3, len(DAYS)), atol=6e-5)
    one = find_all_sites(sources[:1], None).ds.sm_insitu
    np.testing.assert_array_equal(found.ds.sm_insitu.sel(site=one.site), one)
    # The networks' own weather is missing at the other's stations.
    assert set(found.ds.data_vars) == {"sm_insitu"}
    step = found.steps[-1]
    assert step["dropped"] == 1 and any("precipitation" in note for note in step["notes"])
    assert (found.table["outcome"] == "used").sum() == 4
    later = find_all_sites(sources, None, "second").ds
    assert [n for s, n in zip(later.site.values, later.network.values, strict=True) if "Monahans" in s] == [
        "NETW"
    ]
    assert find_all_sites(sources, None, "keep").ds.sizes["site"] == 5
    with pytest.raises(DatasetError, match="Monahans"):
        find_all_sites(sources, None, "error")


def test_a_recipe_of_two_networks(sources: tuple[SiteSpec, SiteSpec], tmp_path: Path) -> None:
    out = tmp_path / "both.zarr"
    recipe = Recipe.model_validate({"sites": [s.model_dump() for s in sources]})
    assemble(recipe, out)
    ds = open_dataset(out)
    assert ds.sizes["site"] == 4 and ds.attrs["title"] == "USCRN stations and ISMN stations"
    steps = [s["step"] for s in json.loads(ds.attrs["history"])]
    assert "sites of several sources" in steps
    assert "Bell" in ds.attrs["references"] and "Dorigo" in ds.attrs["references"]
    table = pd.read_csv(tmp_path / "both.stations.csv")
    assert (table["outcome"] == "used").sum() == 4


def test_two_sources_with_one_site_name(sources: tuple[SiteSpec, SiteSpec]) -> None:
    with pytest.raises(DatasetError, match="duplicate site"):
        find_all_sites([sources[0], sources[0]], None, "keep")
