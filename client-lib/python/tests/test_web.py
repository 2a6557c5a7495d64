"""A web app and its users: what is kept for them, what is asked, and what is done about failures."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

import sso_agent
from fake import HANG_UP, Asked, Fake, token
from sso_agent.web import Consent, WebApp, WebSession, query

GOLDEN = Path(__file__).parents[3] / "proto/tests/golden"

STARTED = {
    "authorization_url": "https://i/?state=s",
    "consent": "sealed",
    "expires_at": "2026-01-01T00:10:00Z",
}
FINISHED = {
    "handle": "CANARY",
    "session": "h#~1",
    "expires_at": "2026-01-01T01:00:00Z",
    "refreshable": True,
    "user": "ada@example.com",
    "scopes": ["clusters"],
}


def answer(asked: Asked) -> object:
    """All that a web app asks."""
    results = {
        "consent.start": STARTED,
        "consent.finish": FINISHED,
        "consent.end": {"revoked": True},
        "token.get": token("t"),
    }
    return asked.result(results[asked.method])


def test_a_user_signs_in_and_out() -> None:
    with Fake(answer) as fake:
        app = WebApp(
            host="h",
            client_id="c",
            client_secret="s",
            redirect_url="http://localhost:5000/callback",
            scopes="clusters offline_access",
            socket=fake.path,
        )
        consent = app.start()
        assert (consent.authorization_url, consent.as_text()) == ("https://i/?state=s", "sealed")

        user = Consent.from_text(app, consent.as_text()).finish({"code": "c", "state": "s"})
        assert (user.as_text(), user.user) == ("CANARY", "ada@example.com")

        again = WebSession.from_text(app, user.as_text())
        assert again.token().access_token == "t"
        assert again.token() is again.token(), "from memory"
        assert again.end() is True
        assert [(asked.method, asked.params) for asked in fake.asked] == [
            (
                "consent.start",
                {
                    "host": "h",
                    "client_id": "c",
                    "client_secret": "s",
                    "redirect_url": "http://localhost:5000/callback",
                    "scopes": ["clusters", "offline_access"],
                },
            ),
            ("consent.finish", {"consent": "sealed", "params": {"code": "c", "state": "s"}}),
            ("token.get", {"handle": "CANARY"}),
            ("consent.end", {"handle": "CANARY"}),
        ]


def test_an_app_that_the_agent_keeps_needs_no_more_than_its_name() -> None:
    with Fake(answer) as fake:
        WebApp(host="h", app="awesome-app", socket=fake.path).start()
        assert fake.asked[0].params == {"host": "h", "app": "awesome-app"}


def test_what_is_said_is_what_the_protocol_says() -> None:
    if not GOLDEN.exists():
        pytest.skip("not in the source tree")

    def golden(method: str) -> Any:
        return json.loads((GOLDEN / f"{method}.json").read_text())

    with Fake(lambda asked: asked.result(golden(asked.method)["result"])) as fake:
        with sso_agent.Agent.connect(socket=fake.path) as agent:
            url, text = agent.consent_start(**golden("consent.start")["request"]["params"])
            consented = agent.consent_finish(text, {"code": "c", "state": "s"})
            assert agent.consent_end(consented.handle) is True
        assert url.startswith("https://adb-1.azuredatabricks.net/oidc/v1/authorize?")
        assert consented.session == "adb-1.azuredatabricks.net#~0123456789abcdef"
        assert (consented.user, consented.scopes) == ("ada@example.com", ("clusters",))
        assert (consented.refreshable, consented.expires_at.hour) == (True, 21)
        for asked in fake.asked:
            assert asked.params == golden(asked.method)["request"]["params"]


class Werkzeug(dict[str, list[str]]):
    """As its ``MultiDict``, and Django's, behave."""

    def lists(self) -> Iterable[tuple[str, list[str]]]:
        return super().items()

    def items(self) -> Any:
        return [(name, values[0]) for name, values in super().items()]


class Starlette:
    """As its ``QueryParams`` behave."""

    def multi_items(self) -> list[tuple[str, str]]:
        return [("code", "c"), ("state", "s"), ("state", "t")]

    def items(self) -> Any:
        return dict(self.multi_items()).items()


TWICE = {"code": "c", "state": ["s", "t"]}


@pytest.mark.parametrize(
    ("came_back", "params"),
    [
        ({"code": "c", "state": "s"}, {"code": "c", "state": "s"}),
        ({"code": ["c"], "state": ["s", "t"]}, TWICE),
        (Werkzeug(code=["c"], state=["s", "t"]), TWICE),
        (Starlette(), TWICE),
        ([("code", "c"), ("state", "s"), ("state", "t")], TWICE),
        ({"code": None, "n": 1, "state": ("s",)}, {"code": [], "n": [], "state": "s"}),
        ({}, {}),
    ],
)
def test_a_query_is_taken_as_any_framework_parsed_it(came_back: Any, params: Mapping[str, Any]) -> None:
    assert query(came_back) == {"params": params}


def test_a_whole_address_is_taken_as_it_is() -> None:
    with Fake(answer) as fake:
        app = WebApp(host="h", socket=fake.path)
        Consent.from_text(app, "sealed").finish("http://localhost/callback?code=c&state=s")
        assert fake.asked[0].params == {
            "consent": "sealed",
            "callback_url": "http://localhost/callback?code=c&state=s",
        }


def test_nothing_shows_itself() -> None:
    app = WebApp(host="h", client_secret="CANARY")
    consent = Consent(app, "CANARY", "https://i/?state=CANARY")
    user = WebSession(app, "CANARY")
    shown = repr([app, consent, user, user.tokens, sso_agent.Consented(FINISHED)])
    assert "CANARY" not in shown + str(consent) + str(user) + f"{sso_agent.Consented(FINISHED)}"
    assert "ada@example.com" in shown


def test_a_callback_is_not_sent_twice() -> None:
    with Fake(lambda _: HANG_UP) as fake:
        with pytest.raises(sso_agent.AgentUnreachable) as caught:
            Consent.from_text(WebApp(host="h", socket=fake.path), "sealed").finish({})
        assert caught.value.advice == "retry"
        assert len(fake.asked) == 1


@pytest.mark.parametrize(
    ("kind", "oauth_error", "error", "advice"),
    [
        ("denied", None, sso_agent.Refused, "start_over"),
        ("timeout", None, sso_agent.Expired, "start_over"),
        ("issuer_rejected", "access_denied", sso_agent.Failed, "start_over"),
        ("issuer_rejected", "invalid_grant", sso_agent.Failed, "start_over"),
        ("issuer_rejected", "invalid_client", sso_agent.Failed, "give_up"),
        ("issuer_rejected", None, sso_agent.Failed, "give_up"),
        ("issuer_unavailable", None, sso_agent.Unavailable, "retry"),
        ("locked", None, sso_agent.Refused, "retry"),
        ("unsupported", None, sso_agent.Failed, "give_up"),
        ("a_kind_of_tomorrow", None, sso_agent.Failed, "give_up"),
    ],
)
def test_a_failed_callback_says_what_to_do(
    kind: str, oauth_error: str | None, error: type[sso_agent.SsoAgentError], advice: str
) -> None:
    with Fake(lambda asked: asked.error(kind, oauth_error=oauth_error)) as fake:
        with pytest.raises(error) as caught:
            Consent.from_text(WebApp(host="h", socket=fake.path), "sealed").finish({})
        assert (type(caught.value), caught.value.advice) == (error, advice)


@pytest.mark.parametrize(("kind", "advice"), [("login_required", "start_over"), ("timeout", "retry")])
def test_a_session_that_gives_no_token_says_what_to_do(kind: str, advice: str) -> None:
    with Fake(lambda asked: asked.error(kind)) as fake:
        with pytest.raises(sso_agent.SsoAgentError) as caught:
            WebSession.from_text(WebApp(host="h", socket=fake.path), "handle").token()
        assert caught.value.advice == advice
