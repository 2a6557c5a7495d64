"""Lists the clusters with the credentials of the package, whichever release of the SDK this is.

Its arguments, in JSON, are those of the client and those of the credentials.
"""

import inspect
import json
import sys

from databricks.sdk import WorkspaceClient
from databricks.sdk.version import __version__
from sso_agent.databricks import SsoAgentCredentials

options, credentials = (json.loads(text) for text in sys.argv[1:3])
# Before release 0.29 it had another name.
known = inspect.signature(WorkspaceClient.__init__).parameters
name = "credentials_strategy" if "credentials_strategy" in known else "credentials_provider"
workspace = WorkspaceClient(**options, **{name: SsoAgentCredentials(**credentials)})
clusters = [cluster.cluster_name for cluster in workspace.clusters.list()]
print(json.dumps({"release": __version__, "host": workspace.config.host, "clusters": clusters}))
