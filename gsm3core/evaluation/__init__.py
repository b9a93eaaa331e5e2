"""How good a soil-moisture product is, site by site, and how sure that is."""
