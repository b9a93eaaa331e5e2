"""The table of live services against a loopback server, an absent one, and planted means."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from benchmarks import live_services
from gsm3core.catalog import source_entries
from support import point_server
from support.power_server import PowerService


def test_every_downloadable_entry_has_a_check() -> None:
    services = live_services.services()
    for name, entry in source_entries().items():
        if any(a.kind == "service" for a in entry.access):
            assert name in services
    for name in services:
        assert any(a.tried for a in source_entries()[name].access), name


def test_outcome_of_a_service(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Passed, implausible and absent services are told apart, and one does not stop the others."""
    with point_server.serve(PowerService()) as power:
        monkeypatch.setattr(live_services, "PLAUSIBLE", {})
        live_services.main(["--only", "power", "--url", f"power={power.url}"])
        assert len(power.requests) == 2
        text = capsys.readouterr().out
        assert "passed" in text and "Set `tried: 20" in text and "air_temperature" in text
        monkeypatch.setattr(live_services, "PLAUSIBLE", {"air_temperature": (0, 1)})
        with pytest.raises(SystemExit):
            live_services.main([
                "--only", "open-meteo-era5,power", "--url", f"power={power.url}", "--url",
                "open-meteo-era5=http://127.0.0.1:9",
            ])  # fmt: skip
    text = capsys.readouterr().out
    assert text.count("FAILED") == 2 and "expected 0 to 1" in text and "no connection" in text
    with pytest.raises(SystemExit, match="unknown service"):
        live_services.main(["--only", "nothing"])


def test_implausible_means() -> None:
    assert live_services.implausible({"sand": 0.4, "unknown": 7.0}) == []
    assert live_services.implausible({"sand": 40.0}) == ["sand is 40; expected 0.05 to 0.8"]
    assert live_services.implausible({"sand": float("nan")}) == ["sand has no value"]


def test_a_place_without_values_is_named() -> None:
    coords = {"site": live_services.PLACES.site}
    ds = xr.Dataset({"sand": ("site", [0.4, np.nan]), "clay": ("site", [0.2, 0.3])}, coords=coords)
    assert live_services.empty_places(ds) == ["sand has no value at Nairobi"]
