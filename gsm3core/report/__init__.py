"""Evaluation report of a run, or of the experiments of one dataset: an HTML page with its tables and scores."""

from gsm3core.report.write import write_report

__all__ = ["write_report"]
