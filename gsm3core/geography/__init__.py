"""Geography of the sites: regions, grids, coordinates, aspect and coastlines."""
