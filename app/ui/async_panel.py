"""Panel of one result: computed in the background with a progress line, drawn when the page is visible."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import panel as pn

from app.runtime.tasks import LatestTask
from app.session.selection import Selection
from app.ui.status_line import StatusLine
from app.ui.visibility import while_visible

T = TypeVar("T")


class AsyncPanel(Generic[T]):
    """Part of a page that is filled when its result is computed.

    Parameters
    ----------
    main
        The page; nothing is drawn while it is hidden.
    selection
        A change of the theme redraws the result.
    message
        Shown while computing.
    draw
        Draws a result and returns its views, the same objects every time.
    long
        Whether computing takes many seconds, see :class:`app.runtime.tasks.LatestTask`.
    """

    def __init__(
        self,
        main: pn.Column,
        selection: Selection,
        message: str,
        draw: Callable[[T], Sequence[pn.viewable.Viewable]],
        *,
        long: bool = False,
    ) -> None:
        self._message = message
        self._draw_result = draw
        self._status = StatusLine()
        self._body = pn.Column(sizing_mode="stretch_width", margin=0)
        self.column = pn.Column(self._status.column, self._body, sizing_mode="stretch_width", margin=0)
        self.result: T | None = None
        self.busy = False
        self._task: LatestTask[T] = LatestTask(self._show, self._fail, long=long)
        self._redraw = while_visible(main, selection, ["theme"], self._draw)

    def compute(self, work: Callable[[], T], *, immediate: bool = False) -> None:
        """Compute the result in the background; ``immediate`` for a cached one, which needs no thread."""
        if immediate:
            self._task.run_now(work)
            return
        self.busy = True
        self._status.begin(self._message)
        self._task.run_in_background(work)

    def clear(self) -> None:
        """Remove the result, which no longer fits the selection."""
        self._task.cancel()
        self.result, self.busy = None, False
        self._status.end()
        self._body.objects = []

    def _show(self, result: T) -> None:
        self.result, self.busy = result, False
        self._status.end()
        self._redraw()

    def _fail(self, problem: str) -> None:
        self.result, self.busy = None, False
        self._body.objects = []
        self._status.fail(problem)

    def _draw(self) -> None:
        if self.result is not None:
            self._body.objects = list(self._draw_result(self.result))
