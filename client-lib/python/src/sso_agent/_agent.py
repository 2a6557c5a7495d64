"""The agent's client: one connection, one call at a time."""

from __future__ import annotations

import json
from time import monotonic

from . import _errors, _fork, _places, _token
from ._connection import Connection, HungUp

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence
    from datetime import timedelta
    from typing import Any, TypeVar, Union

    from ._events import Events
    from ._records import Consented, Info, Session, Step
    from .web import CameBack

    Seconds = Union[float, timedelta]
    _T = TypeVar("_T")

#: How often a call is repeated when the agent stops under it, as it does when it is replaced.
_REPEATS = 3

#: What the agent answers from memory, in seconds.
_AT_ONCE = 10.0
#: What one request to an issuer may take at the agent.
_ISSUER = 45.0
#: How much later than its own deadline the agent may be, so that the reason comes from there.
_MARGIN = 5.0
_DEFAULT_WAIT = 30
_DEFAULT_LOGIN = 300


class Agent:
    """A connection to this user's agent.

        with Agent.connect() as agent:
            token = agent.token(host="adb-1234567890123456.7.azuredatabricks.net")

    It may be shared by threads, which then take turns; after a fork each process has its own. A call that
    changes nothing is made again when the agent is replaced under it.
    """

    def __init__(self, route: _places.Route) -> None:
        """For :meth:`connect`."""
        self._route = route
        self._connection: Connection | None = None
        self._last_id = 0
        self._lock = _fork.Lock()
        _fork.watch(self)

    @classmethod
    def connect(cls, *, socket: str | os.PathLike[str] | None = None, start: bool | None = None) -> Agent:
        """Connects, and starts the agent when none is running.

        ``start=False``, or ``SSO_AGENT_AUTOSTART=0``, connects to a running one only; so does ``socket``,
        which names one by its place.
        """
        agent = cls(_places.to(socket, start))
        agent._connection = agent._route.open()
        return agent

    def __enter__(self) -> Agent:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hangs up; another call connects again."""
        with self._lock:
            self._drop()

    def token(
        self,
        *,
        host: str | None = None,
        profile: str | None = None,
        session: str | None = None,
        label: str | None = None,
        account_id: str | None = None,
        handle: str | None = None,
        scopes: str | Sequence[str] = (),
        min_valid: Seconds | None = None,
        force_refresh: bool = False,
        refused: str | _token.Token | None = None,
        wait: Seconds | None = None,
    ) -> _token.Token:
        """Gives an access token.

        ``host`` as a person would type it; with none named, the only session. ``handle`` is that of a web
        app's user, as :meth:`consent_finish` gave it, and names its session all alone. ``min_valid`` is how long it
        stays valid at least, in seconds: a minute when not said, and never more than half of what the issuer
        gives. ``force_refresh`` asks for one no older than half a minute, ``refused`` for any but that which
        a server turned down. ``wait`` is how long a refresh may take: half a minute when not said.
        """
        params = target(host, profile, session, label, account_id)
        if handle is not None:
            params["handle"] = handle
        if scopes:
            params["scopes"] = words(scopes)
        if min_valid is not None:
            params["min_valid_s"] = whole_seconds(min_valid)
        if force_refresh:
            params["force_refresh"] = True
        if refused is not None:
            params["refused"] = refused.token_id if isinstance(refused, _token.Token) else refused
        patience: int = _DEFAULT_WAIT
        if wait is not None:
            params["wait_s"] = patience = whole_seconds(wait)
        return self._ask("token.get", params, patience + _MARGIN, _token.Token.of_reply)

    def sessions(self) -> list[Session]:
        """All sessions of this user's own, in the order of their ids."""
        return self._listed({})

    def web_sessions(self, *, host: str | None = None) -> list[Session]:
        """The sessions of web apps' users, in the order of their ids; all of them, or those at a host."""
        return self._listed({"web": True, **target(host, None, None, None, None)})

    def _listed(self, params: dict[str, Any]) -> list[Session]:
        from ._records import Session

        sessions: list[Session] = []
        while True:
            part, after = self._ask(
                "session.list",
                params,
                _AT_ONCE,
                lambda reply: ([Session(one) for one in reply["sessions"]], reply.get("next")),
            )
            sessions += part
            if after is None:
                return sessions
            params = {**params, "after": after}

    def session(
        self,
        session: str | None = None,
        *,
        host: str | None = None,
        profile: str | None = None,
        label: str | None = None,
        account_id: str | None = None,
    ) -> Session:
        """One session, by its id or as :meth:`token` finds it."""
        from ._records import Session

        return self._ask("session.show", target(host, profile, session, label, account_id), _AT_ONCE, Session)

    def info(self) -> Info:
        """Who is answering."""
        from ._records import Info

        return self._ask("agent.info", {}, _AT_ONCE, Info)

    def logout(
        self,
        session: str | None = None,
        *,
        host: str | None = None,
        profile: str | None = None,
        label: str | None = None,
        account_id: str | None = None,
    ) -> bool:
        """Revokes a session at its issuer, where that can be done, and forgets it.

        Tells whether the issuer confirmed that the refresh token is worthless now.
        """
        params = target(host, profile, session, label, account_id)
        return bool(self._once("session.logout", params, _ISSUER)["revoked"])

    def login(
        self,
        *,
        host: str | None = None,
        profile: str | None = None,
        label: str | None = None,
        account_id: str | None = None,
        client_id: str | None = None,
        client_secret: str | None = None,
        provider: str | None = None,
        issuer: str | None = None,
        discovery_url: str | None = None,
        scopes: str | Sequence[str] = (),
        flow: str = "browser",
        redirect_port: int | None = None,
        timeout: Seconds | None = None,
        on_step: Callable[[Step], object] | None = None,
    ) -> Session:
        """Signs in and leaves the session with the agent.

        ``on_step`` is told how far it is, and shows or opens the ``url`` of the steps that have one; without
        it the person's browser opens. What it raises takes the sign-in back.
        """
        from ._login import listener
        from ._records import Session

        params = target(host, profile, None, label, account_id)
        more = {
            "client_id": client_id,
            "client_secret": client_secret,
            "provider": provider,
            "issuer": issuer,
            "discovery_url": discovery_url,
            "redirect_port": redirect_port,
        }
        params.update({name: value for name, value in more.items() if value is not None})
        params["flow"] = flow
        if scopes:
            params["scopes"] = words(scopes)
        patience: int = _DEFAULT_LOGIN
        if timeout is not None:
            params["timeout_s"] = patience = whole_seconds(timeout)
        return Session(self._once("session.login", params, patience + _ISSUER, listener(on_step)))

    def consent_start(
        self,
        *,
        host: str,
        account_id: str | None = None,
        client_id: str | None = None,
        app: str | None = None,
        client_secret: str | None = None,
        redirect_url: str | None = None,
        scopes: str | Sequence[str] = (),
        provider: str | None = None,
    ) -> tuple[str, str]:
        """Begins the sign-in of a web app's user; :class:`sso_agent.web.WebApp` is the same with less to say.

        Gives the address to send the browser to, and a text to keep in its web session until the callback.
        """
        params = target(host, None, None, None, account_id)
        more = {
            "client_id": client_id,
            "app": app,
            "client_secret": client_secret,
            "redirect_url": redirect_url,
            "provider": provider,
        }
        params.update({name: value for name, value in more.items() if value is not None})
        if scopes:
            params["scopes"] = words(scopes)
        return self._ask(
            "consent.start",
            params,
            _ISSUER,
            lambda reply: (str(reply["authorization_url"]), str(reply["consent"])),
        )

    def consent_finish(self, consent: str, came_back: CameBack) -> Consented:
        """Ends it: ``came_back`` is the query of the callback as the web framework parsed it, or its address.

        The handle in the answer goes into the web session instead of the consent. A wrong callback uses
        nothing up: whoever sends one has not called off the sign-in.
        """
        from ._records import Consented
        from .web import query

        return Consented(self._once("consent.finish", {"consent": consent, **query(came_back)}, _ISSUER))

    def consent_end(self, handle: str) -> bool:
        """Signs a web app's user out; tells what :meth:`logout` does. One that is over already is no error."""
        return bool(self._once("consent.end", {"handle": handle}, _ISSUER)["revoked"])

    def events(self, *kinds: str) -> Events:
        """What happens from now on, over a connection of its own; of all kinds when none is named."""
        from ._events import Events

        connection = self._route.open()
        try:
            params = {"kinds": list(kinds)} if kinds else {}
            self._talk(connection, "events.subscribe", params, _AT_ONCE, None)
        except HungUp:
            connection.close()
            raise _errors.hung_up() from None
        except BaseException:
            connection.close()
            raise
        return Events(connection)

    def call(self, method: str, params: Mapping[str, Any] | None = None, *, timeout: float = _ISSUER) -> Any:
        """Makes any call of the protocol, and gives its result as it came."""
        return self._once(method, dict(params or {}), timeout)

    def _ask(self, method: str, params: dict[str, Any], timeout: float, read: Callable[[Any], _T]) -> _T:
        """Asks what may be asked again."""
        tries = _REPEATS
        while True:
            try:
                with self._lock:
                    reply = self._talk(self._open(), method, params, timeout, None)
                break
            except HungUp:
                if tries == 0:
                    raise _errors.hung_up() from None
                tries -= 1
        try:
            return read(reply)
        except (AttributeError, KeyError, TypeError, ValueError):
            raise _errors.broken("the agent sent a result of an unexpected shape") from None

    def _once(
        self,
        method: str,
        params: dict[str, Any],
        timeout: float,
        on_step: Callable[[Mapping[str, Any]], object] | None = None,
    ) -> Any:
        """Asks what must not be asked twice, over a connection that was not lost meanwhile."""
        connection = self._route.open()
        try:
            return self._talk(connection, method, params, timeout, on_step)
        except HungUp:
            raise _errors.hung_up() from None
        finally:
            connection.close()

    def _talk(
        self,
        connection: Connection,
        method: str,
        params: dict[str, Any],
        timeout: float,
        on_step: Callable[[Mapping[str, Any]], object] | None,
    ) -> Any:
        self._last_id = number = self._last_id + 1
        request = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        deadline = monotonic() + timeout
        try:
            connection.send(json.dumps(request).encode() + b"\n", deadline)
            while True:
                message = _message(connection.next(deadline))
                if message.get("id") == number or (message.get("id", 0) is None and "error" in message):
                    break
                if on_step is not None and message.get("method") == "session.login.progress":
                    progress = message.get("params")
                    if isinstance(progress, dict) and progress.get("request_id") == number:
                        on_step(progress)
        except BaseException:
            # Whatever is on its way now answers a question that nobody asks any more.
            if connection is self._connection:
                self._drop()
            raise
        if "error" in message:
            raise _errors.refusal(message["error"], method)
        return message.get("result")

    def _open(self) -> Connection:
        if self._connection is None:
            self._connection = self._route.open()
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def after_fork(self) -> None:
        """In the child: what the parent talks on is the parent's."""
        self._lock = _fork.Lock()
        self._drop()


def target(
    host: str | None, profile: str | None, session: str | None, label: str | None, account_id: str | None
) -> dict[str, Any]:
    """Which session is meant."""
    named = {"host": host, "profile": profile, "session": session, "label": label, "account_id": account_id}
    return {name: value for name, value in named.items() if value is not None}


def words(scopes: str | Sequence[str]) -> list[str]:
    """One by one; a text has spaces between them (RFC 6749, 3.3)."""
    return scopes.split() if isinstance(scopes, str) else list(scopes)


def whole_seconds(time: Seconds) -> int:
    """Rounded up: who asks for half a second does not mean none."""
    seconds = time if isinstance(time, (int, float)) else time.total_seconds()
    return max(0, -int(-seconds // 1))


def _message(line: bytes) -> dict[str, Any]:
    try:
        message = json.loads(line.decode())
    except ValueError:
        message = None
    if not isinstance(message, dict):
        raise _errors.broken("the agent sent what is no JSON-RPC message")
    return message
