"""Memory: closed sessions are released by the server."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import expect

# Counts the selections in memory while the server runs; every session has one.
COUNT_SESSIONS = """
import gc, sys, threading, time
from pathlib import Path
import app.server.serve
from app.session.selection import Selection

def count():
    while True:
        time.sleep(4)
        gc.collect()
        number = sum(type(x) is Selection for x in gc.get_objects())
        Path("alive.txt").write_text(str(number))

threading.Thread(target=count, daemon=True).start()
sys.exit(app.server.serve.main(sys.argv[1:]))
"""


@pytest.mark.slow  # a session is kept for half a minute after its connection is lost
def test_closed_sessions_are_released(serve, finished_run, new_clean_page):
    url, home = serve(finished_run.folder.parent, ["-c", COUNT_SESSIONS])
    alive = home / "alive.txt"

    def count():
        return int(alive.read_text() or -1) if alive.exists() else -1

    pages = [new_clean_page() for _ in range(3)]
    for page in pages:
        page.goto(f"{url}?page=sites")
        expect(page.locator("#loader")).to_be_hidden()
        page.get_by_role("button", name="bias", exact=True).click()
        expect(page.get_by_text("Bias (m³ m⁻³) of GSM3 LSTM", exact=True)).to_be_visible()
    time.sleep(8)
    assert count() >= len(pages)
    for page in pages:
        page.goto("about:blank")
    deadline = time.monotonic() + 180
    while count() != 0 and time.monotonic() < deadline:
        time.sleep(1)
    assert count() == 0
