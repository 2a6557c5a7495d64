"""Fresh access tokens from ``sso-agent``: sign in once, and every program on the machine has one.

    from sso_agent import TokenSource

    tokens = TokenSource(host="adb-1234567890123456.7.azuredatabricks.net")
    headers = tokens.headers()  # from memory, until the token is nearly over

:class:`Agent` is one connection, for all that can be asked. The Databricks SDK is served by
:class:`sso_agent.databricks.SsoAgentCredentials`, a web app whose users sign in by :mod:`sso_agent.web`.

What is not used is not imported, so that a script that wants one token starts about as fast as Python.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._agent import Agent as Agent
    from ._errors import AgentUnreachable as AgentUnreachable
    from ._errors import Ambiguous as Ambiguous
    from ._errors import Expired as Expired
    from ._errors import Failed as Failed
    from ._errors import LoginRequired as LoginRequired
    from ._errors import ProtocolError as ProtocolError
    from ._errors import Refused as Refused
    from ._errors import SsoAgentError as SsoAgentError
    from ._errors import Unavailable as Unavailable
    from ._errors import UnknownHost as UnknownHost
    from ._events import Events as Events
    from ._records import Consented as Consented
    from ._records import Event as Event
    from ._records import Info as Info
    from ._records import Session as Session
    from ._records import Step as Step
    from ._source import TokenSource as TokenSource
    from ._token import Token as Token

__version__ = "0.1.0"

_HOMES = {
    "Agent": "_agent",
    "AgentUnreachable": "_errors",
    "Ambiguous": "_errors",
    "Consented": "_records",
    "Event": "_records",
    "Events": "_events",
    "Expired": "_errors",
    "Failed": "_errors",
    "Info": "_records",
    "LoginRequired": "_errors",
    "ProtocolError": "_errors",
    "Refused": "_errors",
    "Session": "_records",
    "SsoAgentError": "_errors",
    "Step": "_records",
    "Token": "_token",
    "TokenSource": "_source",
    "Unavailable": "_errors",
    "UnknownHost": "_errors",
}

__all__ = [
    "Agent",
    "AgentUnreachable",
    "Ambiguous",
    "Consented",
    "Event",
    "Events",
    "Expired",
    "Failed",
    "Info",
    "LoginRequired",
    "ProtocolError",
    "Refused",
    "Session",
    "SsoAgentError",
    "Step",
    "Token",
    "TokenSource",
    "Unavailable",
    "UnknownHost",
]


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = __import__(f"{__name__}.{home}", fromlist=[name])
        globals()[name] = value = getattr(module, name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
