"""Fitting one network to one fold."""
