"""Exports: figures, tables, netCDF, and scripts that reproduce the numbers on the page."""
