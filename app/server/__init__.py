"""The server process: start, access control, and the page's shell."""
