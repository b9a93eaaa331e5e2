"""One run, or the experiments of one dataset, as a self-contained page with every table beside it."""

from gsm3core.report.write import write_report

__all__ = ["write_report"]
