"""Work that follows the selection only while its page is in sight."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import panel as pn
import param

from app.session.selection import Selection


def while_visible(
    main: pn.Column, selection: Selection, on: Sequence[str], work: Callable[[], None]
) -> Callable[[], None]:
    """Call ``work`` when a part of the selection changes; out of sight, once when the page is turned to again.

    Parameters
    ----------
    main
        What the page shows.
    selection, on
        Of the visitor, and which parts of it.
    work
        Draws or computes. A plot that is first drawn out of sight has no size and fails in the browser, and what
        nobody sees need not be computed.

    Returns
    -------
    Callable
        Asks for the work as a change does: at once in sight, else when the page is turned to.
    """
    owed = False

    def changed(*_: param.parameterized.Event) -> None:
        nonlocal owed
        owed = not main.visible
        if main.visible:
            work()

    def turned(event: param.parameterized.Event) -> None:
        if event.new and owed:
            changed()

    selection.param.watch(changed, list(on))
    main.param.watch(turned, "visible")
    return changed
