"""dbt as a person runs it: `dbt debug` reads profiles.yml and project, connects and asks a query, against a warehouse
that asks the host whose token it got. Prints the same line of JSON as python_client.py does.

dbt makes the SDK's configuration itself, with a token or for a browser of its own, so it takes its token from the
environment."""

import contextlib
import io
import json
import os
import tempfile
from importlib.metadata import version
from pathlib import Path

from dbt.cli.main import dbtRunner
from warehouse import serve

PROJECT = "name: shop\nprofile: shop\nversion: '1.0'\n"
PROFILES = """
shop:
  target: dev
  outputs:
    dev:
      type: databricks
      host: "{{{{ env_var('DATABRICKS_HOST') }}}}"
      token: "{{{{ env_var('DATABRICKS_TOKEN') }}}}"
      http_path: /sql/1.0/warehouses/one
      schema: dev
      connection_parameters:
        _connection_uri: {address}
        enable_telemetry: false
        # Some of what dbt asks first knows https only; it goes on without.
        _retry_stop_after_attempts_count: 1
"""
address, users = serve(os.environ["DATABRICKS_HOST"])
with tempfile.TemporaryDirectory() as folder:
    Path(folder, "dbt_project.yml").write_text(PROJECT)
    Path(folder, "profiles.yml").write_text(PROFILES.format(address=address))
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        places = ["--project-dir", folder, "--profiles-dir", folder, "--log-path", folder]
        result = dbtRunner().invoke(["debug", "--no-send-anonymous-usage-stats", *places])
    assert result.success, said.getvalue()

print(
    json.dumps(
        {
            "client": f"dbt-databricks {version('dbt-databricks')}",
            "user": users[-1],
            "auth_type": "pat",
            "names": [],
            "believed_s": None,
            "true_s": None,
        }
    )
)
