"""Random training windows of a fold, from memory or from a Zarr store."""

from gsm3core.windows.resident import TrainingWindows, training_windows
from gsm3core.windows.source import Batch, WindowSource
from gsm3core.windows.stored import StoredWindows, stored_windows
from gsm3core.windows.streams import Stream, training_streams

__all__ = [
    "Batch",
    "StoredWindows",
    "Stream",
    "TrainingWindows",
    "WindowSource",
    "stored_windows",
    "training_streams",
    "training_windows",
]
