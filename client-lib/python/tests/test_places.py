"""Where the agent is looked for, and when what is there is not trusted."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

import sso_agent
from fake import Fake, tokens
from sso_agent import _connection, _places

if sys.platform == "win32":
    pytest.skip("a pipe has no folder", allow_module_level=True)

VARIABLES = ["SSO_AGENT_SOCK", "SSO_AGENT_STATE", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "TMPDIR"]


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", "/home/u")
    monkeypatch.setattr(sys, "platform", "linux")


def test_the_defaults_are_the_promised_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    assert _places.default_socket() == "/run/user/7/sso-agent/agent.sock"
    assert _places.state() == "/home/u/.local/state/sso-agent"


@pytest.mark.parametrize("runtime", [None, "relative", ""])
def test_without_a_runtime_folder_the_socket_is_beside_the_state(
    monkeypatch: pytest.MonkeyPatch, runtime: str | None
) -> None:
    if runtime is not None:
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
    assert _places.default_socket() == "/home/u/.local/state/sso-agent/run/agent.sock"
    monkeypatch.setenv("XDG_STATE_HOME", "/s")
    assert _places.default_socket() == "/s/sso-agent/run/agent.sock"
    monkeypatch.setenv("SSO_AGENT_STATE", "/t")
    assert _places.default_socket() == "/t/run/agent.sock"


def test_a_mac_has_a_temporary_folder_for_every_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setenv("TMPDIR", "/var/folders/u/T/")
    assert _places.default_socket() == "/var/folders/u/T/sso-agent/agent.sock"
    assert _places.state() == "/home/u/Library/Application Support/sso-agent"


def test_an_override_wins_and_may_be_relative(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    monkeypatch.setenv("SSO_AGENT_SOCK", "a.sock")
    assert _places.default_socket() == os.path.join(os.getcwd(), "a.sock")


@pytest.mark.parametrize("path", ["", "/" + "x" * 107])
def test_a_path_that_no_socket_can_have_is_an_error(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setenv("SSO_AGENT_SOCK", path)
    with pytest.raises(sso_agent.AgentUnreachable) as caught:
        sso_agent.Agent.connect()
    assert caught.value.hint


def connect(path: str) -> sso_agent.Agent:
    return sso_agent.Agent.connect(socket=path)


def test_where_nobody_listens_nobody_is_reached(tmp_path: Path) -> None:
    stale = tmp_path / "stale"
    tmp_path.chmod(0o700)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(stale))
    for path in [tmp_path / "none", tmp_path / "no" / "folder", stale]:
        with pytest.raises(sso_agent.AgentUnreachable, match="no agent is listening"):
            connect(str(path))


def test_a_folder_that_others_may_write_is_refused() -> None:
    with Fake(tokens()) as fake:
        os.chmod(fake.folder, 0o775)
        with pytest.raises(
            sso_agent.AgentUnreachable, match=r"written by other users \(mode 775\)"
        ) as caught:
            connect(fake.path)
        assert caught.value.hint.startswith("nothing was sent")
        assert fake.connections == 0


def test_a_file_in_place_of_the_socket_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "s").touch()
    with pytest.raises(sso_agent.AgentUnreachable, match="is not a socket"):
        connect(str(tmp_path / "s"))
    with pytest.raises(sso_agent.AgentUnreachable, match="is not a folder"):
        connect(str(tmp_path / "s" / "t"))


@pytest.mark.parametrize("what", ["folder", "path"])
def test_what_belongs_to_somebody_else_is_refused(what: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give something away")
    with Fake(tokens()) as fake:
        os.chown(getattr(fake, what), 4711, -1)
        with pytest.raises(sso_agent.AgentUnreachable, match="belongs to user 4711, not to you"):
            connect(fake.path)


def test_a_listener_of_somebody_else_hears_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    # What the kernel tells is real; it is us who are somebody else.
    uid = os.geteuid()
    with Fake(tokens()) as fake:
        monkeypatch.setattr(_connection, "_check_place", lambda path: None)
        monkeypatch.setattr(os, "geteuid", lambda: 4711)
        with pytest.raises(sso_agent.AgentUnreachable, match=f"what listens at .* belongs to user {uid}"):
            connect(fake.path)
        assert fake.asked == []


def test_a_listener_that_the_system_does_not_name_hears_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with Fake(tokens()) as fake:
        monkeypatch.setattr(_connection, "_PEER", (12345, 12345, 12))
        with pytest.raises(sso_agent.AgentUnreachable, match="does not say who listens"):
            connect(fake.path)
        assert fake.asked == []
