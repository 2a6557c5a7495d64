"""What the agent tells: sessions, itself, the steps of a sign-in, events.

A field that this version does not know stays in ``raw``, so that an older package can be used with a newer
agent.
"""

from __future__ import annotations

from ._time import instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from typing import Any


class _Record:
    __slots__ = ("raw",)

    #: All of it, as it was told.
    raw: Mapping[str, Any]

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.raw = raw

    def _text(self, name: str) -> str | None:
        value = self.raw.get(name)
        return None if value is None else str(value)

    def _time(self, name: str) -> datetime | None:
        value = self._text(name)
        return None if value is None else instant(value)

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self.raw.items())
        return f"{type(self).__name__}({fields})"

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and isinstance(other, _Record) and other.raw == self.raw

    __hash__ = None  # type: ignore[assignment]


class Session(_Record):
    """One signed-in identity at one host."""

    __slots__ = ()

    @property
    def id(self) -> str:
        """Stable, readable, not secret: ``adb-1.azuredatabricks.net#work``."""
        return str(self.raw["id"])

    @property
    def host(self) -> str:
        """What its tokens are for, as a URL."""
        return str(self.raw["host"])

    @property
    def label(self) -> str:
        """Tells several accounts at one host apart; empty by default."""
        return self._text("label") or ""

    @property
    def cloud(self) -> str | None:
        """``aws``, ``azure`` or ``gcp`` for a Databricks host."""
        return self._text("cloud")

    @property
    def account_id(self) -> str | None:
        """Of a Databricks account console."""
        return self._text("account_id")

    @property
    def issuer(self) -> str:
        """The authorization server."""
        return str(self.raw["issuer"])

    @property
    def client_id(self) -> str:
        """The OAuth client."""
        return str(self.raw["client_id"])

    @property
    def user(self) -> str | None:
        """Who signed in, as far as the issuer says."""
        return self._text("user")

    @property
    def scopes(self) -> tuple[str, ...]:
        """What was granted."""
        return tuple(self.raw.get("scopes") or ())

    @property
    def state(self) -> str:
        """``active``, ``refreshing``, ``retrying`` or ``login_required``."""
        return str(self.raw["state"])

    @property
    def expires_at(self) -> datetime | None:
        """When the access token ends, in UTC."""
        return self._time("expires_at")

    @property
    def next_refresh_at(self) -> datetime | None:
        """When the next one is fetched, in UTC."""
        return self._time("next_refresh_at")

    @property
    def last_error(self) -> str | None:
        """Why the last refresh failed, if it did."""
        return self._text("last_error")

    @property
    def refreshable(self) -> bool:
        """Whether another access token follows this one; without, only a sign-in helps at its end."""
        return bool(self.raw.get("refreshable", True))

    @property
    def app(self) -> str | None:
        """The name of the app whose user it is, where the agent keeps that app's client."""
        return self._of_web("app")

    @property
    def last_used_at(self) -> datetime | None:
        """When its app last asked for its token, in UTC, where it is a session of a web app's user."""
        value = self._of_web("last_used_at")
        return None if value is None else instant(value)

    @property
    def idle_at(self) -> datetime | None:
        """When it is given up unless its app asks, in UTC, where it is a session of a web app's user."""
        value = self._of_web("idle_at")
        return None if value is None else instant(value)

    def _of_web(self, name: str) -> str | None:
        value = (self.raw.get("web") or {}).get(name)
        return None if value is None else str(value)


class Consented(_Record):
    """The user of a web app has signed in. Its ``repr`` does not tell the handle."""

    __slots__ = ()

    @property
    def handle(self) -> str:
        """The secret that is good for the tokens of this one session."""
        return str(self.raw["handle"])

    @property
    def session(self) -> str:
        """The session's id, which is not secret."""
        return str(self.raw["session"])

    @property
    def user(self) -> str | None:
        """Who signed in, as far as the issuer says."""
        return self._text("user")

    @property
    def scopes(self) -> tuple[str, ...]:
        """What was granted."""
        return tuple(self.raw.get("scopes") or ())

    @property
    def expires_at(self) -> datetime:
        """When the access token ends, in UTC."""
        return instant(self.raw["expires_at"])

    @property
    def refreshable(self) -> bool:
        """Whether another access token follows this one, as it does where ``offline_access`` was granted."""
        return bool(self.raw["refreshable"])

    def __repr__(self) -> str:
        return f"Consented(session={self.session!r}, user={self.user!r})"


class Info(_Record):
    """Who is answering."""

    __slots__ = ()

    @property
    def version(self) -> str:
        """Of the program."""
        return str(self.raw["version"])

    @property
    def protocol(self) -> int:
        """Of the socket."""
        return int(self.raw["protocol"])

    @property
    def pid(self) -> int:
        """Its process."""
        return int(self.raw["pid"])

    @property
    def started_at(self) -> datetime:
        """Since when it runs, in UTC."""
        return instant(self.raw["started_at"])

    @property
    def sessions(self) -> int:
        """How many sessions it owns."""
        return int(self.raw["sessions"])

    @property
    def locked(self) -> bool:
        """Whether it refuses to hand out tokens."""
        return bool(self.raw["locked"])

    @property
    def methods(self) -> tuple[str, ...]:
        """What can be asked."""
        return tuple(self.raw["methods"])


class Step(_Record):
    """How far a sign-in is."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """``authorize``, ``device``, ``waiting`` or ``exchanging``."""
        return str(self.raw["step"])

    @property
    def url(self) -> str | None:
        """What the person has to visit: with ``authorize``, or with ``device`` as ``verification_uri``."""
        return self._text("url") or self._text("verification_uri_complete") or self._text("verification_uri")

    @property
    def user_code(self) -> str | None:
        """What the person has to type there, with ``device``."""
        return self._text("user_code")


class Event(_Record):
    """What happened at the agent."""

    __slots__ = ()

    @property
    def kind(self) -> str:
        """``token.refreshed``, ``session.added``, ``session.login_required``, …"""
        return str(self.raw["kind"])

    @property
    def session(self) -> str | None:
        """To which session, if to one."""
        return self._text("session")

    @property
    def at(self) -> datetime:
        """When, in UTC."""
        return instant(self.raw["at"])
