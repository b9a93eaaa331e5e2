"""Synthetic datasets, runs and servers that tests and benchmarks share."""
