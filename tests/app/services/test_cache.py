"""Result cache: bounded, per file version, and without waiting between threads."""

from __future__ import annotations

import os
from threading import Barrier, Thread

from app.services.cache import ResultCache, file_version


def test_least_recently_used_result_is_dropped():
    cache: ResultCache[int] = ResultCache(2)
    for key in ("a", "b", "a", "c"):
        cache.get(key, lambda: 1)
    assert len(cache) == 2
    assert "a" in cache
    assert "b" not in cache


def test_changed_file_is_computed_again(tmp_path):
    path = tmp_path / "data.nc"
    path.write_text("one")
    cache: ResultCache[str] = ResultCache(4)
    assert cache.cached(path, "key", path.read_text) == "one"
    assert cache.is_cached(path, "key")
    assert not cache.is_cached(path, "other")
    before = path.stat().st_mtime_ns
    path.write_text("three")
    os.utime(path, ns=(before, before))  # a size change alone is enough
    assert not cache.is_cached(path, "key")
    assert cache.cached(path, "key", path.read_text) == "three"


def test_missing_file_has_a_version(tmp_path):
    assert file_version(tmp_path / "none.nc") == (0, 0)


def test_threads_compute_without_waiting_and_share_a_result():
    cache: ResultCache[object] = ResultCache(4)
    both_compute = Barrier(2)
    results: list[object] = []

    def compute():
        both_compute.wait(10)  # breaks if one thread waits for the other's result
        return object()

    threads = [Thread(target=lambda: results.append(cache.get("key", compute))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(results) == 2
    assert results[0] is results[1]
