"""Small ISMN archives in the layouts of ismn.earth: header+values and CEOP in separate files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Sensor:
    """One data file: what its header and its name say, and its rows."""

    station: str = "Hill"
    network: str = "TESTNET"
    lat: str = "48.20000"
    lon: str = "16.40000"
    elevation: str = "200.00"
    top: str = "0.0500"
    bottom: str = "0.0500"
    depths: str = "0.050000_0.050000"
    sensor: str = "CS655"
    first: str = "2017-01-01"
    days: int = 40
    step: int = 1
    start_hour: int = 0
    values: tuple[float, ...] = ()
    level: float = 0.2
    flag: str = "G"
    ceop: bool = False

    def with_(self, **changes: object) -> Sensor:
        """Return a copy with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]

    @property
    def times(self) -> np.ndarray:
        """Times of the rows."""
        start = np.datetime64(self.first, "h") + np.timedelta64(self.start_hour, "h")
        return np.arange(
            start, np.datetime64(self.first, "h") + np.timedelta64(24 * self.days, "h"), self.step
        )

    @property
    def series(self) -> np.ndarray:
        """Values of the rows: the given ones, or a saw-tooth that tells every hour of the record apart."""
        if self.values:
            return np.array(self.values)
        hour = self.times.astype(np.int64)
        return self.level + (hour % 97) * 0.001

    def text(self) -> str:
        """The file."""
        head = f"{self.network} {self.network} {self.station} {self.lat} {self.lon} {self.elevation} {self.top} {self.bottom}"
        stamps = [str(t).replace("-", "/").replace("T", " ") + ":00" for t in self.times]
        rows = [f"{x:.4f} {self.flag} M" for x in self.series]
        if self.ceop:
            return "\n".join(f"{t} {t} {head} {x}" for t, x in zip(stamps, rows, strict=True)) + "\n"
        return (
            "\n".join([f"{head} {self.sensor}", *(f"{t} {x}" for t, x in zip(stamps, rows, strict=True))])
            + "\n"
        )

    @property
    def name(self) -> str:
        """Path in an archive, as ismn.earth gives it."""
        last = np.datetime64(self.first) + np.timedelta64(self.days - 1, "D")
        dates = "_".join(str(d).replace("-", "") for d in (self.first, last))
        net = self.network.replace("_", "-")
        return f"{self.network}/{self.station}/{net}_{net}_{self.station}_sm_{self.depths}_{self.sensor}_{dates}.stm"


def write_archive(root: Path, sensors: Sequence[Sensor]) -> Path:
    """Write a folder of sensors and return it."""
    for sensor in sensors:
        path = root / sensor.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(sensor.text())
    return root
