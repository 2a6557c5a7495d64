"""An agent for tests: threads behind a real socket that answer what they are told to."""

from __future__ import annotations

import json
import os
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

#: Instead of an answer: the connection is closed.
HANG_UP = None


class Asked:
    """One request as it came."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.id = request["id"]
        self.method: str = request["method"]
        self.params: dict[str, Any] = request["params"]

    def result(self, value: object) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "id": self.id, "result": value}

    def error(self, kind: str, message: str = "no", **more: object) -> dict[str, Any]:
        data = {"kind": kind, "hint": "a hint", **more}
        return {"jsonrpc": "2.0", "id": self.id, "error": {"code": -32000, "message": message, "data": data}}

    def progress(self, **step: object) -> dict[str, Any]:
        params = {"request_id": self.id, **step}
        return {"jsonrpc": "2.0", "method": "session.login.progress", "params": params}


class Fake:
    """Answers by a function; a list, or what a generator yields, is sent in order, bytes as they are, ``HANG_UP`` closes."""

    def __init__(self, answer: Callable[[Asked], Any], path: str | None = None) -> None:
        self.folder = tempfile.mkdtemp(prefix="sso-")
        self.path = path or os.path.join(self.folder, "agent.sock")
        self.asked: list[Asked] = []
        #: How many connections were opened.
        self.connections = 0
        #: Released whenever one has ended.
        self.ended = threading.Semaphore(0)
        self._answer = answer
        self._streams: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(64)
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self) -> Fake:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def stop(self) -> None:
        """Ends as an agent does that is replaced: every connection is closed, the socket is gone."""
        try:
            os.unlink(self.path)
        except FileNotFoundError:
            pass
        for stream in [self._listener, *self._streams]:
            try:
                stream.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                stream, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._streams.append(stream)
            threading.Thread(target=self._talk, args=[stream], daemon=True).start()

    def _talk(self, stream: socket.socket) -> None:
        with stream, stream.makefile("rb") as lines:
            try:
                for line in lines:
                    asked = Asked(json.loads(line))
                    self.asked.append(asked)
                    answer = self._answer(asked)
                    for part in answer if isinstance(answer, (list, Iterator)) else [answer]:
                        if part is HANG_UP:
                            return
                        stream.sendall(part if isinstance(part, bytes) else json.dumps(part).encode() + b"\n")
            except OSError:
                pass
            finally:
                self.ended.release()


def token(secret: str = "secret", expires_in: int = 3600, **more: object) -> dict[str, Any]:
    """A token as the agent gives it."""
    ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + expires_in))
    return {
        "access_token": secret,
        "token_type": "Bearer",
        "token_id": f"id-of-{secret}",
        "expires_at": ends,
        "expires_in_s": expires_in,
        "scopes": ["all-apis"],
        "session": "h",
        **more,
    }


def session(host: str = "https://h", **more: object) -> dict[str, Any]:
    """A session as the agent shows it."""
    return {
        "id": host.partition("://")[2],
        "host": host,
        "label": "",
        "cloud": None,
        "issuer": f"{host}/oidc",
        "client_id": "databricks-cli",
        "user": "ada@example.com",
        "scopes": ["all-apis"],
        "state": "active",
        "expires_at": "2026-11-23T21:00:00.123456789Z",
        "next_refresh_at": None,
        "last_error": None,
        **more,
    }


def tokens(expires_in: int = 3600) -> Callable[[Asked], dict[str, Any]]:
    """Answers every request with another token: t1, t2, …"""
    count = 0
    lock = threading.Lock()

    def answer(asked: Asked) -> dict[str, Any]:
        nonlocal count
        with lock:
            count += 1
            return asked.result(token(f"t{count}", expires_in))

    return answer
