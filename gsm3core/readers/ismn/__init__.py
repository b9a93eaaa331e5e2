"""ISMN archives: sensors, static variables and daily soil moisture."""
