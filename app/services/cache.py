"""Bounded caches of results, shared by all sessions and safe between threads."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from pathlib import Path
from threading import Lock
from typing import Generic, TypeVar

from cachetools import LRUCache

T = TypeVar("T")


class ResultCache(Generic[T]):
    """Results by key; the least recently used one is dropped first.

    Parameters
    ----------
    size
        Maximum number of results.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._results: LRUCache[Hashable, T] = LRUCache(size)
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._results)

    def __contains__(self, key: Hashable) -> bool:
        with self._lock:
            return key in self._results

    def get(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return the result of ``key``, from ``compute`` if it is not cached.

        The lock is not held while computing: two threads may both compute a result, neither waits for the other, and
        both return the one stored first.
        """
        with self._lock:
            if key in self._results:
                return self._results[key]
        result = compute()
        with self._lock:
            return self._results.setdefault(key, result)

    def cached(self, path: Path, key: Hashable, compute: Callable[[], T]) -> T:
        """Return the result of ``key`` computed from a file; a file that changed on disk is read again.

        Parameters
        ----------
        path
            Dataset or run file.
        key
            What else determines the result; ``()`` for the file alone.
        compute
            Computes the result.
        """
        return self.get(_file_key(path, key), compute)

    def is_cached(self, path: Path, key: Hashable) -> bool:
        """Return whether :meth:`cached` has the result."""
        return _file_key(path, key) in self


def file_version(path: Path) -> tuple[int, int]:
    """Return modification time (ns) and size of a file or of a Zarr store's folder; zeros if it does not exist.

    A Zarr store is replaced as a whole (:func:`gsm3core.schema.save_dataset`), so that its folder's time is enough.
    """
    try:
        stat = path.stat()
    except FileNotFoundError:
        return 0, 0
    return stat.st_mtime_ns, stat.st_size


def _file_key(path: Path, key: Hashable) -> Hashable:
    return path, file_version(path), key
