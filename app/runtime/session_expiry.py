"""Workaround: expire a session soon after its last connection is lost, but not before its page was loaded.

Package: bokeh 3.9.2.
Issue: none known for the lifetimes; https://github.com/bokeh/bokeh/issues/14416 for the blank page after expiry.
Problem: one setting, ``unused_session_lifetime_milliseconds``, covers both a session that was never connected and one
    whose tab was closed. If short, a slow browser connects after its session has expired and stays blank, because the
    new session's models have other ids. If long, closed tabs hold some megabytes each.
Remove: when Bokeh has separate lifetimes, or reloads the page of an expired session.
"""

from __future__ import annotations

from bokeh.document import Document
from bokeh.events import ConnectionLost
from tornado.ioloop import IOLoop

NEVER_CONNECTED_MILLISECONDS = 300_000  # as long as Bokeh's session tokens are valid
GRACE_SECONDS = 30.0  # for a tab that reconnects


def expire_after_disconnect(document: Document | None, grace: float = GRACE_SECONDS) -> None:
    """Expire a session after its last connection is lost, unless it reconnects.

    Parameters
    ----------
    document
        The session's document; ``None`` outside a server (script, test).
    grace
        Seconds between the loss of the connection and the expiry.
    """
    if document is None or document.session_context is None:
        return

    def expire() -> None:
        context = document.session_context
        session = context.session if context is not None and not context.destroyed else None
        if session is not None and session.connection_count == 0:
            session.request_expiration()

    def on_connection_lost(_: ConnectionLost) -> None:
        IOLoop.current().call_later(grace, expire)

    document.on_event(ConnectionLost, on_connection_lost)
