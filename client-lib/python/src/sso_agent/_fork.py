"""What a child process must not share with its parent: locks that a thread of the parent held, and
connections on which two would talk at once.
"""

from __future__ import annotations

import os
from _thread import allocate_lock as Lock
from _weakref import ref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class _Forks(Protocol):
        def after_fork(self) -> None: ...


__all__ = ["Lock", "watch"]

_watched: set[ref[_Forks]] = set()


def watch(one: _Forks) -> None:
    """Tells it of every fork, in the child, before anything else runs there."""
    _watched.add(ref(one, _watched.discard))


def _in_the_child() -> None:
    for watched in list(_watched):
        one = watched()
        if one is not None:
            one.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_the_child)
