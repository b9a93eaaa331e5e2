"""Workaround: change a page only after the browser has rendered it for the first time.

Package: panel 1.9.4, bokeh 3.9.2.
Issue: none known; https://github.com/holoviz/panel/issues/6019 (closed) is the same race in an async ``onload``.
Problem: a patch sent while the browser still loads the document refers to models that the browser does not know yet,
    or no longer knows. The browser then renders nothing.
Remove: when Bokeh queues patches until the document is rendered.
"""

from __future__ import annotations

from collections.abc import Callable

import panel as pn
from bokeh.document import Document
from panel.io.state import set_curdoc


def call_after_first_render(document: Document, action: Callable[[], None]) -> None:
    """Call ``action`` with ``document`` as the current document: at once if it is rendered, else on load."""
    with set_curdoc(document):
        pn.state.onload(action)
