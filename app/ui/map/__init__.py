"""Maps of sites in web-Mercator coordinates."""
