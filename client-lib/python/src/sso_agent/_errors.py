"""Why a call failed: one class per thing that the caller does next. None of them holds a secret."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class SsoAgentError(Exception):
    """All that this package raises of its own.

    ``str(error)`` says what happened, ``hint`` what to do next, in a line each.
    """

    #: What went wrong, as the agent's protocol names it: ``login_required``, ``denied``, …
    kind: str
    #: What to do next.
    hint: str
    #: When another try may help, in seconds, where the issuer said so.
    retry_after: float | None
    #: What the issuer called it (RFC 6749, 5.2), where it was the issuer that said no.
    oauth_error: str | None
    #: What the issuer had to add.
    oauth_error_description: str | None
    #: What a web app does about it: ``start_over`` sends the user to sign in again, ``retry`` makes the same
    #: call again a little later, ``give_up`` waits for somebody to mend a setting or a machine.
    advice: str

    def __init__(
        self,
        message: str,
        *,
        kind: str = "failed",
        hint: str = "",
        retry_after: float | None = None,
        oauth_error: str | None = None,
        oauth_error_description: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind
        self.hint = hint
        self.retry_after = retry_after
        self.oauth_error = oauth_error
        self.oauth_error_description = oauth_error_description
        self.advice = _advice(kind, oauth_error)

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message,), self.__dict__


class AgentUnreachable(SsoAgentError):
    """There is no agent to talk to, or none that may be trusted."""


class ProtocolError(SsoAgentError):
    """What answers does not speak this protocol, or not this version of it."""


class LoginRequired(SsoAgentError):
    """A person has to sign in."""


class Unavailable(SsoAgentError):
    """The issuer or the network does not answer now: try again, after ``retry_after`` if that is set."""


class Expired(SsoAgentError):
    """The user of a web app took longer over the sign-in than a consent is good for: begin another."""


class Refused(SsoAgentError):
    """Policy says no, the callback of a web app does not belong to its sign-in, or the agent is locked."""


class UnknownHost(SsoAgentError):
    """No such host, profile or session is known."""


class Ambiguous(SsoAgentError):
    """More than one session fits: say which, by ``profile`` or ``label``."""


class Failed(SsoAgentError):
    """Anything else, for a reason that trying again does not mend."""


_CLASSES: dict[str, type[SsoAgentError]] = {
    "login_required": LoginRequired,
    "issuer_unavailable": Unavailable,
    "timeout": Unavailable,
    "denied": Refused,
    "locked": Refused,
    "unknown_host": UnknownHost,
    "ambiguous": Ambiguous,
}


#: What helps against each kind; where nothing stands here, only who runs the agent or the app can help.
_ADVICE = {
    "login_required": "start_over",
    "denied": "start_over",
    "cancelled": "start_over",
    "issuer_unavailable": "retry",
    "timeout": "retry",
    "locked": "retry",
    "agent_unreachable": "retry",
}

#: What the issuer says (RFC 6749, 4.1.2.1 and 5.2; OpenID Connect Core, 3.1.2.6) when another sign-in may end
#: better. All else it says of the client, which nobody mends by signing in.
_ANOTHER_SIGN_IN = {
    "access_denied",
    "account_selection_required",
    "consent_required",
    "interaction_required",
    "invalid_grant",
    "login_required",
    "server_error",
    "temporarily_unavailable",
}


def _advice(kind: str, oauth_error: str | None) -> str:
    if kind == "issuer_rejected" and oauth_error in _ANOTHER_SIGN_IN:
        return "start_over"
    return _ADVICE.get(kind, "give_up")


def refusal(error: Any, method: str = "") -> SsoAgentError:
    """The agent's own error, as it stands in a reply to a call of this method."""
    if not isinstance(error, dict):
        return broken("the agent sent an error of an unexpected shape")
    message, data = str(error.get("message", "")), error.get("data")
    if not isinstance(data, dict) or "kind" not in data:
        return broken(f"the agent did not take the request: {message}")
    kind = str(data["kind"])
    late = kind == "timeout" and method == "consent.finish"
    refused = (Expired if late else _CLASSES.get(kind, Failed))(
        message,
        kind=kind,
        hint=str(data.get("hint", "")),
        retry_after=data.get("retry_after_s"),
        oauth_error=data.get("oauth_error"),
        oauth_error_description=data.get("oauth_error_description"),
    )
    if late:
        refused.advice = "start_over"
    return refused


def broken(message: str) -> ProtocolError:
    """An agent that cannot be understood."""
    hint = "the agent may be of another version: run `sso agent restart`"
    return ProtocolError(message, kind="protocol", hint=hint)


def unreachable(message: str, hint: str) -> AgentUnreachable:
    """No agent, and what to do about it."""
    return AgentUnreachable(message, kind="agent_unreachable", hint=hint)


def nobody(socket: str) -> AgentUnreachable:
    """Nobody listens there."""
    return unreachable(f"no agent is listening at {socket}", "start it with `sso agent start`")


def hung_up() -> AgentUnreachable:
    """The agent took the request and was gone before it answered."""
    hint = "try again; `sso agent logs` says why it stopped"
    return unreachable("the agent went away before it answered", hint)


def silent() -> AgentUnreachable:
    """The agent is there and says nothing."""
    hint = "try again; if it stays silent, run `sso agent restart`"
    return unreachable("the agent did not answer in time", hint)
