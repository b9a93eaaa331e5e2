"""Workaround: a loading overlay that leaves the page visible.

Package: panel-material-ui 0.16.6.
Issue: none known.
Problem: the loading overlay hides the page until the last plot is rendered, although the first are there seconds earlier.
    It must still block clicks, see :mod:`app.runtime.first_render`.
Remove: when the overlay can be styled or disabled by a parameter of ``pmui.Page``.
"""

from __future__ import annotations

TRANSPARENT_OVERLAY = """
#loader { background: none; cursor: progress; }
#loader .spinner { width: 34px; height: 34px; border-color: rgba(127,127,127,.25); border-top-color: #0f6b7b; }
"""
"""CSS for ``raw_css`` of the page."""
