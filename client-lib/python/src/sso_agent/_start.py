"""Starts the agent when nobody listens.

The hard part is many clients at once. One of them holds the lock and starts the agent, the others wait for
its socket; should the one give up, the next takes its place. The lock is that of ``sso`` and of the Rust
client, so that these wait for each other too. If two agents are started all the same, they settle it between
themselves: the loser exits with ``ANOTHER_RUNS``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from time import monotonic, sleep

from . import _errors, _places
from ._connection import Connection, Empty

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

#: What an agent exits with when another one is there already.
ANOTHER_RUNS = 75
#: How long an agent may take until it listens, in seconds.
_PATIENCE = 5.0
#: The first pause between two looks, and the longest.
_PAUSES = (0.002, 0.1)
#: A log larger than this is put aside at the next start.
_LARGEST_LOG = 1 << 20
#: How much of its end is told when the agent did not come up.
_TOLD_BYTES, _TOLD_LINES = 2048, 3

#: What the agent is given of the environment. Everything else (tokens of other tools among it) stays out of
#: a process that lives for weeks.
_PASSED = {
    "HOME",
    "USER",
    "LOGNAME",
    "PATH",
    "LANG",
    "TZ",
    "TMPDIR",
    "DBUS_SESSION_BUS_ADDRESS",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "RUST_BACKTRACE",
    "DATABRICKS_CONFIG_FILE",
}
_PASSED_PREFIXES = ("LC_", "XDG_", "SSO_AGENT_")
_PROXIES = {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"}
_PASSED_ON_WINDOWS = {"SYSTEMROOT", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "TEMP", "TMP", "USERNAME"}
#: Paths that are relative to where the client was called.
_PATHS = {"SSO_AGENT_SOCK", "SSO_AGENT_HTTP_SOCK", "SSO_AGENT_CONFIG", "SSO_AGENT_STATE"}

#: Agents that run on as children of this process.
_left_behind: list[int] = []


def start_and_open(path: str) -> Connection:
    """Starts the agent, or waits for whoever does, and connects."""
    starter = _Starter(path)
    try:
        give_up, pause = monotonic() + _PATIENCE, _PAUSES[0]
        while True:
            starter.step()
            try:
                return Connection(path)
            except Empty:
                pass
            if monotonic() > give_up:
                raise starter.too_slow()
            sleep(pause)
            pause = min(pause * 2, _PAUSES[1])
    finally:
        starter.close()


class _Starter:
    """One client's part in starting the agent."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._child: subprocess.Popen[bytes] | None = None
        self._ours = False
        self._left = False
        state = _places.state()
        try:
            _private_folder(state)
            self._lock = _private_file(os.path.join(state, "start.lock"))
            self._log = os.path.join(state, "agent.log")
            self._log_start = _length(self._log)
        except OSError as error:
            raise _errors.unreachable(
                f"the state folder {state} cannot be used: {error.strerror}",
                "make it writable, or set SSO_AGENT_STATE",
            ) from None

    def step(self) -> None:
        if self._left:
            return
        if self._child is not None:
            self._look_at_the_child(self._child)
        elif self._ours:
            self._start()
        else:
            self._ours = _try_lock(self._lock)

    def _start(self) -> None:
        _bury()
        self._rotate()
        program = find_program()
        if program is None:
            raise _errors.unreachable(
                "no agent is running, and there is no program sso-agent to start one", "put sso-agent on PATH"
            )
        log = _private_file(self._log)
        try:
            self._child = _launch(program, log)
        except OSError as error:
            hint = f"nobody listens at {self._path}"
            raise _errors.unreachable(f"{program} cannot be started: {error.strerror}", hint) from None
        finally:
            os.close(log)

    def _look_at_the_child(self, child: subprocess.Popen[bytes]) -> None:
        code = child.poll()
        if code == 0:
            # It runs in the background now.
            self._left = True
        elif code == ANOTHER_RUNS:
            # The other one may be about to stop, as in a restart.
            self._child = None
        elif code is not None:
            raise self._failed(f"the agent stopped at its start (exit code {code})")

    def _rotate(self) -> None:
        """Puts a large log aside, over the one that was put aside before."""
        if self._log_start > _LARGEST_LOG:
            try:
                os.replace(self._log, os.path.splitext(self._log)[0] + ".log.old")
                self._log_start = 0
            except OSError:
                pass

    def too_slow(self) -> _errors.SsoAgentError:
        return self._failed(
            f"the agent was started and does not listen at {self._path} after {_PATIENCE:.0f} s"
        )

    def _failed(self, what: str) -> _errors.SsoAgentError:
        last = self._last_lines()
        return _errors.unreachable(f"{what}: {last}" if last else what, f"see {self._log}")

    def _last_lines(self) -> str:
        """What was written last since this start, in one line."""
        try:
            with open(self._log, "rb") as file:
                file.seek(max(self._log_start, _length(self._log) - _TOLD_BYTES))
                text = file.read(_TOLD_BYTES).decode(errors="replace")
        except OSError:
            return ""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return "".join(letter for letter in " | ".join(lines[-_TOLD_LINES:]) if letter.isprintable())

    def close(self) -> None:
        os.close(self._lock)
        if self._child is not None and self._child.returncode is None:
            # It stays, and nobody here waits for its end; so says this to ``Popen``.
            self._child.returncode = 0
            _left_behind.append(self._child.pid)


def find_program() -> str | None:
    """The agent's program: beside Python, as in a virtual environment, or on ``PATH``."""
    name = "sso-agent.exe" if sys.platform == "win32" else "sso-agent"
    folders = [os.path.dirname(sys.executable or ""), *os.environ.get("PATH", "").split(os.pathsep)]
    for folder in folders:
        program = os.path.join(folder, name)
        if os.path.isabs(folder) and os.path.isfile(program) and os.access(program, os.X_OK):
            return program
    return None


def _launch(program: str, log: int) -> subprocess.Popen[bytes]:
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
    return subprocess.Popen(
        [program, "run", "--detach"],
        env=environment(os.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=log,
        # So that it keeps no file system busy.
        cwd=None if sys.platform == "win32" else "/",
        creationflags=flags,
    )


def environment(ours: Mapping[str, str]) -> dict[str, str]:
    """What the agent gets of it."""
    return {
        name: os.path.abspath(value) if name in _PATHS else value
        for name, value in ours.items()
        if _passes(name)
    }


def _passes(name: str) -> bool:
    return (
        name in _PASSED
        or name.startswith(_PASSED_PREFIXES)
        or name.upper() in _PROXIES
        or (sys.platform == "win32" and name.upper() in _PASSED_ON_WINDOWS)
    )


def _bury() -> None:
    """Takes the end of agents that were started here; another one is started when they have ended."""
    if sys.platform == "win32":
        return
    for pid in list(_left_behind):
        try:
            ended, _ = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            ended = pid
        if ended:
            _left_behind.remove(pid)


def _private_folder(path: str) -> None:
    """Makes it and all above it that is not there, for its user alone."""
    if not os.path.isdir(path):
        _private_folder(os.path.dirname(path))
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            if not os.path.isdir(path):
                raise


def _private_file(path: str) -> int:
    """Opens a file for appending that only its user can read."""
    return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)


def _length(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: int) -> bool:
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(file: int) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
