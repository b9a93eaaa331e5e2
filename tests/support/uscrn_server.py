"""A loopback web server with USCRN's folders and faults on request."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import numpy as np

from support.quiet_server import QuietServer

ROOT = "/pub/data/uscrn/products"


class Site:
    """The server's files, its planned faults and the requests it received."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.faults: dict[str, list[str]] = {}  # end of a path -> the faults of its next requests
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.active = self.most_active = 0
        self.lock = threading.Lock()
        self.url = ""
        self.error_body = b""  # of answers with an error status

    def requests_for(self, name: str) -> list[dict[str, str]]:
        return [headers for path, headers in self.requests if path.endswith(name)]

    def next_fault(self, path: str) -> str:
        with self.lock:
            for end, faults in self.faults.items():
                if path.endswith(end) and faults:
                    return faults.pop(0)
        return ""

    def listing(self, path: str) -> bytes | None:
        inside = sorted({p[len(path) :].split("/")[0] for p in self.files if p.startswith(path)})
        if not inside:
            return None
        links = "".join(f'<tr><td><a href="{n}">{n}</a></td></tr>' for n in ["../", "?C=N;O=D", *inside])
        return f"<html><body><h1>Index of {path}</h1><table>{links}</table></body></html>".encode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        site = self.site
        with site.lock:
            site.requests.append((self.path, dict(self.headers)))
            site.active += 1
            site.most_active = max(site.most_active, site.active)
        try:
            self._answer(site)
        except (BrokenPipeError, ConnectionResetError):
            pass
        finally:
            with site.lock:
                site.active -= 1

    def _answer(self, site: Site) -> None:
        fault = site.next_fault(self.path)
        if fault.isdigit():
            self.send_response(int(fault))
            if fault == "429":
                self.send_header("Retry-After", "1")
            self.send_header("Content-Length", str(len(site.error_body)))
            self.end_headers()
            self.wfile.write(site.error_body)
            return
        body = site.listing(self.path) if self.path.endswith("/") else site.files.get(self.path)
        if body is None:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if fault == "error page":
            body = b"<html>Sorry, we are down for maintenance.</html>"
        if fault == "json error":
            body = site.error_body
        tag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
        if self.headers.get("If-None-Match") == tag:
            self.send_response(304)
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("ETag", tag)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault in ("truncate", "stall"):
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            if fault == "stall":
                time.sleep(1.0)
            self.close_connection = True
            return
        if fault == "slow":
            time.sleep(0.05)
        self.wfile.write(body)


@contextmanager
def serve(files: dict[str, bytes], kind: type[Site] = Site) -> Iterator[Site]:
    site = kind(files)
    server = QuietServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"site": site}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_address[1]}{ROOT}/daily01"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def daily_line(wban: str, day: str, lat: float, lon: float, **values: float) -> str:
    """One line of CRND0103 in the columns of the readme (2017-07-06); values not given are missing."""
    g = {"sm": -99.0} | values
    f = lambda name: f"{g.get(name, -9999.0):7.1f}"  # noqa: E731
    text = (
        f"{wban:>5} {day} {'2.622':>6} {lon:7.2f} {lat:7.2f} {f('tmax')} {f('tmin')} {f('tmean')} {f('tavg')} {f('p')} "
        f"{g.get('solar', -9999.0):8.2f} {'C'} {f('smax')} {f('smin')} {f('savg')} {f('rhmax')} {f('rhmin')} {f('rh')} "
        f"{g['sm']:7.3f} {-99.0:7.3f} {-99.0:7.3f} {-99.0:7.3f} {-99.0:7.3f} {f('ts5')} {f('x')} {f('x')} {f('x')} {f('x')}"
    )
    assert len(text) == 216 and len(text.split()) == 28
    return text


def daily_file(
    wban: str, year: int, lat: float, lon: float, *, soil: bool = True, days: int = 365, seed: int = 0
) -> bytes:
    """A year of plausible values of a station."""
    rng = np.random.default_rng(seed)
    start = np.datetime64(f"{year}-01-01")
    lines = []
    for k in range(days):
        t = round(10 - 12 * np.cos(2 * np.pi * k / 365), 1)
        sm = round(float(0.2 + 0.1 * np.cos(2 * np.pi * k / 365) + rng.normal(0, 0.01)), 3)
        lines.append(daily_line(
            wban, str(start + k).replace("-", ""), lat, lon, tmax=t + 5, tmin=t - 5, tmean=t, tavg=t,
            p=round(rng.gamma(0.3, 4), 1), solar=12.34, savg=t + 1, rh=60.0, ts5=t, **({"sm": sm} if soil else {}),
        ))  # fmt: skip
    return ("\n".join(lines) + "\n").encode()


STATIONS = "WBAN\tCOUNTRY\tSTATE\tLOCATION\tVECTOR\tNAME\tLATITUDE\tLONGITUDE\tELEVATION\n" + "".join(
    f"{w}\tUS\tXX\t-\t-\t-\t0\t0\t{feet}\n" for w, feet in (("03047", 2724), ("53104", 5000), ("UN", 10))
)


def network(years: tuple[int, ...] = (2019, 2020)) -> dict[str, bytes]:
    """Three stations with soil probes and one without (a regional station)."""
    stations = {
        "TX_Monahans_6_ENE": ("03047", 31.62, -102.81), "NM_Mills_6_WSW": ("53104", 36.07, -104.35),
        "AK_St._Paul_4_NE": ("25711", 57.16, -170.21), "AZ_Bowie_23_SSE": ("53166", 32.00, -109.39),
    }  # fmt: skip
    files = {f"{ROOT}/stations.tsv": STATIONS.encode()}
    for year in years:
        for k, (name, (wban, lat, lon)) in enumerate(stations.items()):
            files[f"{ROOT}/daily01/{year}/CRND0103-{year}-{name}.txt"] = daily_file(
                wban, year, lat, lon, soil=not name.startswith("AZ"), seed=10 * k + year
            )
        files[f"{ROOT}/daily01/{year}/readme.txt"] = b"not data"
    return files
