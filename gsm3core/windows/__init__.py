"""From a dataset and a fold to random windows for training, out of memory or out of a store on disk."""

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
