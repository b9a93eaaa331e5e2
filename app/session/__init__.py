"""The state of one browser session: selection, URL, loading."""
