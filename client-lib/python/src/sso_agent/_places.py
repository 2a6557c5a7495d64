"""Where the agent listens and where it keeps things, with the same answers as the agent itself gives; and how
to get there, now and again.
"""

from __future__ import annotations

import os
import sys

from ._connection import Connection, Empty
from ._errors import nobody, unreachable

SOCK = "SSO_AGENT_SOCK"
STATE = "SSO_AGENT_STATE"

#: The longest path of a Unix socket, in bytes, without its final NUL.
_LONGEST = 107 if sys.platform.startswith("linux") else 103


class Route:
    """A place, and whether an agent is started where none listens."""

    __slots__ = ("_start", "path")

    def __init__(self, socket: str | None, start: bool) -> None:
        self.path = default_socket() if socket is None else socket
        self._start = start

    def open(self) -> Connection:
        """Connects, and starts the agent where that is wanted and helps."""
        try:
            return Connection(self.path)
        except Empty:
            pass
        if not self._start:
            raise nobody(self.path)
        from . import _start

        return _start.start_and_open(self.path)


def to(socket: str | os.PathLike[str] | None, start: bool | None) -> Route:
    """To a socket of the caller's choice, which must be running, or to this user's own."""
    if socket is not None:
        return Route(os.path.abspath(os.fspath(socket)), start=False)
    return Route(None, os.environ.get("SSO_AGENT_AUTOSTART") != "0" if start is None else start)


def default_socket() -> str:
    """Where JSON-RPC is spoken."""
    path = _chosen(SOCK)
    if path is None:
        path = _promised_socket()
    length = len(os.fsencode(path))
    if sys.platform != "win32" and length > _LONGEST:
        raise unreachable(
            f"the socket path {path} has {length} bytes, more than the {_LONGEST} that a socket may have",
            f"set {SOCK} to a shorter one",
        )
    return path


def state() -> str:
    """Where sealed sessions, the lock and the log are."""
    return _chosen(STATE) or os.path.join(_state_home(), "sso-agent")


def _promised_socket() -> str:
    if sys.platform == "win32":
        from . import _pipe

        return _pipe.default_name()
    own = "TMPDIR" if sys.platform == "darwin" else "XDG_RUNTIME_DIR"
    folder = os.environ.get(own, "")
    # The XDG base directory specification: a relative path is invalid and to be ignored.
    base = os.path.join(folder, "sso-agent") if os.path.isabs(folder) else os.path.join(state(), "run")
    return os.path.join(base, "agent.sock")


def _chosen(variable: str) -> str | None:
    value = os.environ.get(variable)
    if value is None:
        return None
    if not value:
        raise unreachable(
            f"{variable} is set to '', which is no usable path",
            "correct the environment variable and try again",
        )
    if value.startswith("\\\\.\\pipe\\"):
        return value
    return value if os.path.isabs(value) else os.path.join(os.getcwd(), value)


def _state_home() -> str:
    if sys.platform == "win32":
        folder = os.environ.get("LOCALAPPDATA", "")
        return folder if os.path.isabs(folder) else os.path.join(_home(), "AppData", "Local")
    if sys.platform == "darwin":
        return os.path.join(_home(), "Library", "Application Support")
    folder = os.environ.get("XDG_STATE_HOME", "")
    return folder if os.path.isabs(folder) else os.path.join(_home(), ".local", "state")


def _home() -> str:
    home = os.path.expanduser("~")
    if home == "~" or not home:
        raise unreachable("this user has no home folder", f"set {SOCK} and {STATE}")
    return home
