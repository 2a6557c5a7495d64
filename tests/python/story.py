"""Signs in, lists the clusters before and after the first token's end, and signs out: all by the package.

Says each step in a line of JSON, and waits for a line before it goes on.
"""

import json
import sys

import sso_agent
from databricks.sdk import WorkspaceClient
from sso_agent.databricks import SsoAgentCredentials


def say(**what: object) -> None:
    print(json.dumps(what), flush=True)
    sys.stdin.readline()


host = sys.argv[1]
agent = sso_agent.Agent.connect()
try:
    agent.token(host=host)
except sso_agent.SsoAgentError as error:
    refusal = type(error).__name__
session = agent.login(host=host)
say(refusal=refusal, session=session.id, user=session.user, state=session.state)

workspace = WorkspaceClient(credentials_strategy=SsoAgentCredentials())
for _ in range(2):
    say(
        host=workspace.config.host,
        me=workspace.current_user.me().user_name,
        auth_type=workspace.config.auth_type,
        clusters=[cluster.cluster_name for cluster in workspace.clusters.list()],
        token=workspace.config.oauth_token().access_token,
    )

revoked = agent.logout(session.id)
try:
    agent.token(host=host)
except sso_agent.SsoAgentError as error:
    say(revoked=revoked, refusal=type(error).__name__, sessions=len(agent.sessions()))
