"""Workarounds of upstream defects, one per file, with package, version, issue, problem, and when to remove it.

Those that the lower rooms need are :mod:`app.runtime.first_render` and :mod:`app.runtime.session_expiry`.
"""
