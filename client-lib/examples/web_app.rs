//! A web app whose users sign in: each sees their own clusters, fetched with their own token.
//!
//! The app keeps nothing itself. A user's browser has, in an encrypted cookie, a [`Consent`] while they sign
//! in and a [`WebSession`] from then on; the agent has the rest, and keeps the tokens fresh.
//!
//! ```sh
//! export DATABRICKS_HOST=https://adb-1234567890123456.7.azuredatabricks.net
//! cargo run --package sso-agent-client --features tokio --example web_app
//! ```

#[path = "web_app/page.rs"]
mod page;
#[path = "web_app/workspace.rs"]
mod workspace;

use axum::extract::{FromRef, Query, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::{Router, middleware::map_response, routing};
use axum_extra::extract::cookie::{Cookie, Key, PrivateCookieJar, SameSite};
use serde::{Serialize, de::DeserializeOwned};
use sso_agent_client::{Consent, WebApp, WebSession, proto::fault::Kind, tokio::Agent};
use tokio::net::TcpListener;

use page::{Failed, guarded, page, text};
use workspace::{BoxError, Workspace};

/// The cookies: until the callback, and from then on.
const CONSENT: &str = "web-app-consent";
const SESSION: &str = "web-app-session";

struct App {
    agent: Agent,
    web: WebApp,
    workspace: Workspace,
    /// Of the cookies: a new one at each start, so that all users sign in again.
    key: Key,
    /// Whether cookies travel by HTTPS only.
    https: bool,
}

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "the one line that says where to look")]
async fn main() -> Result<(), BoxError> {
    let port = setting("PORT").map_or(Ok(5000), |port| port.parse())?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let address = format!("http://localhost:{}", listener.local_addr()?.port());
    let app: &App = Box::leak(Box::new(App::from_env(&address).await?));
    let routes = Router::new()
        .route("/", routing::get(index))
        .route("/callback", routing::get(callback))
        .route("/logout", routing::post(logout))
        .route("/signed-out", routing::get(signed_out))
        .layer(map_response(guarded))
        .with_state(app);
    println!("listening on {address}");
    Ok(axum::serve(listener, routes).await?)
}

/// Shows the user's clusters, after a sign-in if there was none or it is over.
async fn index(State(app): State<&'static App>, jar: PrivateCookieJar) -> Result<Response, Failed> {
    let Some(user) = kept(&jar, SESSION) else { return app.sign_in(jar).await };
    match app.clusters(&user).await {
        Err(Failed::Agent(error)) if error.kind() == Some(Kind::LoginRequired) => app.sign_in(jar).await,
        outcome => Ok(outcome?.into_response()),
    }
}

/// Takes the browser back from the sign-in. What is not the answer to its own consent changes nothing.
async fn callback(
    State(app): State<&'static App>,
    jar: PrivateCookieJar,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<impl IntoResponse, Failed> {
    let consent: Consent = kept(&jar, CONSENT).ok_or(Failed::Stranger)?;
    let user = consent.finish(&app.agent, query).await?;
    let jar = jar.remove(app.cookie(CONSENT, &())).add(app.cookie(SESSION, &user));
    Ok((jar, Redirect::to("/")))
}

async fn logout(State(app): State<&'static App>, jar: PrivateCookieJar) -> Result<impl IntoResponse, Failed> {
    if let Some(user) = kept::<WebSession>(&jar, SESSION) {
        user.end(&app.agent).await?;
    }
    Ok((jar.remove(app.cookie(SESSION, &())), Redirect::to("/signed-out")))
}

async fn signed_out() -> Html<String> {
    page("<h1>Signed out</h1><a href=\"/\">Sign in again</a>")
}

impl App {
    async fn from_env(address: &str) -> Result<Self, BoxError> {
        let host = setting("DATABRICKS_HOST").ok_or("DATABRICKS_HOST is not set")?;
        let back = setting("SSO_EXAMPLE_REDIRECT_URL").unwrap_or_else(|| format!("{address}/callback"));
        let scopes = setting("SSO_EXAMPLE_SCOPES").unwrap_or_else(|| "all-apis offline_access".into());
        let mut web = WebApp::new(&host).redirect_url(&back).scopes(scopes.split_whitespace());
        if let Some(name) = setting("SSO_EXAMPLE_APP") {
            web = web.kept(name);
        }
        if let Some(id) = setting("SSO_EXAMPLE_CLIENT_ID") {
            web = web.client_id(id);
        }
        if let Some(secret) = setting("SSO_EXAMPLE_CLIENT_SECRET") {
            web = web.client_secret(secret);
        }
        let (agent, workspace) = (Agent::connect().await?, Workspace::new(&host)?);
        Ok(Self { agent, web, workspace, key: Key::generate(), https: back.starts_with("https:") })
    }

    async fn sign_in(&self, jar: PrivateCookieJar) -> Result<Response, Failed> {
        let (address, consent) = self.web.start(&self.agent).await?;
        let jar = jar.remove(self.cookie(SESSION, &())).add(self.cookie(CONSENT, &consent));
        Ok((jar, Redirect::to(&address)).into_response())
    }

    async fn clusters(&self, user: &WebSession) -> Result<Html<String>, Failed> {
        let get = |path| self.workspace.get(&self.agent, user, path);
        let me = get("/api/2.0/preview/scim/v2/Me").await?;
        let all = get("/api/2.1/clusters/list?page_size=100").await?;
        let items = all["clusters"].as_array().into_iter().flatten();
        let items =
            items.map(|it| format!("<li>{} is {}</li>", text(&it["cluster_name"]), text(&it["state"])));
        Ok(page(&format!(
            "<h1>Clusters of {}</h1><ul>{}</ul>\
             <form method=\"post\" action=\"/logout\"><button>Sign out</button></form>",
            text(&me["userName"]),
            items.collect::<String>()
        )))
    }

    fn cookie(&self, name: &'static str, value: &impl Serialize) -> Cookie<'static> {
        let value = serde_json::to_string(value).expect("what is kept is text");
        let cookie = Cookie::build((name, value)).path("/").http_only(true).same_site(SameSite::Lax);
        cookie.secure(self.https).build()
    }
}

/// What a cookie of ours has, if the browser sent it and it is unaltered.
fn kept<T: DeserializeOwned>(jar: &PrivateCookieJar, name: &str) -> Option<T> {
    serde_json::from_str(jar.get(name)?.value()).ok()
}

fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl FromRef<&'static App> for Key {
    fn from_ref(app: &&'static App) -> Self {
        app.key.clone()
    }
}
