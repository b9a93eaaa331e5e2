"""Whether an online map can be reached: it is offered only then, and asked for only where a visitor turns it on."""

from __future__ import annotations

import os
import urllib.request
from threading import Event, Thread

from bokeh.models import WMTSTileSource

URL = "https://tile.openstreetmap.org/{Z}/{X}/{Y}.png"
ATTRIBUTION = '&copy; <a href="https://www.openstreetmap.org/copyright">OpenStreetMap contributors</a>'
TIMEOUT = 4.0  # seconds
OFFLINE = "GSM3_OFFLINE"
_reached = Event()


def source() -> WMTSTileSource:
    """Return the online map, with its attribution."""
    return WMTSTileSource(url=URL, attribution=ATTRIBUTION, max_zoom=19)


def look() -> bool:
    """Ask for one tile; return whether it came. With ``GSM3_OFFLINE`` set nothing is asked."""
    if os.environ.get(OFFLINE):
        _reached.clear()
        return False
    asked = urllib.request.Request(URL.format(X=0, Y=0, Z=0), headers={"User-Agent": "gsm3"})
    try:
        with urllib.request.urlopen(asked, timeout=TIMEOUT) as answer:
            came = answer.status == 200 and answer.headers.get_content_type().startswith("image/")
    except OSError:
        came = False
    _reached.set() if came else _reached.clear()
    return came


def look_later() -> None:
    """Look in a thread: the server does not wait for a network that is not there."""
    Thread(target=look, name="gsm3-tiles", daemon=True).start()


def reachable() -> bool:
    """Tell whether the last look found the online map."""
    return _reached.is_set()
