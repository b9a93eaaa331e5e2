"""The ``gsm3`` command line."""

from gsm3core.cli.main import app, main

__all__ = ["app", "main"]
