"""State of one browser session: selection, URL, and the loading of scores."""
