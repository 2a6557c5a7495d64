"""A SQL warehouse that knows one query, whatever it is asked: who is asking. It speaks Thrift over HTTP with the
connector's own generated code, on a port of the system's choice, and believes what the host at `workspace` says of
the caller's token."""

import json
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from databricks.sql.thrift_api.TCLIService import TCLIService, ttypes
from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.transport.TTransport import TMemoryBuffer

SUCCESS = ttypes.TStatus(statusCode=ttypes.TStatusCode.SUCCESS_STATUS)
HANDLE = ttypes.THandleIdentifier(guid=b"0" * 16, secret=b"1" * 16)
OPERATION = ttypes.TOperationHandle(
    operationId=HANDLE, operationType=ttypes.TOperationType.EXECUTE_STATEMENT, hasResultSet=True
)
SCHEMA = ttypes.TTableSchema(
    columns=[
        ttypes.TColumnDesc(
            columnName="current_user()",
            position=1,
            typeDesc=ttypes.TTypeDesc(
                types=[ttypes.TTypeEntry(primitiveEntry=ttypes.TPrimitiveTypeEntry(type=ttypes.TTypeId.STRING_TYPE))]
            ),
        )
    ]
)


class Warehouse:
    """What the service does; `user` is whoever sent the request."""

    def __init__(self, user):
        self.user = user

    def OpenSession(self, _):
        return ttypes.TOpenSessionResp(
            status=SUCCESS,
            canUseMultipleCatalogs=True,
            serverProtocolVersion=ttypes.TProtocolVersion.SPARK_CLI_SERVICE_PROTOCOL_V5,
            sessionHandle=ttypes.TSessionHandle(sessionId=HANDLE),
        )

    def ExecuteStatement(self, _):
        rows = ttypes.TRowSet(
            startRowOffset=0,
            rows=[],
            columns=[ttypes.TColumn(stringVal=ttypes.TStringColumn(values=[self.user], nulls=b"\0"))],
        )
        direct = ttypes.TSparkDirectResults(
            operationStatus=ttypes.TGetOperationStatusResp(
                status=SUCCESS, operationState=ttypes.TOperationState.FINISHED_STATE
            ),
            resultSetMetadata=ttypes.TGetResultSetMetadataResp(
                status=SUCCESS, schema=SCHEMA, resultFormat=ttypes.TSparkRowSetType.COLUMN_BASED_SET
            ),
            resultSet=ttypes.TFetchResultsResp(status=SUCCESS, hasMoreRows=False, results=rows),
            closeOperation=ttypes.TCloseOperationResp(status=SUCCESS),
        )
        return ttypes.TExecuteStatementResp(status=SUCCESS, operationHandle=OPERATION, directResults=direct)

    def CloseOperation(self, _):
        return ttypes.TCloseOperationResp(status=SUCCESS)

    def CloseSession(self, _):
        return ttypes.TCloseSessionResp(status=SUCCESS)


def serve(workspace):
    """Starts one, and gives its address and the list of users that it has seen."""
    users = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            user = who(workspace, self.headers.get("Authorization", ""))
            users.append(user)
            request = TMemoryBuffer(self.rfile.read(int(self.headers["Content-Length"])))
            reply = TMemoryBuffer()
            TCLIService.Processor(Warehouse(user)).process(TBinaryProtocol(request), TBinaryProtocol(reply))
            self.send_response(200)
            self.send_header("Content-Type", "application/x-thrift")
            self.send_header("Content-Length", str(len(reply.getvalue())))
            self.end_headers()
            self.wfile.write(reply.getvalue())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}/sql/1.0/warehouses/one", users


def who(workspace, authorization):
    request = urllib.request.Request(
        f"{workspace}/api/2.0/preview/scim/v2/Me", headers={"Authorization": authorization}
    )
    return json.load(urllib.request.urlopen(request))["userName"]
