"""Downloads of source files over HTTP, with or without an account."""
