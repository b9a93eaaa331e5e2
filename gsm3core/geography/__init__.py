"""Where sites are and how the ground around them lies."""
