"""User tables of soil moisture: reading, checks, and addition to a dataset."""
