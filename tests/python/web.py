"""A web app without a web framework: two users sign in, one callback is forged, one replayed, and one leaves.

Arguments: the host, and the client's id. Says what came of it in one line of JSON, the handles too.
"""

import json
import sys
from urllib.parse import parse_qs, urljoin, urlsplit

import requests
import sso_agent
from databricks.sdk import WorkspaceClient
from sso_agent.web import Consent, WebApp, WebSession

BACK = "http://localhost:5000/callback"


def sign_in(url: str, user: str) -> str:
    """What the browser does: gives the address that it comes back to."""
    browser = requests.Session()
    answer = browser.get(url)
    answer = browser.post(answer.url, data={"user": user}, allow_redirects=False)
    while not answer.headers["Location"].startswith(BACK):
        answer = browser.get(urljoin(answer.url, answer.headers["Location"]), allow_redirects=False)
    return answer.headers["Location"]


def refusal(call: object) -> list[str]:
    try:
        call()
    except sso_agent.SsoAgentError as error:
        return [type(error).__name__, error.kind, error.advice]
    return []


host, client_id = sys.argv[1:]
app = WebApp(host=host, client_id=client_id, redirect_url=BACK, scopes="all-apis offline_access")
said = {}

first = app.start()
address = sign_in(first.authorization_url, "ada@example.com")
said["longest"] = len(first.as_text())
query = parse_qs(urlsplit(address).query)
kept = Consent.from_text(app, first.as_text())
said["forged"] = refusal(lambda: kept.finish({**query, "state": "forged"}))
said["twice"] = refusal(lambda: kept.finish({**query, "state": [*query["state"], "forged"]}))
said["crossed"] = refusal(lambda: app.start().finish(query))
changed = Consent.from_text(app, first.as_text()[:-4] + "AAAA")
said["changed"] = refusal(lambda: changed.finish(query))
ada = kept.finish(query)
said["replayed"] = refusal(lambda: kept.finish(query))

second = app.start()
grace = second.finish(sign_in(second.authorization_url, "grace@example.com"))
said["users"] = [ada.user, grace.user]
said["handles"] = [ada.as_text(), grace.as_text()]


def whose(user: WebSession) -> str:
    client = WorkspaceClient(host=app.host, credentials_strategy=user.credentials())
    return client.current_user.me().user_name


ada, grace = (WebSession.from_text(app, handle) for handle in said["handles"])
said["whose"] = [whose(ada), whose(grace)]
with sso_agent.Agent.connect() as agent:
    said["own"] = [session.id for session in agent.sessions()]
    said["web"] = sorted(session.user for session in agent.web_sessions(host=host))
    said["ended"] = [ada.end(), ada.end()]
    said["over"] = refusal(WebSession.from_text(app, said["handles"][0]).token)
    said["left"] = [session.user for session in agent.web_sessions()]
print(json.dumps(said))
