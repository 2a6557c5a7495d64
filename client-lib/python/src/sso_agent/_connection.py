"""One connection to the agent: lines out, lines in, each with a deadline.

The hard part is that a request may hold a secret and an answer is believed, so that somebody who got to the
socket's place first must not be taken for the agent: folder, socket and process are checked before a byte is
written.

``_socket`` is the part of ``socket`` that does the work. The rest of it costs a short script a tenth of its
time, and brings nothing here.
"""

from __future__ import annotations

import os
import stat
import sys
from time import monotonic

from . import _errors

if sys.platform != "win32":
    import _socket

TYPE_CHECKING = False
if TYPE_CHECKING and sys.platform == "win32":
    from ._pipe import Pipe

#: The longest message, in bytes without its newline.
MAX_LINE = 1 << 20
_CHUNK = 1 << 16

#: The group, or everybody, may put something else in its place.
_OTHERS_WRITE = 0o022

# ``struct ucred`` of Linux is pid, uid, gid; ``struct xucred`` of macOS and FreeBSD is version, uid, …: in
# both the second word of 32 bits is the user.
if sys.platform.startswith("linux"):
    _PEER = (_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
else:
    _PEER = (0, 0x001, 76)


class HungUp(Exception):
    """The agent stopped, or was replaced."""


class Empty(Exception):
    """Nobody listens: starting an agent helps."""


class Connection:
    """Never used by two threads at once, nor by two processes; who owns it sees to that."""

    __slots__ = ("_read", "_searched", "_stream")

    def __init__(self, path: str) -> None:
        """Opens it, and only if whoever is behind it is this user.

        Raises ``Empty`` where nobody listens.
        """
        self._stream = _open(path)
        self._read = bytearray()
        self._searched = 0

    def send(self, line: bytes, deadline: float | None) -> None:
        """Sends one line."""
        try:
            self._stream.settimeout(_left(deadline))
            self._stream.sendall(line)
        except TimeoutError:
            raise _errors.silent() from None
        except OSError:
            raise HungUp from None

    def next(self, deadline: float | None) -> bytes:
        """The next line that comes."""
        while True:
            found = self._read.find(b"\n", self._searched)
            if found >= 0:
                line = bytes(self._read[:found])
                del self._read[: found + 1]
                self._searched = 0
                return line
            if len(self._read) > MAX_LINE:
                raise _errors.broken("the agent sent a message that is too long")
            self._searched = len(self._read)
            self._receive(deadline)

    def close(self) -> None:
        """Hangs up, which takes back a sign-in that waits on it and nothing else."""
        self._stream.close()

    def shut(self) -> None:
        """Makes whoever waits for a line stop waiting."""
        try:
            self._stream.shutdown(2)
        except OSError:
            pass

    def _receive(self, deadline: float | None) -> None:
        try:
            self._stream.settimeout(_left(deadline))
            chunk = self._stream.recv(_CHUNK)
        except TimeoutError:
            raise _errors.silent() from None
        except OSError:
            raise HungUp from None
        if not chunk:
            raise HungUp
        self._read += chunk


def _left(deadline: float | None) -> float | None:
    if deadline is None:
        return None
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError
    return left


if sys.platform == "win32":

    def _open(path: str) -> Pipe:
        from ._pipe import Pipe

        return Pipe(path)

else:

    def _open(path: str) -> _socket.socket:
        try:
            _check_place(path)
            stream = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
            try:
                stream.settimeout(_CONNECT)
                stream.connect(path)
                _check_peer(stream, path)
            except BaseException:
                stream.close()
                raise
        except (FileNotFoundError, ConnectionRefusedError):
            raise Empty from None
        except OSError as error:
            raise _errors.unreachable(
                f"the agent at {path} cannot be reached: {error.strerror or error}",
                "run `sso agent restart`, or set SSO_AGENT_SOCK",
            ) from None
        return stream

    def _check_place(path: str) -> None:
        """Checks folder and socket."""
        folder = os.path.dirname(path) or "/"
        found = os.stat(folder)
        if not stat.S_ISDIR(found.st_mode):
            raise _distrust(f"{folder} is not a folder")
        _owned(folder, found.st_uid)
        if found.st_mode & _OTHERS_WRITE:
            mode = stat.S_IMODE(found.st_mode) & 0o777
            raise _distrust(f"the socket folder {folder} can be written by other users (mode {mode:03o})")
        found = os.stat(path)
        if not stat.S_ISSOCK(found.st_mode):
            raise _distrust(f"{path} is not a socket")
        _owned(path, found.st_uid)

    def _check_peer(stream: _socket.socket, path: str) -> None:
        """Checks who listens, by what the kernel says."""
        try:
            told = stream.getsockopt(*_PEER)
        except OSError:
            told = b""
        if len(told) < 8:
            raise _distrust(f"the system does not say who listens at {path}")
        uid = int.from_bytes(told[4:8], sys.byteorder)
        if uid != os.geteuid():
            raise _distrust(f"what listens at {path} belongs to user {uid}, not to you")

    def _owned(path: str, uid: int) -> None:
        if uid != os.geteuid():
            raise _distrust(f"{path} belongs to user {uid}, not to you")

    def _distrust(message: str) -> _errors.AgentUnreachable:
        return _errors.unreachable(
            message,
            "nothing was sent; set SSO_AGENT_SOCK to a path in a folder that only you can write (mode 0700)",
        )

    #: How long an agent may take to accept.
    _CONNECT = 5.0

    if sys.version_info < (3, 10):
        TimeoutError = _socket.timeout
