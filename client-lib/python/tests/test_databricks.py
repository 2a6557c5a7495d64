"""The real SDK with tokens of a fake agent, against a workspace that tells what it was sent."""

from __future__ import annotations

import datetime
import http.server
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

import sso_agent
from fake import Asked, Fake, session, token, tokens
from sso_agent.databricks import SsoAgentCredentials, _account_of, _origin
from sso_agent.web import WebApp, WebSession

if find_spec("databricks") is None or find_spec("databricks.sdk") is None:
    assert "SSO_TEST_ALL_PARTS" not in os.environ, "the Databricks SDK is missing"
    pytest.skip("the Databricks SDK is not installed", allow_module_level=True)

from databricks.sdk import AccountClient, WorkspaceClient
from databricks.sdk.config import Config

ACCOUNT = "00000000-0000-0000-0000-000000000042"


class Workspace(http.server.ThreadingHTTPServer):
    """Knows one list of clusters, and keeps the headers of who asks for it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Calls)
        self.seen: list[dict[str, str]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        #: What it tells of itself.
        self.about = {"account_id": ACCOUNT, "workspace_id": "42", "oidc_endpoint": f"{self.url}/oidc"}


class _Calls(http.server.BaseHTTPRequestHandler):
    server: Workspace

    def do_GET(self) -> None:
        if self.path.startswith("/.well-known/databricks-config"):
            self.reply(self.server.about)
        elif self.path.endswith("/workspaces"):
            self.reply([])
        else:
            self.server.seen.append(dict(self.headers))
            self.reply({"clusters": [{"cluster_id": "1", "cluster_name": "shared", "state": "RUNNING"}]})

    def reply(self, body: object) -> None:
        text = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def workspace(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> Iterator[Workspace]:
    for name in [name for name in os.environ if name.startswith(("DATABRICKS_", "ARM_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", f"{tmp_path}/none")
    with Workspace() as workspace:
        threading.Thread(target=workspace.serve_forever, args=[0.01], daemon=True).start()
        yield workspace
        workspace.shutdown()


def names(client: WorkspaceClient) -> list[str | None]:
    return [cluster.cluster_name for cluster in client.clusters.list()]


def test_one_changed_line_lists_the_clusters(workspace: Workspace) -> None:
    with Fake(tokens()) as fake:
        client = WorkspaceClient(
            host=workspace.url, credentials_strategy=SsoAgentCredentials(socket=fake.path)
        )
        assert names(client) == ["shared"]
        assert names(client) == ["shared"]
        assert workspace.seen[-1]["Authorization"] == "Bearer t1"
        assert "auth/sso-agent" in workspace.seen[-1]["User-Agent"]
        assert client.config.auth_type == "sso-agent"
        assert [asked.params for asked in fake.asked] == [{"host": workspace.url}]


def test_the_sdk_is_told_when_the_token_ends(workspace: Workspace) -> None:
    with Fake(tokens(600)) as fake:
        config = Config(host=workspace.url, credentials_strategy=SsoAgentCredentials(socket=fake.path))
        given = config.oauth_token()
        assert (given.access_token, given.token_type) == ("t1", "Bearer")
        assert given.expiry is not None and given.valid
        assert 597 < (given.expiry - datetime.datetime.now()).total_seconds() <= 600


def test_without_a_host_it_is_that_of_the_only_session(workspace: Workspace) -> None:
    def answer(asked: Asked) -> object:
        shown = session(workspace.url, account_id=ACCOUNT)
        return asked.result(token("t") if asked.method == "token.get" else shown)

    with Fake(answer) as fake:
        client = WorkspaceClient(credentials_strategy=SsoAgentCredentials(socket=fake.path))
        assert client.config.host == workspace.url
        assert names(client) == ["shared"]
        assert [asked.method for asked in fake.asked] == ["token.get", "session.show", "token.get"]


def test_without_a_host_and_a_session_one_is_told_what_to_do(workspace: Workspace) -> None:
    with Fake(lambda asked: asked.error("ambiguous", "there are 2 sessions")) as fake:
        with pytest.raises(ValueError, match="sso-agent auth: no host is configured.*there are 2 sessions"):
            WorkspaceClient(credentials_strategy=SsoAgentCredentials(socket=fake.path))


def test_the_argument_is_the_host_where_the_configuration_has_none(workspace: Workspace) -> None:
    with Fake(tokens()) as fake:
        credentials = SsoAgentCredentials(host=workspace.url, socket=fake.path)
        assert names(WorkspaceClient(credentials_strategy=credentials)) == ["shared"]
        assert fake.asked[0].params == {"host": workspace.url}


def test_a_token_never_goes_to_another_host_than_its_own(workspace: Workspace) -> None:
    with Fake(lambda asked: asked.result(token(f"for-{asked.params['host']}"))) as fake:
        credentials = SsoAgentCredentials(host="https://other.example.com", socket=fake.path)
        names(WorkspaceClient(host=workspace.url, credentials_strategy=credentials))
        assert workspace.seen[-1]["Authorization"] == f"Bearer for-{workspace.url}"


def test_profile_label_and_scopes_are_passed_on(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = f"{os.environ['DATABRICKS_CONFIG_FILE']}.cfg"
    with open(file, "w") as out:
        out.write(f"[work]\nhost = {workspace.url}\n")
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", file)
    with Fake(tokens()) as fake:
        named = SsoAgentCredentials(label="l", scopes="sql", socket=fake.path)
        names(WorkspaceClient(profile="work", credentials_strategy=named))
        assert fake.asked[0].params == {
            "host": workspace.url,
            "profile": "work",
            "label": "l",
            "scopes": ["sql"],
        }


def test_an_account_is_asked_for_where_the_host_is_no_workspace(workspace: Workspace) -> None:
    workspace.about = {
        "account_id": ACCOUNT,
        "oidc_endpoint": f"{workspace.url}/oidc/accounts/{{account_id}}",
    }
    with Fake(tokens()) as fake:
        credentials = SsoAgentCredentials(socket=fake.path)
        client = AccountClient(host=workspace.url, account_id=ACCOUNT, credentials_strategy=credentials)
        assert list(client.workspaces.list()) == []
        assert fake.asked[0].params == {"host": workspace.url, "account_id": ACCOUNT}


def test_an_account_console_is_known_by_its_name() -> None:
    for host in ["https://accounts.cloud.databricks.com", "https://accounts-dod.cloud.databricks.us"]:
        assert _account_of(cast(Config, SimpleNamespace(host=host, account_id="a", workspace_id="42"))) == "a"
    workspace = SimpleNamespace(host="https://adb-1.azuredatabricks.net", account_id="a", workspace_id="1")
    assert _account_of(cast(Config, workspace)) is None


def test_a_copied_configuration_works_too(workspace: Workspace) -> None:
    with Fake(tokens()) as fake:
        config = Config(host=workspace.url, credentials_strategy=SsoAgentCredentials(socket=fake.path))
        config.authenticate()
        copied = config.deep_copy()  # type: ignore[no-untyped-call]
        assert copied.authenticate()["Authorization"].startswith("Bearer t")


def test_the_user_of_a_web_app_is_asked_for_by_handle_alone(workspace: Workspace) -> None:
    with Fake(tokens()) as fake:
        user = WebSession.from_text(WebApp(host=f"{workspace.url}/", socket=fake.path), "handle")
        for strategy in [user.credentials(), SsoAgentCredentials(handle="handle", socket=fake.path)]:
            client = WorkspaceClient(host=workspace.url, credentials_strategy=strategy)
            assert names(client) == names(client) == ["shared"]
            assert client.config.oauth_token().access_token in workspace.seen[-1]["Authorization"]
        assert user.token().access_token == "t1", "it shares what it has with its clients"
        assert [asked.params for asked in fake.asked] == [{"handle": "handle"}] * 2


def test_threads_share_the_token_of_a_user(workspace: Workspace) -> None:
    with Fake(tokens()) as fake:
        strategy = SsoAgentCredentials(handle="handle", socket=fake.path)
        client = WorkspaceClient(host=workspace.url, credentials_strategy=strategy)
        threads = [threading.Thread(target=names, args=[client]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {headers["Authorization"] for headers in workspace.seen} == {"Bearer t1"}
        assert len(fake.asked) == 1


def test_a_token_that_was_turned_down_is_replaced_for_the_client_too(workspace: Workspace) -> None:
    with Fake(tokens()) as fake:
        user = WebSession.from_text(WebApp(host=workspace.url, socket=fake.path), "handle")
        client = WorkspaceClient(host=workspace.url, credentials_strategy=user.credentials())
        names(client)
        user.tokens.refused(user.token())
        names(client)
        assert workspace.seen[-1]["Authorization"] == "Bearer t2"
        assert fake.asked[-1].params == {"handle": "handle", "refused": "id-of-t1"}


def test_the_token_of_a_user_never_goes_to_another_host(workspace: Workspace) -> None:
    with Fake(tokens()) as fake:
        user = WebSession.from_text(WebApp(host="https://other.example.com", socket=fake.path), "handle")
        with pytest.raises(ValueError, match="these tokens are for https://other.example.com"):
            WorkspaceClient(host=workspace.url, credentials_strategy=user.credentials())
        assert fake.asked == []


def test_a_host_is_the_same_however_it_is_spelled() -> None:
    spellings = ["adb-1.example.com", "https://ADB-1.example.com/?o=1", "https://adb-1.example.com:443"]
    assert {_origin(host) for host in spellings} == {("https", "adb-1.example.com", 443)}
    assert _origin("http://localhost") != _origin("localhost")


def test_a_refusal_reaches_the_caller_at_once_and_as_it_is(workspace: Workspace) -> None:
    with Fake(lambda asked: asked.error("login_required", "nobody is signed in")) as fake:
        client = WorkspaceClient(
            host=workspace.url, credentials_strategy=SsoAgentCredentials(socket=fake.path)
        )
        with pytest.raises(sso_agent.LoginRequired, match="nobody is signed in"):
            names(client)
        assert len(fake.asked) == 1


def test_the_sql_connector_gets_a_header_factory() -> None:
    with Fake(tokens()) as fake:
        provider = SsoAgentCredentials(socket=fake.path).sql("h")
        assert provider.auth_type() == "sso-agent"
        # As its ExternalAuthProvider does: once at the start, then for every request.
        header_factory = provider()
        assert header_factory() == {"Authorization": "Bearer t1"}
        assert header_factory() == {"Authorization": "Bearer t1"}
        assert [asked.params for asked in fake.asked] == [{"host": "h"}]


def test_the_guide_works(workspace: Workspace, tmp_path: Path) -> None:
    def answer(asked: Asked) -> object:
        if asked.method == "session.list":
            return asked.result({"sessions": [session(workspace.url)]})
        return asked.result(token("t") if asked.method == "token.get" else session(workspace.url))

    root = Path(__file__).parents[1]
    blocks = re.findall(r"```python\n(.*?)```", (root / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 3
    said = ""
    with Fake(answer) as fake:
        environment = {**os.environ, "PYTHONPATH": str(root / "src"), "SSO_AGENT_SOCK": fake.path}
        for block in blocks:
            command = [sys.executable, "-W", "ignore::ResourceWarning", "-c", block]
            ran = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
            assert ran.returncode == 0, ran.stderr
            said += ran.stdout
    assert "shared RUNNING\n" in said
    assert "('127.0.0.1:" in said
