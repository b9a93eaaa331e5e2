"""Workaround: a file dropper whose size limit is enforced by the server.

Package: panel 1.9.4.
Issue: none known.
Problem: ``FileDropper(max_file_size=...)`` is checked in the browser only; a client that ignores it can fill the
    server's memory.
Remove: when Panel checks ``max_file_size`` on the server.
"""

from __future__ import annotations

from typing import Any

from panel.widgets import FileDropper


class BoundedFileDropper(FileDropper):
    """File dropper that discards an upload as soon as its chunks exceed a limit.

    Parameters
    ----------
    max_bytes
        Limit of all chunks together.
    """

    def __init__(self, *, max_bytes: int, **params: Any) -> None:
        self._max_bytes = max_bytes
        super().__init__(**params)

    def _process_event(self, event: Any) -> None:
        received = sum(len(chunk) for chunks in self._file_buffer.values() for chunk in chunks)
        chunk = event.data.get("data")
        if event.event_name == "upload_event" and received + len(chunk or b"") > self._max_bytes:
            self._file_buffer.clear()
            return
        super()._process_event(event)
