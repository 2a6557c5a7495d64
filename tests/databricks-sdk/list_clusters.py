"""Lists the clusters of the workspace that the environment names, one to a line, with the SDK as it is."""

from databricks.sdk import WorkspaceClient

workspace = WorkspaceClient()
print(workspace.current_user.me().user_name, workspace.config.auth_type)
for cluster in workspace.clusters.list():
    print(cluster.cluster_name, cluster.state.value)
