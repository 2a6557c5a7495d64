"""A token that is always at hand.

The hard part is many threads at once: one fetches, the others wait for it, and when it fails they share the
failure instead of each failing anew. While the old token is good for a while yet they do not even wait.
"""

from __future__ import annotations

from time import monotonic, time

from . import _agent, _errors, _fork, _token

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from typing import Any

#: A token is fetched anew so many seconds before its end, or at half of its life if that is shorter.
_MARGIN = 60.0
#: With less than this left no SDK uses a token, since Azure turns down one that has 30 s left.
_LAST = 40.0
#: How long a token that is still valid is handed out without another try after one failed, in seconds.
_PAUSE = 5.0


class _Held:
    """A token, and until when, by both clocks: the steady one stands still in suspend, the other is set."""

    __slots__ = ("fresh", "fresh_wall", "token", "usable", "valid", "valid_wall")

    def __init__(self, token: _token.Token, min_valid: float) -> None:
        now, wall, left = monotonic(), time(), float(token.expires_in)
        margin = min(max(_MARGIN, min_valid), left / 2)
        self.token = token
        self.fresh, self.fresh_wall = now + left - margin, wall + left - margin
        self.usable = now + left - min(_LAST, left / 4)
        self.valid, self.valid_wall = now + left, wall + left

    def is_valid(self) -> bool:
        return monotonic() < self.valid and time() < self.valid_wall

    def is_usable(self) -> bool:
        return monotonic() < self.usable and time() < self.valid_wall


class TokenSource:
    """Hands out a token from memory, and asks the agent for another when it is nearly over.

        tokens = TokenSource(host="adb-1234567890123456.7.azuredatabricks.net")
        token = tokens.token()
        # … and when a server answers 401:
        tokens.refused(token)

    For any number of threads, and for processes that are forked from this one.
    """

    def __init__(
        self,
        *,
        host: str | None = None,
        profile: str | None = None,
        session: str | None = None,
        label: str | None = None,
        account_id: str | None = None,
        handle: str | None = None,
        scopes: str | Sequence[str] = (),
        min_valid: _agent.Seconds | None = None,
        wait: _agent.Seconds | None = None,
        socket: str | os.PathLike[str] | None = None,
    ) -> None:
        """Says which token, as :meth:`sso_agent.Agent.token` has it, and of which agent."""
        self._which: dict[str, Any] = {
            "host": host,
            "profile": profile,
            "session": session,
            "label": label,
            "account_id": account_id,
            "handle": handle,
        }
        self._scopes = tuple(_agent.words(scopes))
        self._min_valid = min_valid
        self._margin = 0.0 if min_valid is None else float(_agent.whole_seconds(min_valid))
        self._wait = wait
        self._socket = socket
        self._held: _Held | None = None
        self._refused: str | None = None
        self._failed_at: float | None = None
        self._failure: _errors.SsoAgentError | None = None
        self._fetches = 0
        self._lock = _fork.Lock()
        _fork.watch(self)

    def token(self) -> _token.Token:
        """Gives a token that stays valid for another minute, or for half of its life.

        While the agent cannot give another, the one at hand is handed out until it ends.
        """
        held = self._held
        if held is not None and monotonic() < held.fresh and time() < held.fresh_wall:
            return held.token
        return self._another(held)

    def headers(self) -> dict[str, str]:
        """The header of a request."""
        return {"Authorization": f"Bearer {self.token().access_token}"}

    def refused(self, token: _token.Token | str) -> None:
        """Says that a server turned this token (or the one with this id) down, so that another is fetched."""
        token_id = token.token_id if isinstance(token, _token.Token) else token
        held = self._held
        if held is not None and held.token.token_id == token_id:
            self._refused = token_id
            self._held = None

    def _another(self, held: _Held | None) -> _token.Token:
        before = self._fetches
        if not self._lock.acquire(blocking=False):
            if held is not None and held is self._held and held.is_usable():
                return held.token
            self._lock.acquire()
        try:
            return self._fetched(before)
        finally:
            self._lock.release()

    def _fetched(self, before: int) -> _token.Token:
        """Shares what came of a fetch that ended after the first ``before`` of them, or fetches."""
        ready = self._ready()
        if ready is not None:
            return ready
        if self._fetches != before and self._failure is not None:
            raise self._failure.with_traceback(None)
        try:
            token = self._fetch()
        except _errors.SsoAgentError as error:
            return self._after(error)
        finally:
            self._fetches += 1
        self._held = _Held(token, self._margin)
        self._refused = self._failed_at = self._failure = None
        return token

    def _ready(self) -> _token.Token | None:
        held = self._held
        if held is None:
            return None
        if monotonic() < held.fresh and time() < held.fresh_wall:
            return held.token
        pausing = self._failed_at is not None and monotonic() - self._failed_at < _PAUSE
        return held.token if pausing and held.is_valid() else None

    def _after(self, error: _errors.SsoAgentError) -> _token.Token:
        """An old token that is valid yet rather than an error, except where the agent does not want it used."""
        if isinstance(error, _errors.Refused):
            self._held = None
        self._failed_at, self._failure = monotonic(), error
        held = self._held
        if held is not None and held.is_valid():
            return held.token
        raise error

    def _fetch(self) -> _token.Token:
        with _agent.Agent.connect(socket=self._socket) as agent:
            return agent.token(
                **self._which,
                scopes=self._scopes,
                min_valid=self._min_valid,
                refused=self._refused,
                wait=self._wait,
            )

    def after_fork(self) -> None:
        """In the child: a thread of the parent may have held it."""
        self._lock = _fork.Lock()
