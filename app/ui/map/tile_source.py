"""Online map tiles and whether their server is reachable."""

from __future__ import annotations

import os
import urllib.request
from threading import Event, Thread

from bokeh.models import WMTSTileSource

URL = "https://tile.openstreetmap.org/{Z}/{X}/{Y}.png"
ATTRIBUTION = '&copy; <a href="https://www.openstreetmap.org/copyright">OpenStreetMap contributors</a>'
TIMEOUT = 4.0  # seconds
OFFLINE = "GSM3_OFFLINE"
_reachable = Event()


def source() -> WMTSTileSource:
    """Return the tile source, with its attribution."""
    return WMTSTileSource(url=URL, attribution=ATTRIBUTION, max_zoom=19)


def probe() -> bool:
    """Request one tile; return whether it was received. With ``GSM3_OFFLINE`` set, nothing is requested."""
    if os.environ.get(OFFLINE):
        _reachable.clear()
        return False
    request = urllib.request.Request(URL.format(X=0, Y=0, Z=0), headers={"User-Agent": "gsm3"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
            received = response.status == 200 and response.headers.get_content_type().startswith("image/")
    except OSError:
        received = False
    _reachable.set() if received else _reachable.clear()
    return received


def probe_in_background() -> None:
    """Probe in a thread, so that the server does not wait for the timeout."""
    Thread(target=probe, name="gsm3-tiles", daemon=True).start()


def is_reachable() -> bool:
    """Return whether the last probe received a tile."""
    return _reachable.is_set()
