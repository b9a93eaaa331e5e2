"""One message for one action: what follows from it on a visitor's page is sent, and drawn, at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import panel as pn
from bokeh.document import Document
from panel.io.document import unlocked


@contextmanager
def batched_updates() -> Iterator[None]:
    """Send what changes on the page of the visitor at hand within the block as one message.

    Bokeh else sends a message for every property of every model; each costs the server some milliseconds, and the
    browser draws in between. Nested blocks are one. Outside a visitor's document (a script, a test) it does nothing.
    """
    document = pn.state.curdoc
    if document is None or document.session_context is None:
        yield
        return
    with unlocked():
        yield


@contextmanager
def batched_models(document: Document | None) -> Iterator[None]:
    """Let Bokeh look for new models once, at the end of the block, where several are made.

    It walks the whole document for that. Where none is made there is nothing to look for: the block then costs a walk.
    Until then a new model belongs to no document and tells nobody of its changes, so nothing of the block is sent
    before it: a model that had been sent when it was made would stay as it was made.
    """
    if document is None:
        yield
        return
    alone = document.callbacks.hold_value is None
    if alone:
        document.hold("combine")
    try:
        # Not its own `freeze`, which an error within would leave frozen for ever.
        document.models._push_freeze()
        yield
    finally:
        document.models._pop_freeze()
        if alone:
            document.unhold()
