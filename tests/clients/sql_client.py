"""A program that uses databricks-sql-connector with the SDK's credentials, as its documentation has it, against a
warehouse that asks the host whose token it got. Prints the same line of JSON as python_client.py does."""

import json

from databricks import sql
from databricks.sdk.core import Config
from warehouse import serve

config = Config()
address, users = serve(config.host)
with sql.connect(
    server_hostname="127.0.0.1",
    http_path="/sql/1.0/warehouses/one",
    credentials_provider=lambda: config.authenticate,
    _connection_uri=address,
    enable_telemetry=False,
) as connection, connection.cursor() as cursor:
    cursor.execute("SELECT current_user()")
    (user,) = cursor.fetchone()

assert set(users) == {user}, users
print(
    json.dumps(
        {
            "client": f"databricks-sql-connector {sql.__version__}",
            "user": user,
            "auth_type": config.auth_type,
            "names": [],
            "believed_s": None,
            "true_s": None,
        }
    )
)
