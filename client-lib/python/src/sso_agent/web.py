"""A web app whose users sign in: the refresh tokens stay with the agent, the app keeps a handle for each.

    from sso_agent.web import Consent, WebApp, WebSession

    app = WebApp(host="adb-1234567890123456.7.azuredatabricks.net", client_id="…",
                 redirect_url="https://app.example.com/callback", scopes=["clusters", "offline_access"])

    consent = app.start()                       # a user without a session:
    session["consent"] = consent.as_text()      # keep this in the web session,
    redirect(consent.authorization_url)         # and send the browser there

    consent = Consent.from_text(app, session["consent"])    # at the redirect URL: keep the session instead
    session["creds"] = consent.finish(request.args).as_text()

    user = WebSession.from_text(app, session["creds"])      # from then on
    WorkspaceClient(host=app.host, credentials_strategy=user.credentials())

What is kept is text without a meaning to anybody but this agent, so that the web session may be a cookie; but
it has to be that of *this* browser, since it tells the browser's own callback from one that was planted.
Errors have an ``advice``: ``start_over``, ``retry`` or ``give_up``.
"""

from __future__ import annotations

from ._agent import Agent, words
from ._source import TokenSource

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any, Union

    from ._token import Token
    from .databricks import SsoAgentCredentials

    #: The query of a callback as a web framework parsed it, or as pairs, or the whole address.
    CameBack = Union[str, Mapping[str, Any], Iterable[tuple[str, str]]]

__all__ = ["Consent", "WebApp", "WebSession"]


class WebApp:
    """Where the users of a web app sign in, as which client, and back to where. Made once, for all threads."""

    def __init__(
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
        socket: str | os.PathLike[str] | None = None,
    ) -> None:
        """Says what the app has registered; ``host`` as a person would type it.

        ``app`` is the name under which the agent keeps the client, secret and all (``sso app create --keep``);
        with just one redirect URL registered such an app need not name it. ``scopes`` are what is asked for and
        nothing else; ``all-apis offline_access``, or what such a host has for it, when not said. Without
        ``offline_access`` a session ends with its first token.
        """
        #: As it was said.
        self.host = host
        self._socket = socket
        self._client: dict[str, Any] = {
            "host": host,
            "account_id": account_id,
            "client_id": client_id,
            "app": app,
            "client_secret": client_secret,
            "redirect_url": redirect_url,
            "scopes": words(scopes),
            "provider": provider,
        }

    def start(self) -> Consent:
        """Begins a sign-in, for one browser."""
        with self._agent() as agent:
            url, text = agent.consent_start(**self._client)
        return Consent(self, text, url)

    def _agent(self) -> Agent:
        return Agent.connect(socket=self._socket)


class Consent:
    """A sign-in that waits for its callback: ten minutes at most, and for one callback only."""

    __slots__ = ("_app", "_text", "authorization_url")

    #: Where to send the user's browser; empty on one that was read back.
    authorization_url: str

    def __init__(self, app: WebApp, text: str, authorization_url: str = "") -> None:
        """For :meth:`WebApp.start` and :meth:`from_text`."""
        self._app = app
        self._text = text
        self.authorization_url = authorization_url

    @classmethod
    def from_text(cls, app: WebApp, text: str) -> Consent:
        """Reads back what :meth:`as_text` gave. What it did not give shows at :meth:`finish`, as ``Refused``."""
        return cls(app, text)

    def as_text(self) -> str:
        """What to keep in the user's web session."""
        return self._text

    def finish(self, came_back: CameBack) -> WebSession:
        """Takes the query of the callback, such as Flask's ``request.args``, or the whole address.

        A wrong callback uses nothing up: whoever sends one has not called off the sign-in.
        """
        with self._app._agent() as agent:
            consented = agent.consent_finish(self._text, came_back)
        user = WebSession(self._app, consented.handle)
        user.user = consented.user
        return user


class WebSession:
    """One signed-in user of a web app. Whoever has it gets the user's tokens from this agent, and nowhere else."""

    __slots__ = ("_app", "_handle", "tokens", "user")

    #: Where the user's tokens come from: in memory until they are nearly over, for any number of threads.
    tokens: TokenSource
    #: Who signed in, as far as the issuer says; ``None`` on one that was read back.
    user: str | None

    def __init__(self, app: WebApp, handle: str) -> None:
        """For :meth:`Consent.finish` and :meth:`from_text`."""
        self._app = app
        self._handle = handle
        self.tokens = TokenSource(handle=handle, socket=app._socket)
        self.user = None

    @classmethod
    def from_text(cls, app: WebApp, text: str) -> WebSession:
        """Reads back what :meth:`as_text` gave."""
        return cls(app, text)

    def as_text(self) -> str:
        """What to keep in the user's web session: the handle."""
        return self._handle

    def token(self) -> Token:
        """Gives a token of this user; ``LoginRequired`` when the session is over."""
        return self.tokens.token()

    def credentials(self) -> SsoAgentCredentials:
        """For ``WorkspaceClient(host=app.host, credentials_strategy=…)``; to no other host they are given."""
        from .databricks import SsoAgentCredentials

        return SsoAgentCredentials(host=self._app.host, tokens=self.tokens)

    def end(self) -> bool:
        """Signs the user out: revokes the session at its issuer, where that can be done, and forgets it.

        Tells whether it was revoked. One that is over already is no error.
        """
        with self._app._agent() as agent:
            return agent.consent_end(self._handle)


def query(came_back: CameBack) -> dict[str, Any]:
    """A callback as the agent takes it. What came twice stays so, since the agent will not have it."""
    if isinstance(came_back, str):
        return {"callback_url": came_back}
    pairs: Any = came_back
    # Starlette, then Werkzeug and Django, whose ``items`` leave out what comes twice; then any mapping.
    for method in ("multi_items", "lists", "items"):
        if hasattr(came_back, method):
            pairs = getattr(came_back, method)()
            break
    params: dict[str, list[str]] = {}
    for name, value in pairs:
        values = value if isinstance(value, (list, tuple)) else [value]
        params.setdefault(name, []).extend(one for one in values if isinstance(one, str))
    return {"params": {name: each[0] if len(each) == 1 else each for name, each in params.items()}}
