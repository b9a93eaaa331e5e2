"""A visitor who leaves takes everything along: neither the page nor its plots stay on the server."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref

import pytest

from app import main, page
from app.activity import Activity
from app.state import Selection
from app.store import Store
from gsm3core.jobs.queue import JobQueue

# Panel 1.9.4 calls pandas as pandas 4 will not let it.
pytestmark = pytest.mark.filterwarnings(
    "ignore:The inplace keyword", "ignore:.*event loop:DeprecationWarning"
)


@pytest.fixture
def server_here(data_folder, tmp_path):
    """A server in a thread of this process, and every selection that it ever made."""
    import panel as pn

    store = Store(data_folder, tmp_path)
    activity = Activity(store, JobQueue(tmp_path))
    main.prepare()
    main.warm_up(store, activity, lambda _: None)
    made: list[weakref.ref[Selection]] = []

    def remember():
        shown = page.make_page(store, activity)
        made.extend(
            weakref.ref(o)
            for o in gc.get_objects()
            if type(o) is Selection and not any(r() is o for r in made)
        )
        return shown

    started, running = threading.Event(), {}

    def work():
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        running["server"] = pn.serve(
            {"/": remember}, port=0, show=False, start=False, verbose=False, websocket_origin="*",
            check_unused_sessions_milliseconds=500, unused_session_lifetime_milliseconds=500,
        )  # fmt: skip
        running["server"].start()
        running["loop"] = running["server"].io_loop
        started.set()
        running["loop"].start()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert started.wait(30)
    made.clear()
    yield f"http://localhost:{running['server'].port}/", made
    running["loop"].add_callback(running["server"].stop)
    running["loop"].add_callback(running["loop"].stop)
    thread.join(20)


def test_visitors_who_leave_are_forgotten(server_here, new_clean_page):
    from playwright.sync_api import expect

    url, made = server_here
    pages = [new_clean_page() for _ in range(3)]
    for visitor in pages:
        visitor.goto(url)
        expect(visitor.locator("#loader")).to_be_hidden()
        visitor.get_by_role("button", name="bias", exact=True).click()
        expect(visitor.get_by_text("Bias (m³ m⁻³) of SMAP", exact=True)).to_be_visible()
    assert sum(ref() is not None for ref in made) >= len(pages)
    for visitor in pages:
        visitor.goto("about:blank")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        pages[0].wait_for_timeout(500)
        gc.collect()
        if not any(ref() is not None for ref in made):
            break
    assert sum(ref() is not None for ref in made) == 0
