"""Batched document updates: all changes of one action reach the browser as one message."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import panel as pn
from panel.io.document import unlocked


@contextmanager
def batched_updates() -> Iterator[None]:
    """Send all changes to the current session's document within the block as one message.

    Bokeh otherwise sends one message per property; each costs the server some milliseconds, and the browser redraws
    in between. Blocks may be nested. Without a session (script, test) this does nothing.
    """
    document = pn.state.curdoc
    if document is None or document.session_context is None:
        yield
        return
    with unlocked():
        yield
