//! The examples of a web app, each with two people at real browsers, against the certified provider at a
//! workspace's addresses: the seed's own sample, carried over, and its twins in other languages.

#![cfg(unix)]

use serde_json::json;
use sso_agent_tests::browsers::{Browsers, Page};
use sso_agent_tests::sandbox::{files, read};
use sso_agent_tests::web_app::{Example, SECRET, WebApp};
use sso_agent_tests::{Agent, Provider, Sandbox, parts};

const ADA: &str = "ada@example.com";
const GRACE: &str = "grace@example.com";
/// A name that would be a page of its own where it is not escaped.
const MALLORY: &str = r#"<b>mallory</b>&"'"#;
const OFFLINE: &str = "all-apis offline_access";

/// More visits than any token here lives for.
const MOST_VISITS: usize = 400;

macro_rules! each_example {
    ($module:ident, $example:expr) => {
        mod $module {
            use super::*;

            #[test]
            fn keeps_two_people_apart_through_renewals_and_a_kill() {
                two_people(stringify!($module), $example);
            }

            #[test]
            fn signs_in_at_every_shape_of_host_as_any_kind_of_client() {
                shapes(stringify!($module), $example);
            }

            #[test]
            fn asks_to_sign_in_again_when_there_is_no_refresh_token() {
                without_refresh_token(stringify!($module), $example);
            }

            #[test]
            fn answers_a_callback_that_is_not_its_own_with_a_page_and_goes_on() {
                failures(stringify!($module), $example);
            }
        }
    };
}

each_example!(flask, Example::Flask);
each_example!(express, Example::Express);
each_example!(axum, Example::Axum);

/// Everything that takes part.
struct Scene {
    provider: Provider,
    app: WebApp,
    browsers: Browsers,
    agent: Option<Agent>,
    sandbox: Sandbox,
    seen: Vec<Page>,
}

/// Sets it, or leaves the test out.
fn scene(
    story: &str,
    example: Example,
    provider: Option<Provider>,
    secret: Option<&str>,
    scopes: &str,
) -> Option<Scene> {
    let sandbox = Sandbox::new();
    let provider = found(story, provider, "the OpenID provider is missing")?;
    let browsers = found(story, Browsers::open(&sandbox), "Chromium is missing")?;
    let command = found(story, example.command(&sandbox), "the example's parts are missing")?;
    provider.set(&json!({"offline_only": true}));
    let agent = Some(Agent::start(&sandbox));
    let app = WebApp::start(&sandbox, command, &provider, secret, scopes);
    Some(Scene { provider, app, browsers, agent, sandbox, seen: Vec::new() })
}

fn found<T>(story: &str, part: Option<T>, why: &str) -> Option<T> {
    if part.is_none() {
        parts::leave_out(story, why);
    }
    part
}

impl Scene {
    /// Opens the app.
    fn visit(&mut self, who: &str, name: &str) -> &Page {
        let page = self.browsers.visit(who, &self.app.url, name);
        self.keep(page)
    }

    /// Opens some place in the app, and stays where that leads to.
    fn look(&mut self, who: &str, place: &str) -> &Page {
        let page = self.browsers.look(who, &format!("{}{place}", self.app.url));
        self.keep(page)
    }

    fn press(&mut self, who: &str, what: &str, name: &str) -> &Page {
        let page = self.browsers.press(who, what, name);
        self.keep(page)
    }

    fn keep(&mut self, page: Page) -> &Page {
        self.seen.push(page);
        &self.seen[self.seen.len() - 1]
    }

    /// Opens the app, which has to show this person's clusters.
    fn sees_clusters(&mut self, who: &str, name: &str) -> u64 {
        let home = format!("{}/", self.app.url);
        let page = self.visit(who, name);
        assert_clusters(page, name);
        assert_eq!(page.url(), home);
        page.asked()
    }

    fn restart(&mut self) {
        self.stop();
        self.agent = Some(Agent::start(&self.sandbox));
    }

    /// As a power cut would.
    fn stop(&mut self) {
        if let Some(agent) = self.agent.take() {
            agent.kill();
        }
    }

    /// No secret of the provider's is where a person, a log or a file has it.
    fn assert_nothing_leaked(&self) {
        let secrets = self.provider.secrets();
        assert!(secrets.len() >= 3, "a code, a verifier and an identity at least: {}", secrets.len());
        // The code comes that way, and the page of a failure stays there.
        let callback = format!("{}/callback?", self.app.url);
        let shown = self.seen.iter().flat_map(|page| {
            let addresses = page.urls().filter(|url| !url.starts_with(&callback)).map(str::to_owned);
            addresses.chain([page.html().to_owned(), json!(page.cookies()).to_string()])
        });
        let folders = ["home", "run", "log"].map(|name| files(&self.sandbox.path(name)));
        let kept = folders.iter().flatten().map(|file| String::from_utf8_lossy(&read(file)).into_owned());
        for text in shown.chain(kept) {
            assert!(secrets.iter().all(|secret| !text.contains(secret)), "there is a secret in {text:.200}");
        }
    }
}

fn assert_clusters(page: &Page, name: &str) {
    assert_eq!(page.status(), 200, "{}", page.text());
    for line in
        [&format!("Clusters of {name}"), "shared-autoscaling is RUNNING", "nightly-jobs is TERMINATED"]
    {
        assert!(page.text().contains(line), "{line}: {}", page.text());
    }
    assert_guarded(page);
}

fn assert_failed(page: &Page, status: u64) {
    assert_eq!(
        (page.status(), page.text().lines().next()),
        (status, Some("Sign-in failed")),
        "{}",
        page.text()
    );
    assert!(page.text().contains("Start over"), "{}", page.text());
    assert_guarded(page);
}

/// What every answer of the app says to the browser.
fn assert_guarded(page: &Page) {
    let policy = page.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("form-action 'self'"), "{policy}");
    assert_eq!(page.header("cache-control"), "no-store");
    for cookie in page.cookies().iter().filter(|cookie| cookie["domain"] == "localhost") {
        assert_eq!((&cookie["httpOnly"], &cookie["sameSite"]), (&json!(true), &json!("Lax")), "{cookie}");
    }
}

fn two_people(story: &str, example: Example) {
    let provider = Provider::start(6);
    let Some(mut scene) = scene(story, example, provider, Some(SECRET), OFFLINE) else { return };
    assert_eq!(scene.sees_clusters("ada", ADA), 1, "one page asked to sign in");
    assert_eq!(scene.sees_clusters("grace", GRACE), 1);

    for_all_tokens_to_be_replaced(&mut scene);
    scene.restart();
    for_all_tokens_to_be_replaced(&mut scene);
    assert_eq!(scene.provider.count("api_refused"), 0, "no token that is over is ever used");

    scene.provider.set(&json!({"refuse_calls": 1}));
    scene.sees_clusters("ada", ADA);
    assert_eq!(scene.provider.count("api_refused"), 1, "another token is taken");

    let revoked = scene.provider.count("revocations");
    let page = scene.press("ada", "Sign out", "");
    assert!(page.url().ends_with("/signed-out"), "{}", page.url());
    assert!(page.text().contains("Signed out"), "{}", page.text());
    assert!(scene.provider.count("revocations") > revoked);
    assert_eq!(scene.sees_clusters("grace", GRACE), 0, "the other one stays");
    assert_eq!(scene.provider.count("authorizations"), 2);
    let page = scene.press("ada", "Sign in again", ADA);
    assert_clusters(page, ADA);
    assert_eq!(scene.provider.count("authorizations"), 3);

    assert_eq!(scene.provider.callers().into_keys().collect::<Vec<_>>(), [ADA, GRACE]);
    assert_eq!(scene.provider.count("replays"), 0);
    scene.assert_nothing_leaked();
}

/// Both see their own all the while.
fn for_all_tokens_to_be_replaced(scene: &mut Scene) {
    // The two may be renewed in turn, but neither twice while the other waits.
    let enough = scene.provider.count("refreshes") + 4;
    for _ in 0..MOST_VISITS {
        assert_eq!(scene.sees_clusters("ada", ADA) + scene.sees_clusters("grace", GRACE), 0);
        if scene.provider.count("refreshes") >= enough {
            return;
        }
    }
    unreachable!("the tokens are not renewed");
}

fn shapes(story: &str, example: Example) {
    let clients = [
        ("workspace", "client_secret_basic", Some(SECRET)),
        ("azure", "client_secret_post", Some(SECRET)),
        ("gcp", "client_secret_post", None),
    ];
    for (shape, method, secret) in clients {
        let provider = Provider::with(&[("SHAPE", shape), ("CLIENT_AUTH", method)]);
        let Some(mut scene) = scene(story, example, provider, secret, OFFLINE) else { return };
        scene.sees_clusters("mallory", MALLORY);
        let page = &scene.seen[0];
        assert!(!page.html().contains("<b>"), "{}", page.html());
        scene.restart();
        assert_eq!(scene.sees_clusters("mallory", MALLORY), 0);
        assert_eq!((scene.provider.count("code_exchanges"), scene.provider.count("grant_errors")), (1, 0));
        scene.assert_nothing_leaked();
    }
}

fn without_refresh_token(story: &str, example: Example) {
    let Some(mut scene) = scene(story, example, Provider::start(4), None, "all-apis") else { return };
    assert_eq!(scene.sees_clusters("ada", ADA), 1);
    for _ in 0..MOST_VISITS {
        // The provider knows her still, so that she is back without having to type.
        assert_eq!(scene.sees_clusters("ada", ADA), 0);
        if scene.provider.count("authorizations") == 3 {
            break;
        }
    }
    assert_eq!(scene.provider.count("authorizations"), 3, "she is sent to sign in when her token is over");
    assert_eq!(scene.provider.count("refreshes"), 0);
    scene.assert_nothing_leaked();
}

fn failures(story: &str, example: Example) {
    let Some(mut scene) = scene(story, example, Provider::start(3600), Some(SECRET), OFFLINE) else { return };
    let forged = "/callback?code=CANARY&state=forged";
    let page = scene.look("ada", forged);
    assert_failed(page, 403);
    assert!(!page.html().contains("CANARY"), "nobody began a sign-in there");

    let page = scene.look("ada", "");
    assert!(page.text().contains("User name"), "{}", page.text());
    let page = scene.look("ada", forged);
    assert_failed(page, 403);
    assert!(!page.html().contains("CANARY"), "{}", page.html());
    let page = scene.press("ada", "Start over", ADA);
    assert_clusters(page, ADA);
    let used = page.urls().find(|url| url.contains("/callback?")).expect("she came back").to_owned();

    let used = used.trim_start_matches(&scene.app.url).to_owned();
    assert_failed(scene.look("grace", &used), 403);
    scene.look("grace", "");
    assert_failed(scene.look("grace", &used), 403);
    let page = scene.press("grace", "Start over", " ");
    assert_failed(page, 403);
    assert!(page.text().contains("access_denied"), "{}", page.text());
    let page = scene.press("grace", "Start over", GRACE);
    assert_clusters(page, GRACE);

    scene.stop();
    assert_failed(scene.look("ada", ""), 503);
    scene.restart();
    scene.sees_clusters("ada", ADA);

    scene.provider.set(&json!({"token_fault": {"status": 503, "times": 9}}));
    scene.look("lin", "");
    let page = scene.visit("lin", ADA);
    assert_failed(page, 503);
    scene.provider.set(&json!({"token_fault": null}));
    let page = scene.press("lin", "Start over", ADA);
    assert_clusters(page, ADA);
    scene.assert_nothing_leaked();
}
