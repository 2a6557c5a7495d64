"""The script from which this project started: lists the clusters of a workspace that the user types, and signs in by
itself in a browser if its argument says so."""

import sys

from databricks.sdk import WorkspaceClient

more = {"auth_type": "external-browser"} if sys.argv[1:] == ["external-browser"] else {}
w = WorkspaceClient(host=input("Enter Databricks host: "), **more)
for cl in w.clusters.list():
    print(f" - {cl.cluster_name} is {cl.state}")
