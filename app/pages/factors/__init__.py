"""The Factors page."""
