"""A program that uses the Databricks SDK for Python as anybody's would, from release 0.20 on.

Prints one line of JSON: who it was to the host, how the SDK signed in, what it listed, and for how many seconds the
SDK believes its token to last beside for how many the token says so itself (null where the SDK has no belief).
With `account` as its argument it is a program for the account console.
"""

import base64
import json
import sys
import time
from datetime import datetime

from databricks.sdk import AccountClient, WorkspaceClient, credentials_provider, version

SOURCES = {
    "databricks-cli": credentials_provider.DatabricksCliTokenSource,
    "metadata-service": credentials_provider.MetadataServiceTokenSource,
}


def main():
    if sys.argv[1:] == ["account"]:
        client = AccountClient()
        names = [workspace.workspace_name for workspace in client.workspaces.list()]
    else:
        client = WorkspaceClient()
        names = [cluster.cluster_name for cluster in client.clusters.list()]
    token = client.config.authenticate()["Authorization"].removeprefix("Bearer ")
    claims = claims_of(token)
    believed, true = lifetimes(client.config)
    print(
        json.dumps(
            {
                "client": f"databricks-sdk {version.__version__}",
                "user": claims["sub"],
                "auth_type": client.config.auth_type,
                "names": names,
                "believed_s": believed,
                "true_s": true,
            }
        )
    )


def lifetimes(config):
    """What the SDK's own class for this way of signing in believes, and what is true."""
    source = SOURCES.get(config.auth_type)
    if source is None:
        return None, None
    token = source(config).token()
    # The SDK itself compares with this clock, without a zone.
    believed = (token.expiry - datetime.now()).total_seconds()
    return believed, claims_of(token.access_token)["exp"] - time.time()


def claims_of(token):
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


main()
