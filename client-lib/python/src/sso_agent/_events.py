"""What happens at the agent, as it happens."""

from __future__ import annotations

import json

from . import _errors
from ._connection import HungUp
from ._records import Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._connection import Connection


class Events:
    """An iterator that waits for the next event; ends when it is closed.

    Raises :class:`~sso_agent.AgentUnreachable` when the agent is gone.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._closed = False
        self._waiting = False

    def __iter__(self) -> Events:
        return self

    def __next__(self) -> Event:
        while not self._closed:
            event = _event(self._line())
            if event is not None:
                return event
        raise StopIteration

    def _line(self) -> bytes:
        self._waiting = True
        try:
            return self._connection.next(None)
        except HungUp:
            if self._closed:
                raise StopIteration from None
            self._closed = True
            raise _errors.hung_up() from None
        finally:
            self._waiting = False
            if self._closed:
                self._connection.close()

    def close(self) -> None:
        """Hangs up; who waits for the next event stops waiting."""
        if self._closed:
            return
        self._closed = True
        self._connection.shut()
        # Under somebody who waits, the number of the socket must not become another file's.
        if not self._waiting:
            self._connection.close()

    def __enter__(self) -> Events:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _event(line: bytes) -> Event | None:
    try:
        message = json.loads(line.decode())
    except ValueError:
        raise _errors.broken("the agent sent what is no JSON-RPC message") from None
    if not isinstance(message, dict) or message.get("method") != "event":
        return None
    params = message.get("params")
    return Event(params) if isinstance(params, dict) and "kind" in params else None
