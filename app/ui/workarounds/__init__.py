"""One file per defect of a dependency, each with the version, the link and when to delete it."""
