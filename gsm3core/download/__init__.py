"""Downloading source files over HTTP, with or without an account."""
