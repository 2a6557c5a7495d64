"""Leaves a sign-in where `external-browser` of this release of the SDK keeps it.

`keep_sign_in.py HOST PROFILE`, with the refresh token on stdin; the profile may be empty. It stands in for
the end of a sign-in only: the file, its name and what is in it are the release's own.
"""

import inspect
import sys
from datetime import datetime, timedelta
from types import SimpleNamespace

from databricks.sdk import oauth

host, profile = sys.argv[1:]
client_id = "databricks-cli"
takes = inspect.signature(oauth.TokenCache.__init__).parameters
if "client" in takes:
    client = oauth.OAuthClient(host=host, client_id=client_id, redirect_url="http://localhost:8020")
    cache = oauth.TokenCache(client)
elif "profile" in takes:
    scopes = ["all-apis", "offline_access"]
    cache = oauth.TokenCache(host, None, client_id, scopes=scopes, profile=profile or None)
else:
    cache = oauth.TokenCache(host, None, client_id)

token = oauth.Token("over", "Bearer", sys.stdin.read().strip(), datetime.now() - timedelta(hours=1))
cache.save(SimpleNamespace(as_dict=lambda: {"token": token.as_dict()}))
print(cache.filename)
