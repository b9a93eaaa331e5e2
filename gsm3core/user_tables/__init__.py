"""A user's own tables: checked, read, and joined to a dataset."""
