"""A web app in which each user lists clusters as themselves: the OAuth sample of the Databricks SDK for
Python, with the refresh tokens at sso-agent instead of in the web session.

    pip install flask 'sso-agent[databricks]'
    DATABRICKS_HOST=… SSO_EXAMPLE_CLIENT_ID=… python flask_app.py

    DATABRICKS_HOST             the workspace
    SSO_EXAMPLE_CLIENT_ID       of the OAuth app
    SSO_EXAMPLE_CLIENT_SECRET   if that is a confidential one
    SSO_EXAMPLE_APP             instead of both: the name of an app that the agent keeps
    SSO_EXAMPLE_SCOPES          what to ask for; "all-apis offline_access" when not said
    SSO_EXAMPLE_REDIRECT_URL    as it is registered; http://localhost:PORT/callback when not said
    PORT                        5000 when not said; 0 for any that is free
"""

from __future__ import annotations

import logging
import os
import secrets

from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import Unauthenticated
from flask import Flask, redirect, render_template_string, request, session, url_for
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

from sso_agent import LoginRequired, SsoAgentError
from sso_agent.web import Consent, WebApp, WebSession

APP_NAME = "flask-demo"
app = Flask(APP_NAME)
app.secret_key = secrets.token_urlsafe(32)

# Werkzeug logs every address that is asked for, and that of a callback has the code in it.
logging.getLogger("werkzeug").setLevel(logging.WARNING)
server = make_server("127.0.0.1", int(os.environ.get("PORT") or 5000), app, threaded=True)
address = f"http://localhost:{server.port}"
redirect_url = os.environ.get("SSO_EXAMPLE_REDIRECT_URL") or f"{address}/callback"

web_app = WebApp(
    host=os.environ["DATABRICKS_HOST"],
    client_id=os.environ.get("SSO_EXAMPLE_CLIENT_ID") or None,
    client_secret=os.environ.get("SSO_EXAMPLE_CLIENT_SECRET") or None,
    app=os.environ.get("SSO_EXAMPLE_APP") or None,
    redirect_url=redirect_url,
    scopes=os.environ.get("SSO_EXAMPLE_SCOPES") or "all-apis offline_access",
)
# Flask keeps the web session in a signed cookie, and so the handle, which is of use to nobody who cannot reach
# this agent. The name tells it from those of other apps on this host, since cookies know no ports.
app.config.update(
    SESSION_COOKIE_NAME=APP_NAME,
    SESSION_COOKIE_HTTPONLY=True,
    SESSION_COOKIE_SAMESITE="Lax",
    SESSION_COOKIE_SECURE=redirect_url.startswith("https:"),
)


@app.route("/callback")
def callback() -> Response:
    consent = Consent.from_text(web_app, session.get("consent", ""))
    session["creds"] = consent.finish(request.args).as_text()
    session.pop("consent", None)
    return redirect(url_for("index"))


@app.route("/")
def index() -> Response | str:
    if "creds" not in session:
        consent = web_app.start()
        session["consent"] = consent.as_text()
        return redirect(consent.authorization_url)

    user = WebSession.from_text(web_app, session["creds"])
    workspace_client = WorkspaceClient(
        host=web_app.host, product=APP_NAME, credentials_strategy=user.credentials()
    )
    try:
        return render_template_string(CLUSTERS, w=workspace_client)
    except Unauthenticated:
        # The workspace no longer takes the token, though its time is not up: another one, please.
        user.tokens.refused(user.token())
        return render_template_string(CLUSTERS, w=workspace_client)


@app.route("/logout", methods=["POST"])
def logout() -> Response:
    if "creds" in session:
        WebSession.from_text(web_app, session["creds"]).end()
    session.clear()
    return redirect(url_for("signed_out"))


@app.route("/signed-out")
def signed_out() -> str:
    return render_template_string(SIGNED_OUT)


@app.errorhandler(LoginRequired)
def over(_: LoginRequired) -> Response:
    """The session is over at the agent: the user signs in again."""
    session.clear()
    return redirect(url_for("index"))


@app.errorhandler(SsoAgentError)
def failed(error: SsoAgentError) -> tuple[str, int]:
    return render_template_string(FAILED, error=error), 503 if error.advice == "retry" else 403


@app.after_request
def harden(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


HEAD = '<!doctype html><html lang="en"><meta charset="utf-8"><title>Clusters</title>'

CLUSTERS = (
    HEAD
    + """
<h1>Clusters of {{ w.current_user.me().user_name }}</h1>
<ul>{% for cluster in w.clusters.list() %}
<li>{{ cluster.cluster_name }} is {{ cluster.state.value }}</li>{% endfor %}
</ul>
<form method="post" action="{{ url_for('logout') }}"><button>Sign out</button></form>
</html>"""
)

SIGNED_OUT = (
    HEAD
    + """
<h1>Signed out</h1>
<a href="{{ url_for('index') }}">Sign in again</a>
</html>"""
)

FAILED = (
    HEAD
    + """
<h1>Sign-in failed</h1>
<p>{{ error.message }}</p>
<p>{{ error.hint }}</p>
<a href="{{ url_for('index') }}">Start over</a>
</html>"""
)

if __name__ == "__main__":
    print(f"listening on {address}", flush=True)
    server.serve_forever()
