"""A program that stays: for every line it reads it asks the host who it is, and prints that, or what went wrong.
Its Databricks client is made once, at the first line that finds the host willing."""

import sys

from databricks.sdk import WorkspaceClient

client = None
for _ in sys.stdin:
    try:
        client = client or WorkspaceClient()
        print(client.current_user.me().user_name, flush=True)
    except Exception as error:
        print("failed:", " ".join(str(error).split()), flush=True)
