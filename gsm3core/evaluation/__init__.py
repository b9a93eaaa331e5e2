"""Evaluation of soil-moisture products at sites: scores, intervals, comparisons and strata."""
