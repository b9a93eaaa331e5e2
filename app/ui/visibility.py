"""Callbacks that run only while their page is visible."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import panel as pn
import param

from app.session.selection import Selection


def while_visible(
    main: pn.Column, selection: Selection, on: Sequence[str], work: Callable[[], None]
) -> Callable[[], None]:
    """Call ``work`` when the selection changes; while the page is hidden, once when it is shown again.

    Parameters
    ----------
    main
        The page.
    selection, on
        The selection and the parameters watched.
    work
        Draws or computes. Bokeh fails in the browser if a plot is first drawn, or changed, while it is hidden and has no
        size.

    Returns
    -------
    Callable
        Calls ``work`` as a change does: at once if the page is visible, else when it is shown.
    """
    pending = False

    def on_change(*_: param.parameterized.Event) -> None:
        nonlocal pending
        pending = not main.visible
        if main.visible:
            work()

    def on_visible(event: param.parameterized.Event) -> None:
        if event.new and pending:
            on_change()

    selection.param.watch(on_change, list(on))
    main.param.watch(on_visible, "visible")
    return on_change
