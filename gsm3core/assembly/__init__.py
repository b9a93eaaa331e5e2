"""Assembly of SiteDatasets from the readers' output, and joining of two SiteDatasets."""
