"""An access token, and what is known about it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from typing import Any


class Token:
    """An access token; it ends at :attr:`expires_at`. Its ``repr`` does not tell it.

    Not a ``dataclass``: importing that takes half as long as Python takes to start, and ``asdict`` would
    tell the secret by accident.
    """

    __slots__ = ("_ends", "access_token", "expires_in", "scopes", "session", "token_id", "token_type")

    #: What goes behind ``Bearer``: the secret.
    access_token: str
    #: ``Bearer`` nearly always (RFC 6749, 7.1).
    token_type: str
    #: Tells tokens apart without telling them; goes into ``refused``.
    token_id: str
    #: Seconds until its end, from when it was handed out.
    expires_in: int
    #: What it is good for.
    scopes: tuple[str, ...]
    #: The session it comes from.
    session: str
    _ends: str

    def __init__(
        self,
        access_token: str,
        *,
        expires_at: datetime | str,
        expires_in: int,
        token_type: str = "Bearer",
        token_id: str = "",
        scopes: Sequence[str] = (),
        session: str = "",
    ) -> None:
        self.access_token = access_token
        self.token_type = token_type
        self.token_id = token_id
        self.expires_in = expires_in
        self.scopes = tuple(scopes)
        self.session = session
        self._ends = expires_at if isinstance(expires_at, str) else expires_at.isoformat()

    @classmethod
    def of_reply(cls, reply: Mapping[str, Any]) -> Token:
        """As the agent gives it."""
        return cls(
            reply["access_token"],
            expires_at=reply["expires_at"],
            expires_in=reply["expires_in_s"],
            token_type=reply["token_type"],
            token_id=reply["token_id"],
            scopes=reply["scopes"],
            session=reply["session"],
        )

    @property
    def expires_at(self) -> datetime:
        """When it ends, in UTC."""
        from ._time import instant

        return instant(self._ends)

    def headers(self) -> dict[str, str]:
        """The header of a request that carries it."""
        return {"Authorization": f"Bearer {self.access_token}"}

    def __repr__(self) -> str:
        return f"Token(session={self.session!r}, token_id={self.token_id!r}, expires_at={self._ends!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Token) and other.access_token == self.access_token

    def __hash__(self) -> int:
        return hash(self.access_token)
