"""How to get to the agent, now and again."""

from __future__ import annotations

import os

from . import _errors, _places
from ._connection import Connection, Empty


class Route:
    """A place, and whether an agent is started where none listens."""

    __slots__ = ("_start", "path")

    def __init__(self, socket: str | None, start: bool) -> None:
        self.path = _places.socket() if socket is None else socket
        self._start = start

    def open(self) -> Connection:
        """Connects, and starts the agent where that is wanted and helps."""
        try:
            return Connection(self.path)
        except Empty:
            pass
        if not self._start:
            raise _errors.nobody(self.path)
        from . import _start

        return _start.start_and_open(self.path)


def to(socket: str | os.PathLike[str] | None, start: bool | None) -> Route:
    """To a socket of the caller's choice, which must be running, or to this user's own."""
    if socket is not None:
        return Route(os.path.abspath(os.fspath(socket)), bool(start))
    return Route(None, os.environ.get("SSO_AGENT_AUTOSTART") != "0" if start is None else start)
