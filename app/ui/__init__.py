"""Widgets, layout and formatting that pages share; no page-specific content."""
