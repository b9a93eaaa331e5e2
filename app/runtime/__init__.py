"""Threads, event-loop batching and session lifetime of the server."""
