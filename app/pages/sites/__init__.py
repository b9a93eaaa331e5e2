"""The Sites page."""
