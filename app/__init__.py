"""The dashboard: a view of the runs and datasets on disk; it reads them, and never trains."""
