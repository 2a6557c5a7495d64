"""Stands at a herd's gate (tests/src/herd.rs), and once it opens does as a careful script does: has the Databricks
CLI on the path get a new token for a host. Prints what that printed."""

import subprocess
import sys

gate, ready, host = sys.argv[1:]
with open(gate) as opens:
    with open(ready, "w") as says:
        says.write("\n")
    opens.read()
command = ["databricks", "auth", "token", "--host", host, "--force-refresh"]
done = subprocess.run(command, capture_output=True, text=True)
sys.stdout.write(done.stdout)
sys.exit(done.stderr or done.returncode)
