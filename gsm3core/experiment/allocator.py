"""Settings of a training process: how threads wait, and whether freed memory is kept."""

from __future__ import annotations

import ctypes
import os

# Parameters of glibc's mallopt (malloc.h).
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
# Any of these means that the user has configured the allocator.
_USER_SETTINGS = (
    "MALLOC_MMAP_MAX_",
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_TRIM_THRESHOLD_",
    "GLIBC_TUNABLES",
    "LD_PRELOAD",
)


def prepare_process() -> None:
    """Set what torch reads from the environment before it is imported, and keep freed memory; for a command's own process.

    Notes
    -----
    Threads that wait actively for each other stall as soon as anything else needs a core: measured on two shared
    cores, one training step took 5 to 10 s with the default and 0.3 s with a passive wait. Huge pages save page faults
    on new memory. Variables that the user has set are not changed.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    keep_memory()


def keep_memory() -> bool:
    """Let the C library keep large freed blocks instead of returning each to the system.

    Returns
    -------
    bool
        Whether it was set: only with glibc, and not if the environment configures the allocator.

    Notes
    -----
    A training step frees as much as it allocates, hundreds of megabytes of activations, and allocates them again in the
    next one. By default glibc maps every block above 32 MB anew, zeroed page by page: a fifth to a third of a step
    (docs/performance.md). The process keeps its largest size until it ends, so this is not for a server
    (M_MMAP_MAX and M_TRIM_THRESHOLD in https://man7.org/linux/man-pages/man3/mallopt.3.html).
    """
    if any(name in os.environ for name in _USER_SETTINGS):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, or Windows
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, -1))
