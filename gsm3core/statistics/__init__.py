"""Statistical inference: bootstrap intervals, hypothesis tests and spatial autocorrelation."""
