"""The token that is kept: by whom it is fetched, and when."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import timeit
from collections.abc import Callable

import pytest

import sso_agent
from fake import HANG_UP, Asked, Fake, token, tokens
from sso_agent import TokenSource, _source


def forks(test: Callable[[], None]) -> Callable[[], None]:
    """Where there is a fork; that threads run meanwhile is the point."""
    quiet = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")(test)
    return pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")(quiet)


class Clock:
    """Both clocks of a source, which a test sets."""

    def __init__(self) -> None:
        self.steady = 1000.0
        self.wall = 2e9

    def pass_by(self, seconds: float) -> None:
        self.steady += seconds
        self.wall += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(_source, "monotonic", lambda: clock.steady)
    monkeypatch.setattr(_source, "time", lambda: clock.wall)
    return clock


def test_a_token_is_kept_until_a_minute_before_its_end(clock: Clock) -> None:
    with Fake(tokens(3600)) as fake:
        source = TokenSource(host="h", socket=fake.path)
        assert source.token().access_token == "t1"
        clock.pass_by(3539)
        assert source.headers() == {"Authorization": "Bearer t1"}
        clock.pass_by(1)
        assert source.token().access_token == "t2"
        assert [asked.params for asked in fake.asked] == [{"host": "h"}] * 2


def test_a_short_lived_token_is_kept_for_half_its_life(clock: Clock) -> None:
    with Fake(tokens(10)) as fake:
        source = TokenSource(socket=fake.path)
        source.token()
        clock.pass_by(4)
        assert source.token().access_token == "t1"
        clock.pass_by(1)
        assert source.token().access_token == "t2"


def test_a_longer_time_that_was_named_is_kept_too(clock: Clock) -> None:
    with Fake(tokens(3600)) as fake:
        source = TokenSource(min_valid=600, socket=fake.path)
        source.token()
        clock.pass_by(2999)
        assert source.token().access_token == "t1"
        clock.pass_by(1)
        assert source.token().access_token == "t2"
        assert fake.asked[0].params == {"min_valid_s": 600}


def test_a_token_is_over_by_the_wall_clock_after_suspend(clock: Clock) -> None:
    with Fake(tokens(3600)) as fake:
        source = TokenSource(socket=fake.path)
        source.token()
        clock.wall += 3600
        assert source.token().access_token == "t2"


class Failing:
    """Gives tokens until it is down."""

    def __init__(self, kind: str) -> None:
        self.kind, self.down, self.give = kind, False, tokens(3600)

    def __call__(self, asked: Asked) -> object:
        return asked.error(self.kind) if self.down else self.give(asked)


def test_a_valid_token_outlives_a_failure_and_the_agent_is_left_alone_for_a_while(clock: Clock) -> None:
    answer = Failing("issuer_unavailable")
    with Fake(answer) as fake:
        source = TokenSource(socket=fake.path)
        source.token()
        answer.down = True
        clock.pass_by(3550)
        assert source.token().access_token == "t1"
        clock.pass_by(1)
        source.token()
        assert len(fake.asked) == 2, "no new try at once"
        clock.pass_by(5)
        source.token()
        assert len(fake.asked) == 3, "but soon"
        clock.pass_by(60)
        with pytest.raises(sso_agent.Unavailable):
            source.token()
        answer.down = False
        assert source.token().access_token == "t2"


def test_a_valid_token_outlives_the_agent(clock: Clock) -> None:
    with Fake(tokens(3600)) as fake:
        source = TokenSource(socket=fake.path)
        source.token()
        fake.stop()
        clock.pass_by(3550)
        assert source.token().access_token == "t1"
        clock.pass_by(50)
        with pytest.raises(sso_agent.AgentUnreachable):
            source.token()


def test_a_locked_agent_takes_the_token_back(clock: Clock) -> None:
    answer = Failing("locked")
    with Fake(answer) as fake:
        source = TokenSource(socket=fake.path)
        source.token()
        answer.down = True
        clock.pass_by(3550)
        for _ in range(2):
            with pytest.raises(sso_agent.Refused):
                source.token()


def test_a_refused_token_is_replaced_and_named() -> None:
    with Fake(tokens()) as fake:
        source = TokenSource(socket=fake.path)
        first = source.token()
        source.refused("another")
        assert source.token() is first
        source.refused(first)
        assert source.token().access_token == "t2"
        assert fake.asked[1].params == {"refused": "id-of-t1"}
        source.refused(first)
        assert source.token().access_token == "t2", "a late complaint about an old token changes nothing"


def test_the_agent_is_asked_once_for_many_threads() -> None:
    everybody = threading.Barrier(21)

    def answer(asked: Asked) -> object:
        everybody.wait(10)
        return asked.result(token("t", 3600))

    with Fake(answer) as fake:
        source = TokenSource(socket=fake.path)
        got: list[str] = []

        def ask() -> None:
            # One of them comes to the agent, and the agent waits for the other nineteen and the test.
            if not first.acquire(blocking=False):
                everybody.wait(10)
            got.append(source.token().access_token)

        first = threading.Lock()
        threads = [threading.Thread(target=ask) for _ in range(20)]
        for thread in threads:
            thread.start()
        everybody.wait(10)
        for thread in threads:
            thread.join()
        assert got == ["t"] * 20
        assert len(fake.asked) == 1


def test_those_who_waited_share_the_failure() -> None:
    with Fake(lambda asked: asked.error("login_required")) as fake:
        source = TokenSource(socket=fake.path)
        with pytest.raises(sso_agent.LoginRequired):
            source.token()
        with pytest.raises(sso_agent.LoginRequired):
            # As for one that began to wait before that fetch ended.
            source._fetched(0)
        assert len(fake.asked) == 1
        with pytest.raises(sso_agent.LoginRequired):
            source.token()
        assert len(fake.asked) == 2, "who comes later tries again"


def test_while_one_thread_renews_the_others_go_on(clock: Clock) -> None:
    give, asked_again, let_go = tokens(3600), threading.Event(), threading.Event()

    def answer(asked: Asked) -> object:
        if len(fake.asked) > 1:
            asked_again.set()
            let_go.wait(10)
        return give(asked)

    with Fake(answer) as fake:
        source = TokenSource(socket=fake.path)
        source.token()
        clock.pass_by(3545)
        renewing = threading.Thread(target=source.token)
        renewing.start()
        assert asked_again.wait(10)
        assert source.token().access_token == "t1"
        let_go.set()
        renewing.join()
        assert source.token().access_token == "t2"


@forks
def test_a_child_is_not_held_up_by_what_its_parent_was_doing() -> None:
    give, asking, let_go = tokens(), threading.Event(), threading.Event()

    def answer(asked: Asked) -> object:
        if not asking.is_set():
            asking.set()
            let_go.wait(10)
        return give(asked)

    with Fake(answer) as fake:
        source = TokenSource(socket=fake.path)
        waiting = threading.Thread(target=source.token)
        waiting.start()
        assert asking.wait(10)
        assert in_a_child(lambda: source.token().access_token) == "t1"
        let_go.set()
        waiting.join()
        assert source.token().access_token == "t2"


@forks
def test_a_child_talks_on_a_connection_of_its_own() -> None:
    with Fake(tokens()) as fake:
        agent = sso_agent.Agent.connect(socket=fake.path)
        assert agent.token().access_token == "t1"
        assert in_a_child(lambda: agent.token().access_token) == "t2"
        assert agent.token().access_token == "t3", "the parent's is as it was"
        assert fake.connections == 2
        agent.close()


def in_a_child(work: Callable[[], str]) -> str:
    """What a forked process makes of it."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, work().encode())
        except BaseException as error:
            os.write(writer, repr(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as told:
        text = told.read().decode()
    os.waitpid(child, 0)
    return text


def test_a_token_at_hand_costs_next_to_nothing() -> None:
    with Fake(tokens()) as fake:
        source = TokenSource(socket=fake.path)
        source.token()
        runs = timeit.repeat(source.token, number=10_000, repeat=20)
        floor = min(timeit.repeat("f()", "def f(): pass", number=10_000, repeat=20))
        assert min(runs) < 20 * floor, (
            f"{min(runs) / 10_000 * 1e9:.0f} ns, a function {floor / 10_000 * 1e9:.0f} ns"
        )
        assert len(fake.asked) == 1


def test_an_agent_that_hangs_up_is_asked_again() -> None:
    give = tokens()
    with Fake(lambda asked: HANG_UP if len(fake.asked) == 1 else give(asked)) as fake:
        assert TokenSource(socket=fake.path).token().access_token == "t1"


def test_what_is_not_used_is_not_imported() -> None:
    script = (
        "import sys; before = set(sys.modules); import sso_agent; print(*sorted(set(sys.modules) - before))"
    )
    root = os.path.dirname(os.path.dirname(sso_agent.__file__))
    loaded = subprocess.run(
        [sys.executable, "-S", "-c", script],
        env={"PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout.split() == ["__future__", "sso_agent"]
