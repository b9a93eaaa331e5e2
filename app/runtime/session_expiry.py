"""When a visitor is forgotten: soon after leaving, late while the page has not been seen yet."""

from __future__ import annotations

from bokeh.document import Document
from bokeh.events import ConnectionLost
from tornado.ioloop import IOLoop

# Bokeh's tokens are good for as long. A page whose session has gone before the browser connects stays empty for ever:
# what it then gets has other models than the page was made for.
UNSEEN_MILLISECONDS = 300_000
GRACE_SECONDS = 30.0  # for a tab that loses its connection and comes back; each visitor holds some megabytes


def expire_after_disconnect(document: Document | None, grace: float = GRACE_SECONDS) -> None:
    """Let a session expire a while after its last connection is lost, unless the visitor comes back.

    Parameters
    ----------
    document
        Of the visitor; ``None`` without one (a script, a test).
    grace
        Seconds.
    """
    if document is None or document.session_context is None:
        return

    def expire() -> None:
        context = document.session_context
        session = context.session if context is not None and not context.destroyed else None
        if session is not None and session.connection_count == 0:
            session.request_expiration()

    def lost(_: ConnectionLost) -> None:
        IOLoop.current().call_later(grace, expire)

    document.on_event(ConnectionLost, lost)
