"""Locks that a child process finds free, whichever thread held them when its parent forked.

A child has only the thread that forked. A lock that another thread held would stay locked in it for
ever; so owners get new ones. LLVM cannot be renewed in this way: a fork waits until it is at rest,
see `machine`.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import Any

_MAKERS: weakref.WeakKeyDictionary[Any, Callable[[], Any]] = weakref.WeakKeyDictionary()


def give_lock(owner: Any, make: Callable[[], Any] = threading.Lock) -> None:
    """Put a lock into `owner._lock`, and in a child process another one.

    >>> class Owner: pass
    >>> owner = Owner()
    >>> give_lock(owner)
    >>> owner._lock.locked()
    False
    """
    owner._lock = make()
    _MAKERS[owner] = make


def _after_fork() -> None:
    for owner, make in list(_MAKERS.items()):
        owner._lock = make()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
