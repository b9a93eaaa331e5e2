"""Widgets bound to the selection in both directions: a change by the user is reported, one by the program is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import panel as pn
import param


class UserChanges:
    """Report the changes that a user makes in widgets, but not those made inside :meth:`silenced`.

    ``Widget.from_param`` binds both directions where a widget's value is the selection's value; here the options
    follow from the data and one value may be shown by several widgets.
    """

    def __init__(self) -> None:
        self._silenced = 0

    def watch(
        self,
        widget: pn.widgets.Widget,
        handler: Callable[[Any], object],
        *,
        parameter: str = "value",
        accept_none: bool = False,
    ) -> None:
        """Call ``handler`` with the new value whenever the user changes it.

        Parameters
        ----------
        widget, parameter
            The widget and the parameter watched.
        handler
            Called with the new value.
        accept_none
            Whether ``None`` is a value; otherwise it is ignored.
        """

        def changed(event: param.parameterized.Event) -> None:
            if not self._silenced and (accept_none or event.new is not None):
                handler(event.new)

        widget.param.watch(changed, parameter)

    @contextmanager
    def silenced(self) -> Iterator[None]:
        """Update widgets in this block without reporting it as a user's change."""
        self._silenced += 1
        try:
            yield
        finally:
            self._silenced -= 1

    @property
    def is_silenced(self) -> bool:
        """Whether widgets are being updated by the program."""
        return self._silenced > 0
