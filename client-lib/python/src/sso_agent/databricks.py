"""The Databricks SDK, with tokens of the agent: one changed line.

    from databricks.sdk import WorkspaceClient
    from sso_agent.databricks import SsoAgentCredentials

    workspace = WorkspaceClient(credentials_strategy=SsoAgentCredentials())

The host is that of the SDK's own configuration; where that has none it is the host of ``profile``, or of
the only session that the agent has.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from ._agent import Agent
from ._errors import SsoAgentError
from ._source import TokenSource

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence
    from typing import Any

    from databricks.sdk.config import Config
    from databricks.sdk.credentials_provider import CredentialsStrategy as _Strategy
    from databricks.sdk.oauth import Token as SdkToken

    Headers = Callable[[], dict[str, str]]
else:
    # What the SDK asks of a strategy are two methods; so this can be imported where it is not installed.
    _Strategy = object

#: What the SDK calls it, in its messages and in the ``User-Agent``.
AUTH_TYPE = "sso-agent"


class SsoAgentCredentials(_Strategy):
    """Credentials for ``WorkspaceClient``, ``AccountClient`` and ``Config``.

    For ``databricks.sql.connect(credentials_provider=…)`` take :meth:`sql`.
    """

    def __init__(
        self,
        *,
        host: str | None = None,
        profile: str | None = None,
        label: str | None = None,
        account_id: str | None = None,
        handle: str | None = None,
        tokens: TokenSource | None = None,
        scopes: str | Sequence[str] = (),
        socket: str | os.PathLike[str] | None = None,
    ) -> None:
        """Says which session, where the SDK's configuration leaves it open.

        ``host`` is used only where the configuration has none: a token never goes to another host than its own.
        ``handle`` is that of a web app's user; ``tokens`` are there already, to be shared with others. With
        either of them ``host`` is where those tokens may go, and a configuration for another one is an error.
        """
        if tokens is None and handle is not None:
            tokens = TokenSource(handle=handle, scopes=scopes, socket=socket)
        self._given = tokens
        self._host = host
        self._profile = profile
        self._label = label
        self._account_id = account_id
        self._scopes = scopes
        self._socket = socket

    def auth_type(self) -> str:
        """Names it."""
        return AUTH_TYPE

    def __call__(self, cfg: Config) -> Any:
        """Gives what makes the header of every request, and the token itself for ``cfg.oauth_token()``."""
        if not cfg.host:
            self._settle(cfg)
        if self._given is not None:
            if self._host is not None and _origin(cfg.host) != _origin(self._host):
                raise ValueError(f"these tokens are for {self._host}, not for the configured {cfg.host}")
            return _provider(self._given)
        profile = self._profile or getattr(cfg, "profile", None)
        tokens = self._tokens(cfg.host, profile, self._account_id or _account_of(cfg))
        return _provider(tokens)

    def sql(self, host: str | None = None) -> SqlCredentials:
        """For ``databricks.sql.connect(server_hostname=host, credentials_provider=credentials.sql(host))``."""
        return SqlCredentials(self._tokens(host or self._host, self._profile, self._account_id))

    def _tokens(self, host: str | None, profile: str | None, account_id: str | None) -> TokenSource:
        return self._given or TokenSource(
            host=host,
            profile=profile,
            label=self._label,
            account_id=account_id,
            scopes=self._scopes,
            socket=self._socket,
        )

    def _settle(self, cfg: Config) -> None:
        """Fills in the host, as the SDK does from its own sources."""
        if self._host is not None:
            host, account_id = self._host, None
        else:
            host, account_id = self._ask_for_the_host()
        cfg.host = host if "://" in host else f"https://{host}"
        if account_id and not cfg.account_id:
            cfg.account_id = account_id

    def _ask_for_the_host(self) -> tuple[str, str | None]:
        try:
            with Agent.connect(socket=self._socket) as agent:
                # By way of a token, since that also signs a profile in that needs no person.
                token = self._given.token() if self._given else agent.token(profile=self._profile)
                session = agent.session(token.session)
        except SsoAgentError as error:
            # Of this kind the SDK expects what is wrong with a configuration.
            raise ValueError(f"no host is configured, and the agent names none: {error}") from error
        return session.host, session.account_id


class SqlCredentials:
    """What ``databricks-sql-connector`` takes as ``credentials_provider``."""

    def __init__(self, tokens: TokenSource) -> None:
        """For :meth:`SsoAgentCredentials.sql`."""
        self._tokens = tokens

    def auth_type(self) -> str:
        """Names it."""
        return AUTH_TYPE

    def __call__(self, *args: object, **kwargs: object) -> Headers:
        """Gives what makes the header of every request."""
        return self._tokens.headers


def _provider(tokens: TokenSource) -> Any:
    # Functions and no bound methods: the SDK copies configurations deeply, and locks cannot be copied.
    def headers() -> dict[str, str]:
        return tokens.headers()

    def oauth_token() -> SdkToken:
        return _sdk_token(tokens)

    try:
        from databricks.sdk.credentials_provider import OAuthCredentialsProvider
    except ImportError:
        # Before 0.32 the header is all that there is.
        return headers
    return OAuthCredentialsProvider(headers, oauth_token)


def _sdk_token(tokens: TokenSource) -> SdkToken:
    from databricks.sdk.oauth import Token as SdkToken

    token = tokens.token()
    # In local time and without a zone, as the SDK's own tokens have it.
    expiry = token.expires_at.astimezone().replace(tzinfo=None)
    return SdkToken(access_token=token.access_token, token_type="Bearer", expiry=expiry)


def _origin(host: str | None) -> tuple[str, str, int]:
    """What makes two spellings the same host."""
    url = urlsplit(host if host and "://" in host else f"https://{host}")
    return url.scheme, url.hostname or "", url.port or (80 if url.scheme == "http" else 443)


def _account_of(cfg: Config) -> str | None:
    """The account that a session belongs to, which at a workspace is only what the host tells about itself."""
    name = (cfg.host or "").partition("://")[2]
    if name.startswith(("accounts.", "accounts-")) or not getattr(cfg, "workspace_id", None):
        return cfg.account_id
    return None
