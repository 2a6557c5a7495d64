"""What the Databricks SDK for Python asks of the account API, call by call, for the agent to be compared with.

Says on stdout, as JSON, the ids that it was given. Enrolment is in no current SDK; those two calls are what 0.1.6
sent. Its arguments are the host, the account and how to sign in: a token on stdin, or with `password` the password
of admin@example.com there.
"""

import json
import sys

from databricks.sdk import AccountClient
from databricks.sdk.errors import NotFound
from databricks.sdk.service.oauth2 import TokenAccessPolicy

PATH = "https://host.domain/path/to/callback"
POLICY = {
    "access_token_ttl_in_minutes": 60,
    "refresh_token_ttl_in_minutes": 129600,
    "absolute_session_lifetime_in_minutes": 43200,
    "enable_single_use_refresh_tokens": True,
}


def main():
    host, account_id, *way = sys.argv[1:]
    secret = sys.stdin.read().strip()
    signed = {"username": "admin@example.com", "password": secret} if way == ["password"] else {"token": secret}
    account = AccountClient(host=host, account_id=account_id, **signed)
    print(json.dumps({"custom": custom(account), "published": published(account)}))
    enrolment(account)


def custom(account):
    apps = account.custom_app_integration
    first = apps.create(name="awesome-app", redirect_urls=[PATH], confidential=True)
    assert first.client_secret, "a confidential app has a secret"
    second = apps.create(
        name="tuned app",
        redirect_urls=[PATH, "http://localhost:8080/cb?a=b"],
        scopes=["all-apis", "offline_access"],
        user_authorized_scopes=["all-apis"],
        token_access_policy=TokenAccessPolicy(**POLICY),
    )
    assert second.client_secret is None, "a public app has none"
    third = apps.create(name="third", redirect_urls=[PATH])
    ids = [app.integration_id for app in (first, second, third)]
    assert [app.integration_id for app in apps.list()] == ids
    listed = list(apps.list(page_size=2, include_creator_username=True))
    assert [app.integration_id for app in listed] == ids and listed[2].creator_username
    shown = apps.get(ids[1])
    assert shown.token_access_policy == TokenAccessPolicy(**POLICY) and shown.scopes == ["all-apis", "offline_access"]
    apps.update(ids[0], redirect_urls=["https://other.domain/cb"], scopes=["sql"])
    apps.update(ids[1], token_access_policy=TokenAccessPolicy(access_token_ttl_in_minutes=5))
    assert apps.get(ids[0]).redirect_urls == ["https://other.domain/cb"]
    for one in ids:
        apps.delete(one)
    try:
        apps.get(ids[0])
    except NotFound:
        return ids
    raise AssertionError("it is still there")


def published(account):
    names = [app.app_id for app in account.o_auth_published_apps.list(page_size=2)]
    apps = account.published_app_integration
    added = apps.create(app_id=names[0], token_access_policy=TokenAccessPolicy(refresh_token_ttl_in_minutes=60))
    assert [app.app_id for app in apps.list()] == names[:1]
    apps.update(added.integration_id, token_access_policy=TokenAccessPolicy(access_token_ttl_in_minutes=30))
    apps.delete(added.integration_id)
    return [added.integration_id]


def enrolment(account):
    path = f"/api/2.0/accounts/{account.config.account_id}/oauth2/enrollment"
    try:
        account.api_client.do("POST", path, body={"enable_all_published_apps": True})
        account.api_client.do("GET", path, headers={"Accept": "application/json"})
    except NotFound as error:
        print(error, file=sys.stderr)


main()
