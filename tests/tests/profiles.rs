//! Profiles of `~/.databrickscfg`: two people on one host kept apart, machines, and tokens that are not ours.

#![cfg(unix)]

use serde_json::json;
use sso_agent_tests::clients::{Bench, Client, Said, Way};
use sso_agent_tests::rpc::Connection;
use sso_agent_tests::{Agent, Finished, Provider, Sandbox, need, token};
use std::fs;

const NO_PROVIDER: &str = "the OpenID provider is missing";

#[test]
fn two_profiles_on_one_host_are_kept_apart_through_refresh_and_restart() {
    let sandbox = Sandbox::new();
    let provider = need!("two profiles", Provider::start(3600), NO_PROVIDER);
    let url = &provider.url;
    sandbox.write_databrickscfg(&format!("[ada]\nhost = {url}\n\n[grace]\nhost = {url}/\n"));
    let bench = match Bench::set_up(&sandbox, url) {
        Ok(bench) => bench,
        Err(why) => need!("two profiles", None, why),
    };
    let agent = Agent::start(&sandbox);
    for name in ["ada", "grace"] {
        let mut login = sandbox.sso_command();
        let user = format!("{name}@example.com");
        Finished::of(login.args(["login", "--profile", name]).env("SSO_TEST_USER", user)).ok();
    }

    let ask = |name: &str, more: &[&str]| {
        let said = sandbox.databricks([&["auth", "token", "--profile", name], more].concat());
        said.ok();
        token::user(said.json()["access_token"].as_str().unwrap()).unwrap()
    };
    let by_sdk = |client, name| {
        let said =
            Said::of(&bench.run(&sandbox, client, Way::CliPath, &[("DATABRICKS_CONFIG_PROFILE", name)]));
        said.map(|said| said.text("user").to_owned())
    };
    for (name, user) in [("ada", "ada@example.com"), ("grace", "grace@example.com")] {
        assert_eq!(ask(name, &[]), user);
        assert_eq!(by_sdk(Client::newest(), name).as_deref(), Ok(user));
        assert_eq!(by_sdk(Client::Python("0.100.0"), name).as_deref(), Ok(user));
        assert_eq!(by_sdk(Client::JavaScript, name).as_deref(), Ok(user));
        let mut variable = sandbox.databricks_command();
        variable.args(["auth", "token", "-o", "text"]).env("DATABRICKS_CONFIG_PROFILE", name);
        assert_eq!(token::user(Finished::of(&mut variable).ok()).as_deref(), Some(user));
    }
    assert_eq!(provider.callers().len(), 2);

    let both = sandbox.databricks(["auth", "token", "--host", url]);
    both.failed_with(1);
    assert!(both.stderr.contains("ada and grace match"), "{both:?}");
    assert!(both.stderr.contains("Use --profile to specify which profile to use"), "{both:?}");
    let ours = sandbox.sso(["token", url]);
    assert_ne!(ours.code, Some(0), "{ours:?}");
    assert!(ours.stderr.contains("ada") && ours.stderr.contains("grace"), "{ours:?}");

    agent.kill();
    let _agent = Agent::start(&sandbox);
    assert_eq!(ask("ada", &["--force-refresh"]), "ada@example.com");
    assert_eq!(ask("grace", &["--force-refresh"]), "grace@example.com");
    assert_eq!(provider.count("replays"), 0);
}

#[test]
fn a_machine_profile_is_signed_in_on_demand_once_and_never_mixed_up_with_a_person() {
    let sandbox = Sandbox::new();
    let provider = need!("machines", Provider::start(3600), NO_PROVIDER);
    let url = &provider.url;
    sandbox.write_databrickscfg(&format!(
        "[me]\nhost = {url}\n\n[robot]\nhost = {url}\nclient_id = sp-client\nclient_secret = dose-sp-secret\n"
    ));
    let agent = Agent::start(&sandbox);
    sandbox.sso(["login", "--profile", "me"]).ok();

    let robot = sandbox.sso(["token", "--profile", "robot"]).ok().to_owned();
    assert_eq!(token::user(&robot).as_deref(), Some("sp-client"));
    assert_eq!(sandbox.sso(["token", "--profile", "robot"]).ok(), robot);
    assert_eq!(
        token::user(sandbox.sso(["token", "--profile", "me"]).ok()).as_deref(),
        Some("ada@example.com")
    );
    assert_eq!(provider.count("client_credentials"), 1);
    assert_eq!(provider.judge(&robot), 200);

    let refused = sandbox.databricks(["auth", "token", "--profile", "robot"]);
    refused.failed_with(1);
    assert!(
        refused.stderr.contains("M2M"),
        "as the real one, which gives people's tokens alone: {refused:?}"
    );

    agent.kill();
    let _agent = Agent::start(&sandbox);
    assert_eq!(token::user(sandbox.sso(["token", "--profile", "robot"]).ok()).as_deref(), Some("sp-client"));
}

#[test]
fn a_machine_with_a_wrong_secret_is_told_so() {
    let sandbox = Sandbox::new();
    let provider = need!("a wrong secret", Provider::start(3600), NO_PROVIDER);
    sandbox.write_databrickscfg(&format!(
        "[robot]\nhost = {}\nclient_id = sp-client\nclient_secret = dose-wrong-secret\n",
        provider.url
    ));
    let _agent = Agent::start(&sandbox);
    let refused = sandbox.sso(["token", "--profile", "robot"]);
    assert_ne!(refused.code, Some(0), "{refused:?}");
    assert!(!refused.stderr.contains("dose-wrong-secret"), "{refused:?}");
    assert_eq!(provider.count("client_credentials"), 0);
}

#[test]
fn a_personal_access_token_in_a_profile_is_passed_through_as_what_it_is() {
    let sandbox = Sandbox::new();
    let provider = need!("a personal access token", Provider::start(3600), NO_PROVIDER);
    sandbox.write_databrickscfg(&format!("[old]\nhost = {}\ntoken = dapi0123456789\n", provider.url));
    let _agent = Agent::start(&sandbox);
    assert_eq!(sandbox.sso(["token", "--profile", "old"]).ok(), "dapi0123456789");
    assert_eq!(provider.count("token_requests"), 0);
    assert!(!sandbox.logs().contains("dapi0123456789"));
}

#[test]
fn somebody_elses_token_in_a_file_is_exchanged_where_the_profile_says_so() {
    let sandbox = Sandbox::new();
    let provider = need!("token exchange", Provider::start(3600), NO_PROVIDER);
    let file = sandbox.path("home/identity");
    fs::write(&file, provider.subject("job-7")).unwrap();
    sandbox.write_databrickscfg(&format!(
        "[job]\nhost = {}\nauth_type = file-oidc\noidc_token_filepath = {}\n",
        provider.url,
        file.display()
    ));
    let _agent = Agent::start(&sandbox);
    let token = sandbox.sso(["token", "--profile", "job"]).ok().to_owned();
    assert_eq!(token::user(&token).as_deref(), Some("job-7"));
    assert_eq!(provider.judge(&token), 200);
    assert_eq!(provider.count("token_exchanges"), 1);
}

#[test]
fn scopes_narrower_than_the_sessions_get_a_token_of_their_own_without_a_second_sign_in() {
    let sandbox = Sandbox::new();
    let provider = need!("narrow scopes", Provider::start(3600), NO_PROVIDER);
    let _agent = Agent::start(&sandbox);
    sandbox.sso(["login", &provider.url, "--scope", "all-apis", "--scope", "sql"]).ok();
    let narrow = || sandbox.sso(["token", &provider.url, "--scope", "sql"]).ok().to_owned();
    let first = narrow();
    assert_eq!(narrow(), first, "kept by its scopes");
    assert_ne!(sandbox.sso(["token", &provider.url]).ok(), first);
    assert_eq!((provider.count("authorizations"), provider.count("narrowings")), (1, 1));

    provider.set(&json!({"narrow": false}));
    assert_eq!(narrow(), first, "what is at hand is served");
}

#[test]
fn a_bad_file_of_profiles_harms_no_session_and_is_written_by_nobody() {
    let sandbox = Sandbox::new();
    let provider = need!("bad files", Provider::start(3600), NO_PROVIDER);
    let url = &provider.url;
    let _agent = Agent::start(&sandbox);
    sandbox.sso(["login", url]).ok();
    let token = sandbox.sso(["token", url]).ok().to_owned();
    let file = sandbox.path("home/.databrickscfg");
    let huge = format!("[a]\nhost = {url}\n{}", "# and so on\n".repeat(900_000));
    let bad: [&[u8]; 4] = [b"\x7fELF\0\xff\xfe", huge.as_bytes(), b"[half\nhost = ht", b"no section = 1\n"];
    for content in bad {
        fs::write(&file, content).unwrap();
        let mut connection = Connection::open(&sandbox.socket()).unwrap();
        let _ = connection.call("agent.reload", &json!({})).unwrap();
        assert_eq!(sandbox.sso(["token", url]).ok(), token, "sessions go on");
        let named = sandbox.sso(["token", "--profile", "a"]);
        assert_ne!(named.code, Some(0));
        assert!(named.stderr.contains(".databrickscfg"), "it says which file: {named:?}");
        sandbox.databricks(["auth", "token", "--profile", "a"]).failed_with(1);
        sandbox.databricks(["auth", "profiles", "--skip-validate"]);
        sandbox.databricks(["auth", "login", "--host", url, "--profile", "a"]).failed_with(1);
        assert!(fs::read(&file).unwrap() == content, "nobody writes to what they cannot read");
    }
    fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink(&file, &file).unwrap();
    assert_eq!(sandbox.sso(["token", url]).ok(), token, "a loop of links holds nobody up");
    let looped = sandbox.databricks(["auth", "token", "--profile", "a"]);
    looped.failed_with(1);
    assert!(looped.stderr.starts_with("Error: "), "{looped:?}");
}
