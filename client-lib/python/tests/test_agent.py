"""The client and its protocol, against an agent behind a real socket."""

from __future__ import annotations

import datetime
import json
import pickle
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import sso_agent
from fake import HANG_UP, Asked, Fake, session, token, tokens
from sso_agent import Agent, _agent, _connection

GOLDEN = Path(__file__).parents[3] / "proto/tests/golden"


def connect(fake: Fake) -> Agent:
    return Agent.connect(socket=fake.path)


def test_a_token_comes_back_whole() -> None:
    with Fake(lambda asked: asked.result(token("secret"))) as fake, connect(fake) as agent:
        got = agent.token(host="h")
        assert (got.access_token, got.token_type, got.session) == ("secret", "Bearer", "h")
        assert (got.scopes, got.expires_in) == (("all-apis",), 3600)
        assert got.expires_at.tzinfo == datetime.timezone.utc
        left = got.expires_at - datetime.datetime.now(datetime.timezone.utc)
        assert 3590 < left.total_seconds() <= 3600
        assert got.headers() == {"Authorization": "Bearer secret"}
        assert (fake.asked[0].method, fake.asked[0].params) == ("token.get", {"host": "h"})


def test_a_token_does_not_show_itself() -> None:
    got = sso_agent.Token("CANARY", expires_at="2026-01-01T00:00:00Z", expires_in=1, token_id="i")
    assert "CANARY" not in repr(got) + str(got) + f"{[got]}"
    assert "i" in repr(got)


def test_what_is_wanted_is_what_is_asked() -> None:
    with Fake(lambda asked: asked.result(token())) as fake, connect(fake) as agent:
        agent.token(
            profile="p",
            label="work",
            account_id="a",
            session="s",
            scopes="sql files",
            min_valid=datetime.timedelta(milliseconds=1500),
            force_refresh=True,
            refused=sso_agent.Token("x", expires_at="2026-01-01T00:00:00Z", expires_in=1, token_id="old"),
            wait=0.5,
        )
        assert fake.asked[0].params == {
            "profile": "p",
            "label": "work",
            "account_id": "a",
            "session": "s",
            "scopes": ["sql", "files"],
            "min_valid_s": 2,
            "force_refresh": True,
            "refused": "old",
            "wait_s": 1,
        }


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("login_required", sso_agent.LoginRequired),
        ("issuer_unavailable", sso_agent.Unavailable),
        ("timeout", sso_agent.Unavailable),
        ("denied", sso_agent.Refused),
        ("locked", sso_agent.Refused),
        ("unknown_host", sso_agent.UnknownHost),
        ("ambiguous", sso_agent.Ambiguous),
        ("issuer_rejected", sso_agent.Failed),
        ("a_kind_of_tomorrow", sso_agent.Failed),
    ],
)
def test_a_refusal_is_raised_as_what_is_done_about_it(
    kind: str, error: type[sso_agent.SsoAgentError]
) -> None:
    with Fake(lambda asked: asked.error(kind, "it said no", retry_after_s=7, oauth_error="x")) as fake:
        with connect(fake) as agent, pytest.raises(error) as caught:
            agent.token()
        assert type(caught.value) is error
        assert (caught.value.kind, caught.value.hint) == (kind, "a hint")
        assert (caught.value.retry_after, caught.value.oauth_error) == (7, "x")
        assert str(caught.value) == "it said no (a hint)"


def test_an_error_survives_being_sent_to_another_process() -> None:
    error = sso_agent.LoginRequired("no", kind="login_required", hint="sign in", retry_after=5)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.kind, again.retry_after) == (
        sso_agent.LoginRequired,
        str(error),
        "login_required",
        5,
    )


def test_an_agent_that_does_not_know_the_method_is_of_another_version() -> None:
    def answer(asked: Asked) -> object:
        return {"jsonrpc": "2.0", "id": asked.id, "error": {"code": -32601, "message": "no such method"}}

    with Fake(answer) as fake, connect(fake) as agent, pytest.raises(sso_agent.ProtocolError) as caught:
        agent.info()
    assert "sso agent restart" in caught.value.hint


@pytest.mark.parametrize("nonsense", [b"HTTP/1.1 400\n", b"[]\n", b"\xff\n"])
def test_what_is_no_message_is_an_error(nonsense: bytes) -> None:
    with Fake(lambda _: nonsense) as fake, connect(fake) as agent, pytest.raises(sso_agent.ProtocolError):
        agent.token()


def test_a_result_of_another_shape_is_an_error() -> None:
    with Fake(lambda asked: asked.result({"access_token": 1})) as fake, connect(fake) as agent:
        with pytest.raises(sso_agent.ProtocolError):
            agent.token()
        with pytest.raises(sso_agent.ProtocolError):
            agent.sessions()


def test_a_line_that_never_ends_is_not_kept() -> None:
    with Fake(lambda _: b"x" * (_connection.MAX_LINE + 2)) as fake, connect(fake) as agent:
        with pytest.raises(sso_agent.ProtocolError, match="too long"):
            agent.token()


def test_a_long_answer_in_pieces_is_one_answer() -> None:
    def answer(asked: Asked) -> object:
        whole = json.dumps(asked.result(token("x" * 900_000, token_id="i"))).encode() + b"\n"
        return [whole[:100_000], whole[100_000:-1], whole[-1:]]

    with Fake(answer) as fake, connect(fake) as agent:
        assert len(agent.token().access_token) == 900_000


def test_answers_to_nobody_are_passed_over() -> None:
    def answer(asked: Asked) -> object:
        stale = {"jsonrpc": "2.0", "id": 99, "result": token("stale")}
        return [stale, asked.progress(step="waiting"), asked.result(token("right"))]

    with Fake(answer) as fake, connect(fake) as agent:
        assert agent.token().access_token == "right"


def test_a_token_is_asked_for_again_when_the_agent_is_replaced() -> None:
    lost = threading.Event()

    def answer(asked: Asked) -> object:
        if not lost.is_set():
            lost.set()
            return HANG_UP
        return asked.result(token("second"))

    with Fake(answer) as fake, connect(fake) as agent:
        assert agent.token().access_token == "second"
        assert len(fake.asked) == 2


def test_an_agent_that_was_restarted_between_two_calls_is_found_again() -> None:
    with Fake(tokens()) as first:
        agent = connect(first)
        agent.token()
        first.stop()
        with Fake(tokens(), path=first.path):
            assert agent.token().access_token == "t1"
        agent.close()


def test_an_agent_that_always_goes_away_is_given_up() -> None:
    with Fake(lambda _: HANG_UP) as fake, connect(fake) as agent:
        with pytest.raises(sso_agent.AgentUnreachable, match="went away"):
            agent.token()
        assert len(fake.asked) == 4


def test_a_logout_is_not_repeated() -> None:
    with Fake(lambda _: HANG_UP) as fake, connect(fake) as agent:
        with pytest.raises(sso_agent.AgentUnreachable):
            agent.logout("h")
        assert len(fake.asked) == 1


def test_a_logout_says_whether_it_was_revoked() -> None:
    with Fake(lambda asked: asked.result({"revoked": True})) as fake, connect(fake) as agent:
        assert agent.logout("h") is True
        assert (fake.asked[0].method, fake.asked[0].params) == ("session.logout", {"session": "h"})


def test_a_silent_agent_is_waited_for_until_the_deadline_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_agent, "_MARGIN", 0.02)
    with Fake(lambda _: []) as fake, connect(fake) as agent:
        with pytest.raises(sso_agent.AgentUnreachable, match="did not answer in time"):
            agent.token(wait=0)
        assert len(fake.asked) == 1, "it may be at work still"


def test_sessions_and_info_are_told() -> None:
    info = json.loads((GOLDEN / "agent.info.json").read_text())["result"] if GOLDEN.exists() else None

    def answer(asked: Asked) -> object:
        if asked.method == "agent.info":
            return asked.result(info)
        shown = session(
            "https://h", label="work", account_id="a", next_refresh_at="2026-01-01T00:00:00+01:00"
        )
        return asked.result({"sessions": [shown]} if asked.method == "session.list" else shown)

    with Fake(answer) as fake, connect(fake) as agent:
        (one,) = agent.sessions()
        assert (one.id, one.host, one.label, one.account_id) == ("h", "https://h", "work", "a")
        assert (one.user, one.state, one.scopes) == ("ada@example.com", "active", ("all-apis",))
        assert one.expires_at == datetime.datetime(2026, 11, 23, 21, 0, 0, 123456, datetime.timezone.utc)
        assert one.next_refresh_at is not None and one.next_refresh_at.hour == 23
        assert (one.cloud, one.last_error) == (None, None)
        assert agent.session(host="h", label="work") == one
        if info is not None:
            told = agent.info()
            assert (told.version, told.protocol, told.pid, told.sessions) == ("0.1.0", 1, 4242, 2)
            assert told.locked is False and "token.get" in told.methods
            assert told.started_at.year == 2026


def test_a_sign_in_tells_its_steps_before_the_session() -> None:
    def answer(asked: Asked) -> object:
        of_another = {**asked.progress(step="waiting"), "params": {"request_id": 99, "step": "waiting"}}
        url = asked.progress(step="authorize", url="http://127.0.0.1:1/x")
        device = asked.progress(step="device", user_code="AB-12", verification_uri="https://v")
        return [of_another, url, device, asked.result(session())]

    steps: list[sso_agent.Step] = []
    with Fake(answer) as fake, connect(fake) as agent:
        signed_in = agent.login(
            host="h", scopes=["sql"], client_secret="s", timeout=60, redirect_port=8020, on_step=steps.append
        )
        assert signed_in.id == "h"
        assert [step.name for step in steps] == ["authorize", "device"]
        assert [step.url for step in steps] == ["http://127.0.0.1:1/x", "https://v"]
        assert steps[1].user_code == "AB-12"
        assert fake.asked[0].params == {
            "host": "h",
            "client_secret": "s",
            "flow": "browser",
            "scopes": ["sql"],
            "redirect_port": 8020,
            "timeout_s": 60,
        }


def test_who_gives_up_a_sign_in_hangs_up() -> None:
    class Enough(Exception):
        pass

    def give_up(_: object) -> None:
        raise Enough

    def answer(asked: Asked) -> Iterator[object]:
        yield asked.progress(step="authorize", url="http://127.0.0.1:1/x")
        while True:
            # Until nobody listens any more.
            yield asked.progress(step="waiting")

    with Fake(answer) as fake, connect(fake) as agent:
        with pytest.raises(Enough):
            agent.login(host="h", on_step=give_up)
        assert fake.ended.acquire(timeout=10)


def test_without_a_listener_the_browser_opens(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)

    def answer(asked: Asked) -> object:
        step = asked.progress(step="authorize", url="http://127.0.0.1:1/x")
        return [step, asked.progress(step="waiting"), asked.result(session())]

    with Fake(answer) as fake, connect(fake) as agent:
        agent.login(host="h")
    assert opened == ["http://127.0.0.1:1/x"]
    assert "visit http://127.0.0.1:1/x" in capsys.readouterr().err


def test_events_come_until_the_agent_is_gone() -> None:
    event = {"kind": "session.added", "session": "h", "at": "2026-01-01T00:00:00Z"}

    def answer(asked: Asked) -> object:
        told = {"jsonrpc": "2.0", "method": "event", "params": event}
        return [asked.result({}), {"jsonrpc": "2.0", "method": "other", "params": {}}, told, HANG_UP]

    with Fake(answer) as fake, connect(fake) as agent, agent.events("session.added") as events:
        first = next(events)
        assert (first.kind, first.session, first.at.year) == ("session.added", "h", 2026)
        with pytest.raises(sso_agent.AgentUnreachable):
            next(events)
        assert list(events) == []
        assert fake.asked[0].params == {"kinds": ["session.added"]}


def test_who_waits_for_an_event_can_be_told_to_stop() -> None:
    with Fake(lambda asked: asked.result({})) as fake, connect(fake) as agent:
        events = agent.events()
        seen: list[list[object]] = []
        waiter = threading.Thread(target=lambda: seen.append(list(events)))
        waiter.start()
        events.close()
        waiter.join(10)
        assert seen == [[]]


def test_any_method_can_be_called() -> None:
    with Fake(lambda asked: asked.result({"of": asked.method, **asked.params})) as fake:
        with connect(fake) as agent:
            assert agent.call("app.list", {"host": "h"}) == {"of": "app.list", "host": "h"}


def test_threads_take_turns_on_one_connection() -> None:
    with Fake(lambda asked: asked.result(token(asked.params["host"]))) as fake, connect(fake) as agent:
        wrong: list[str] = []

        def ask(name: str) -> None:
            for _ in range(50):
                if agent.token(host=name).access_token != name:
                    wrong.append(name)

        threads = [threading.Thread(target=ask, args=[f"h{number}"]) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
        assert fake.connections == 1


def test_a_request_is_what_the_protocol_says() -> None:
    path = GOLDEN / "token.get.json"
    if not path.exists():
        pytest.skip("not in the source tree")
    golden = json.loads(path.read_text())
    asked = dict(golden["request"]["params"])
    with Fake(lambda asked: asked.result(golden["result"])) as fake, connect(fake) as agent:
        wanted = {"host": asked["host"], "label": asked["label"], "refused": asked["refused"]}
        got = agent.token(**wanted, min_valid=60, force_refresh=True, wait=30)
        assert fake.asked[0].params == asked
        assert got.session == "adb-1.azuredatabricks.net#work"


def test_sessions_that_do_not_fit_into_one_answer_are_all_listed() -> None:
    def answer(asked: Asked) -> object:
        first = "after" not in asked.params
        more = {"next": "a"} if first else {}
        return asked.result({"sessions": [session("https://a" if first else "https://b")], **more})

    with Fake(answer) as fake, connect(fake) as agent:
        assert [one.id for one in agent.sessions()] == ["a", "b"]
        assert [one.id for one in agent.web_sessions(host="h")] == ["a", "b"]
        assert [asked.params for asked in fake.asked] == [
            {},
            {"after": "a"},
            {"web": True, "host": "h"},
            {"web": True, "host": "h", "after": "a"},
        ]


def test_a_session_of_a_web_app_says_when_it_was_used() -> None:
    path = GOLDEN / "session.list.json"
    if not path.exists():
        pytest.skip("not in the source tree")
    result = {**json.loads(path.read_text())["result"], "next": None}
    with Fake(lambda asked: asked.result(result)) as fake, connect(fake) as agent:
        own, web = agent.web_sessions()
        assert (own.app, own.last_used_at, own.idle_at, own.refreshable) == (None, None, None, True)
        assert (web.app, web.refreshable) == ("awesome-app", False)
        assert web.last_used_at is not None and web.idle_at is not None
        assert (web.idle_at - web.last_used_at).days == 7


def test_a_time_of_any_precision_is_read() -> None:
    from sso_agent._time import instant

    for text in ["2026-01-01T00:00:00.5Z", "2026-01-01T01:00:00.500000000+01:00"]:
        assert instant(text).microsecond == 500_000
        assert instant(text).hour == 0
    assert time.gmtime(instant("2026-01-01T00:00:00z").timestamp()).tm_year == 2026
