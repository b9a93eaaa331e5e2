"""Workaround: load every style sheet and icon from this server, so that the dashboard works without internet.

Package: panel 1.9.4.
Issue: https://github.com/holoviz/panel/issues/5440 for the icon of the login page; none known for the style sheets.
Problem: a document made for a browser whose session has expired has no ``dist_url``, and Panel then points its style
    sheets to its CDN. The login and logout pages request their icon from another server.
Remove: when Panel uses the server's own resources in both.
"""

from __future__ import annotations

from bokeh.document import Document
from panel.io.resources import LOCAL_DIST

from gsm3core.resources import assets_folder


def use_local_stylesheets(document: Document | None) -> None:
    """Let a document load Panel's style sheets from this server."""
    if document is not None:
        document.template_variables.setdefault("dist_url", LOCAL_DIST)


def login_templates() -> dict[str, str]:
    """Return the arguments of :func:`panel.serve` for login and logout pages without external resources."""
    return {
        "login_template": str(assets_folder() / "login.html"),
        "logout_template": str(assets_folder() / "logout.html"),
    }
