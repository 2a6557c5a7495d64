"""Starting the agent where none listens; the program here is a script."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import sso_agent
from sso_agent import _places, _start

if sys.platform == "win32":
    pytest.skip("scripts are no programs there", allow_module_level=True)

#: Gives tokens, and its environment in them; every start is one line in ``starts``.
AGENT = f"""#!{sys.executable} -S
import json, os, socket, sys
assert sys.argv[1:] == ["run", "--detach"] and os.getcwd() == "/"
with open(os.environ["SSO_AGENT_STATE"] + "/starts", "a") as starts:
    starts.write(f"{{os.getpid()}}\\n")
os.setsid()
listener = socket.socket(socket.AF_UNIX)
os.makedirs(os.path.dirname(os.environ["SSO_AGENT_SOCK"]), mode=0o700, exist_ok=True)
listener.bind(os.environ["SSO_AGENT_SOCK"])
listener.listen(64)
while True:
    stream, _ = listener.accept()
    with stream, stream.makefile("rb") as lines:
        for line in lines:
            token = {{"access_token": " ".join(sorted(os.environ)), "token_type": "Bearer", "token_id": "i",
                     "expires_at": "2026-01-01T00:00:00Z", "expires_in_s": 60, "scopes": [], "session": "h"}}
            reply = {{"jsonrpc": "2.0", "id": json.loads(line)["id"], "result": token}}
            stream.sendall(json.dumps(reply).encode() + b"\\n")
"""


class Home:
    """Folders of one's own, with a program to put into them."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.state = folder / "bin", folder / "state"
        self.bin.mkdir()

    def install(self, script: str) -> None:
        program = self.bin / "sso-agent"
        program.write_text(script)
        program.chmod(0o700)

    def starts(self) -> list[int]:
        file = self.state / "starts"
        return [int(line) for line in file.read_text().split()] if file.exists() else []


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    home = Home(tmp_path)
    monkeypatch.setenv("PATH", f"relative:{home.bin}")
    monkeypatch.setenv("SSO_AGENT_STATE", str(home.state))
    monkeypatch.setenv("SSO_AGENT_SOCK", str(tmp_path / "run" / "agent.sock"))
    monkeypatch.delenv("SSO_AGENT_AUTOSTART", raising=False)
    yield home
    for process in home.starts():
        end(process)


def end(process: int) -> None:
    """Kills an agent, and waits until it is dead; its parent has yet to hear of it."""
    try:
        os.kill(process, signal.SIGKILL)
        os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)
    except (ProcessLookupError, ChildProcessError):
        pass


def test_the_agent_is_started_with_no_more_of_the_environment_than_it_needs(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.install(AGENT)
    monkeypatch.setenv("DATABRICKS_TOKEN", "of another tool")
    monkeypatch.setenv("LC_ALL", "C")
    with sso_agent.Agent.connect() as agent:
        given = agent.token().access_token.split()
    assert "LC_ALL" in given and "PATH" in given
    assert "DATABRICKS_TOKEN" not in given
    assert home.state.stat().st_mode & 0o777 == 0o700
    for file in ["start.lock", "agent.log"]:
        assert (home.state / file).stat().st_mode & 0o777 == 0o600


def test_many_at_once_start_it_once(home: Home) -> None:
    home.install(AGENT)
    got: list[object] = []
    threads = [threading.Thread(target=lambda: got.append(sso_agent.TokenSource().token())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 8
    assert len(home.starts()) == 1


def test_one_that_has_ended_is_replaced_and_not_left_unburied(home: Home) -> None:
    home.install(AGENT)
    sso_agent.TokenSource().token()
    (first,) = home.starts()
    end(first)
    os.unlink(os.environ["SSO_AGENT_SOCK"])
    sso_agent.TokenSource().token()
    assert len(home.starts()) == 2
    with pytest.raises(ChildProcessError):
        os.waitpid(first, os.WNOHANG)


def test_it_is_not_started_where_that_is_not_wanted(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.install(AGENT)
    with pytest.raises(sso_agent.AgentUnreachable, match="no agent is listening"):
        sso_agent.Agent.connect(start=False)
    monkeypatch.setenv("SSO_AGENT_AUTOSTART", "0")
    with pytest.raises(sso_agent.AgentUnreachable, match="no agent is listening"):
        sso_agent.Agent.connect()
    assert not home.state.exists()


def test_without_the_program_one_is_told_so(home: Home) -> None:
    with pytest.raises(sso_agent.AgentUnreachable, match="there is no program sso-agent"):
        sso_agent.Agent.connect()


def test_an_agent_that_fails_is_quoted_without_control_characters(home: Home) -> None:
    home.install("#!/bin/sh\nprintf '1\\n2\\n3\\n\\033[31mno key\\n' >&2\nexit 1\n")
    with pytest.raises(sso_agent.AgentUnreachable, match=r"stopped at its start \(exit code 1\): ") as caught:
        sso_agent.Agent.connect()
    assert "2 | 3 | [31mno key" in str(caught.value)
    assert str(home.state / "agent.log") in caught.value.hint


def test_an_agent_that_does_not_come_up_is_not_waited_for_long(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_start, "_PATIENCE", 0.05)
    home.install("#!/bin/sh\nexit 0\n")
    with pytest.raises(sso_agent.AgentUnreachable, match="does not listen at"):
        sso_agent.Agent.connect()


def test_a_large_log_is_put_aside(home: Home) -> None:
    home.install(AGENT)
    home.state.mkdir(mode=0o700)
    (home.state / "agent.log").write_bytes(b"x" * (1 << 20) + b"x")
    sso_agent.Agent.connect().close()
    assert (home.state / "agent.log.old").stat().st_size == (1 << 20) + 1
    assert (home.state / "agent.log").stat().st_size == 0


def test_an_agent_that_found_another_one_is_started_again(home: Home) -> None:
    twice = AGENT.replace(
        "import json",
        "import os\nif not os.path.exists('MARK'): open('MARK', 'w'); os._exit(75)\nimport json",
        1,
    )
    home.install(twice.replace("MARK", str(home.bin / "mark")))
    sso_agent.Agent.connect().close()
    assert len(home.starts()) == 1


def test_a_relative_place_means_the_same_to_the_agent() -> None:
    given = _start.environment(
        {"SSO_AGENT_STATE": "state", "LANG": "C", "https_proxy": "p", "LD_PRELOAD": "x"}
    )
    assert given == {"SSO_AGENT_STATE": os.path.abspath("state"), "LANG": "C", "https_proxy": "p"}


def test_the_state_folder_that_cannot_be_made_is_named(home: Home) -> None:
    home.state.write_text("a file")
    with pytest.raises(
        sso_agent.AgentUnreachable, match=f"the state folder {_places.state()} cannot be used"
    ):
        sso_agent.Agent.connect()
