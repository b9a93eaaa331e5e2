"""ERA5 and ERA5-Land in the layouts in which they are delivered."""
