"""Open files: the limit that a server with many kernels and tabs runs into."""

from __future__ import annotations


def raise_open_files(wanted: int | None) -> tuple[int, int] | None:
    """Raise the soft limit of open files to ``wanted``, as far as the hard limit allows.

    :returns: the limit before and after, where it was changed.
    """
    try:
        from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit, setrlimit
    except ImportError:  # not there on Windows
        return None
    soft, hard = getrlimit(RLIMIT_NOFILE)
    if wanted is None or soft == RLIM_INFINITY:
        return None
    new = wanted if hard == RLIM_INFINITY else min(wanted, hard)
    if new <= soft:
        return None
    setrlimit(RLIMIT_NOFILE, (new, hard))
    return soft, new
