"""Asks the agent for tokens by the package and by as little Python as does it, in turn, and prints how long
each took in microseconds.
"""

import json
import os
import socket
import sys
import time
import timeit

import sso_agent

host, times, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
place = os.environ["SSO_AGENT_SOCK"]
number = 0


def open_bare():
    stream = socket.socket(socket.AF_UNIX)
    stream.connect(place)
    return stream, stream.makefile("rb")


def ask_bare(stream, lines):
    global number
    number += 1
    request = {"jsonrpc": "2.0", "id": number, "method": "token.get", "params": {"host": host}}
    stream.sendall(json.dumps(request).encode() + b"\n")
    return json.loads(lines.readline())["result"]["access_token"]


def p50(ask):
    took = []
    for _ in range(count):
        start = time.perf_counter_ns()
        ask()
        took.append(time.perf_counter_ns() - start)
    return sorted(took)[count // 2] / 1000


bare = open_bare()
agent = sso_agent.Agent.connect()
source = sso_agent.TokenSource(host=host)
assert agent.token(host=host) == source.token()
figures = {"ours": [], "bare": [], "cached": []}
for _ in range(times):
    figures["bare"].append(p50(lambda: ask_bare(*bare)))
    figures["ours"].append(p50(lambda: agent.token(host=host).access_token))
    figures["cached"].append(timeit.timeit(source.token, number=count) / count * 1e6)
print(json.dumps(figures))
