"""From what readers give to a SiteDataset, and from two SiteDatasets to one."""
