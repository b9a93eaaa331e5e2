"""Benchmarks of speed and accuracy: ``python benchmarks/run.py NAME`` or ``make bench``."""
