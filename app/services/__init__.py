"""Data services of the dashboard: reading, caching, scoring and summarising; no widgets."""
