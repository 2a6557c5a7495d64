"""The agent's named pipe, on Windows. Its name carries the user's SID.

A pipe knows no timeout: there the agent's own deadline has to do.
"""

from __future__ import annotations

import sys

if sys.platform == "win32":
    import _winapi
    import ctypes
    import msvcrt
    import os
    from ctypes import wintypes

    from ._connection import Empty
    from ._errors import unreachable

    #: Who listens may learn who we are, and not act as us.
    _SQOS_IDENTIFICATION = 0x00100000 | 0x00010000
    _QUERY_LIMITED_INFORMATION = 0x1000
    _TOKEN_QUERY = 0x0008
    _TOKEN_USER = 1
    _ERROR_PIPE_BUSY = 231
    _BUSY_MS = 5000

    _kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
    _advapi32 = ctypes.WinDLL("advapi32", use_last_error=True)
    _kernel32.GetCurrentProcess.restype = wintypes.HANDLE
    _kernel32.OpenProcess.restype = wintypes.HANDLE
    _kernel32.LocalFree.argtypes = [ctypes.c_void_p]

    def default_name() -> str:
        """Where this user's agent listens."""
        return rf"\\.\pipe\sso-agent-{_user_of(_kernel32.GetCurrentProcess())}"

    class Pipe:
        """A pipe with the face of a socket, as far as it is needed."""

        def __init__(self, path: str) -> None:
            handle = _open(path)
            try:
                _trust(handle, path)
                self._file = msvcrt.open_osfhandle(handle, os.O_RDWR)
            except BaseException:
                _winapi.CloseHandle(handle)
                raise

        def settimeout(self, seconds: float | None) -> None:
            """Nothing that a pipe could do."""

        def sendall(self, data: bytes) -> None:
            while data:
                data = data[os.write(self._file, data) :]

        def recv(self, most: int) -> bytes:
            try:
                return os.read(self._file, most)
            except BrokenPipeError:
                return b""

        def shutdown(self, how: int) -> None:
            self.close()

        def close(self) -> None:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1

    def _open(path: str) -> int:
        access = _winapi.GENERIC_READ | _winapi.GENERIC_WRITE
        for last in (False, True):
            try:
                return _winapi.CreateFile(path, access, 0, 0, _winapi.OPEN_EXISTING, _SQOS_IDENTIFICATION, 0)
            except FileNotFoundError:
                raise Empty from None
            except OSError as error:
                if error.winerror != _ERROR_PIPE_BUSY or last:
                    hint = "run `sso agent restart`, or set SSO_AGENT_SOCK"
                    raise unreachable(f"the agent at {path} cannot be reached: {error}", hint) from None
                _winapi.WaitNamedPipe(path, _BUSY_MS)
        raise AssertionError("the second try returns or raises")

    def _trust(handle: int, path: str) -> None:
        """Checks who listens, by what the kernel says."""
        process = wintypes.ULONG()
        server = None
        if _kernel32.GetNamedPipeServerProcessId(wintypes.HANDLE(handle), ctypes.byref(process)):
            server = _kernel32.OpenProcess(_QUERY_LIMITED_INFORMATION, False, process)
        if not server:
            raise unreachable(f"the system does not say who listens at {path}", "nothing was sent")
        try:
            if _user_of(server) != _user_of(_kernel32.GetCurrentProcess()):
                raise unreachable(f"what listens at {path} belongs to another user", "nothing was sent")
        finally:
            _winapi.CloseHandle(server)

    def _user_of(process: int) -> str:
        """The SID of the user that a process runs as."""
        token = wintypes.HANDLE()
        _check(_advapi32.OpenProcessToken(wintypes.HANDLE(process), _TOKEN_QUERY, ctypes.byref(token)))
        try:
            buffer = ctypes.create_string_buffer(256)
            length = wintypes.DWORD()
            _check(
                _advapi32.GetTokenInformation(token, _TOKEN_USER, buffer, len(buffer), ctypes.byref(length))
            )
            # TOKEN_USER begins with a pointer to the SID.
            sid = ctypes.cast(buffer, ctypes.POINTER(ctypes.c_void_p)).contents
            text = wintypes.LPWSTR()
            _check(_advapi32.ConvertSidToStringSidW(sid, ctypes.byref(text)))
            try:
                return str(text.value)
            finally:
                _kernel32.LocalFree(ctypes.cast(text, ctypes.c_void_p))
        finally:
            _kernel32.CloseHandle(token)

    def _check(done: int) -> None:
        if not done:
            raise ctypes.WinError(ctypes.get_last_error())
