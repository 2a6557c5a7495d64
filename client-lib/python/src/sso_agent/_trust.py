"""Whether what is at the socket's place is this user's own agent.

A request may hold a secret and an answer is believed, so that somebody who got there first must not be
taken for the agent: folder, socket and process are checked before a byte is written.
"""

from __future__ import annotations

import os
import stat
import sys

from ._errors import AgentUnreachable, unreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket

#: The group, or everybody, may put something else in its place.
_OTHERS_WRITE = 0o022

# ``struct ucred`` of Linux is pid, uid, gid; ``struct xucred`` of macOS and FreeBSD is version, uid, …: in
# both the second word of 32 bits is the user.
if sys.platform.startswith("linux"):
    import _socket

    _PEER = (_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
else:
    _PEER = (0, 0x001, 76)


if sys.platform != "win32":

    def place(path: str) -> None:
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

    def peer(stream: socket, path: str) -> None:
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


def _distrust(message: str) -> AgentUnreachable:
    return unreachable(
        message,
        "nothing was sent; set SSO_AGENT_SOCK to a path in a folder that only you can write (mode 0700)",
    )
