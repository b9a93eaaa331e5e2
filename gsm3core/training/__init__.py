"""Training of one network on one fold."""
