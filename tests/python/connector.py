"""Prints the header that the SQL connector sends with the credentials of the package."""

import sys

from databricks.sql.auth.auth import get_python_sql_connector_auth_provider
from sso_agent.databricks import SsoAgentCredentials

host = sys.argv[1]


class Nothing:
    """The connector looks at a host with it, and here there is nothing to look at."""


provider = get_python_sql_connector_auth_provider(host, Nothing(), credentials_provider=SsoAgentCredentials().sql(host))
headers: dict[str, str] = {}
provider.add_headers(headers)
print(headers["Authorization"])
