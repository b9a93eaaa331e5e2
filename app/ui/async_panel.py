"""One thing that a page works out: asked for, computed in a thread under a visible sign, drawn when in sight."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import panel as pn

from app.runtime.tasks import Latest
from app.session.selection import Selection
from app.ui.status_line import StatusLine
from app.ui.visibility import while_visible

T = TypeVar("T")


class AsyncPanel(Generic[T]):
    """A place on the page that fills when its result is there.

    Parameters
    ----------
    main
        What the page shows; nothing is drawn while it is out of sight.
    selection
        Of the visitor; a new theme draws again.
    doing
        What the sign says while it is worked out.
    draw
        Draws a result and returns the views, the same ones every time.
    long
        Whether it takes many seconds, see :class:`app.runtime.tasks.Latest`.
    """

    def __init__(
        self,
        main: pn.Column,
        selection: Selection,
        doing: str,
        draw: Callable[[T], Sequence[pn.viewable.Viewable]],
        *,
        long: bool = False,
    ) -> None:
        self._doing = doing
        self._draw_result = draw
        self._waiting = StatusLine()
        self._body = pn.Column(sizing_mode="stretch_width", margin=0)
        self.column = pn.Column(self._waiting.column, self._body, sizing_mode="stretch_width", margin=0)
        self.result: T | None = None
        self.busy = False
        self._latest: Latest[T] = Latest(self._take, self._fail, long=long)
        self._redraw = while_visible(main, selection, ["theme"], self._draw)

    def ask(self, work: Callable[[], T], *, quick: bool = False) -> None:
        """Work it out, ``quick`` at once (it is kept already), else in a thread."""
        if quick:
            self._latest.now(work)
            return
        self.busy = True
        self._waiting.begin(self._doing)
        self._latest.later(work)

    def clear(self) -> None:
        """Forget the result: it no longer answers what is asked."""
        self._latest.drop()
        self.result, self.busy = None, False
        self._waiting.end()
        self._body.objects = []

    def _take(self, result: T) -> None:
        self.result, self.busy = result, False
        self._waiting.end()
        self._redraw()

    def _fail(self, problem: str) -> None:
        self.result, self.busy = None, False
        self._body.objects = []
        self._waiting.fail(problem)

    def _draw(self) -> None:
        if self.result is not None:
            self._body.objects = list(self._draw_result(self.result))
