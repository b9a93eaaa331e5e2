"""Workaround: freeze Bokeh's model graph safely while several models are made.

Package: bokeh 3.9.2.
Issue: https://github.com/bokeh/bokeh/issues/14962 (``freeze()`` undocumented), https://github.com/bokeh/bokeh/issues/11707
    (cost of the recomputation).
Problem: every new model makes Bokeh walk the whole document. ``document.models.freeze()`` defers the walk but has no
    ``try``/``finally``: after an error in its block the document stays frozen.
Remove: when ``freeze()`` unfreezes after an error; use it then with ``document.hold``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bokeh.document import Document


@contextmanager
def batched_models(document: Document | None) -> Iterator[None]:
    """Let Bokeh look for new models once, at the end of the block.

    A block that makes no model costs one walk of the document. Messages are held until the end: before the walk, changes
    of a new model are not sent, so that a model sent too early would stay as it was made.
    """
    if document is None:
        yield
        return
    outermost = document.callbacks.hold_value is None
    if outermost:
        document.hold("combine")
    try:
        document.models._push_freeze()
        yield
    finally:
        document.models._pop_freeze()
        if outermost:
            document.unhold()
