//! Databricks' own clients, unmodified, in every way in which they can be given the agent's tokens, at every
//! shape of host. Prints what works as the table that the README shows.

#![cfg(unix)]

use sso_agent_tests::clients::{Bench, Client, Said, Way};
use sso_agent_tests::{Agent, Finished, Provider, Sandbox, need};
use std::process::Command;
use std::sync::Mutex;
use std::thread;

const SHAPES: [&str; 4] = ["workspace", "account", "unified", "azure"];
const ACCOUNT: (&str, &str) = ("DATABRICKS_ACCOUNT_ID", "00000000-0000-0000-0000-000000000042");
const USER: &str = "ada@example.com";
/// As many as there are cores on a small machine; more only slow each other down.
const AT_ONCE: usize = 2;
/// A token's own claim is in whole seconds.
const MOST_WRONG_S: f64 = 2.0;

/// One thing to try, and what came of it.
#[derive(Debug)]
struct Trial {
    client: Client,
    way: Way,
    shape: &'static str,
    outcome: Result<(), String>,
}

#[test]
fn unmodified_clients_get_tokens_in_every_way_at_every_shape_of_host() {
    let mut trials = Vec::new();
    for shape in SHAPES {
        let sandbox = Sandbox::new();
        let provider = need!("clients", Provider::shaped(shape, 3600), "the OpenID provider is missing");
        let _agent = Agent::start(&sandbox);
        sign_in(&sandbox, &provider, shape);
        let bench = match Bench::set_up(&sandbox, &provider.url) {
            Ok(bench) => bench,
            Err(why) => need!("clients", None, why),
        };
        trials.extend(all_at(shape, |client, way| {
            let account = is_account(shape).then_some(ACCOUNT);
            judge(&bench.run(&sandbox, client, way, account.as_slice()), client, way, shape)
        }));
        assert_eq!(provider.count("authorizations"), 1, "{shape}: one sign-in is enough for all");
        assert_eq!(provider.count("api_refused"), 0, "{shape}: every token was good");
        assert!(provider.count("refreshes") <= 40, "{shape}: {} refreshes", provider.count("refreshes"));
    }

    println!("{}", table(&trials));
    let failed: Vec<_> = trials.iter().filter(|trial| trial.outcome.is_err()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn every_sdk_believes_the_true_lifetime_in_every_time_zone() {
    let sandbox = Sandbox::new();
    let provider = need!("time zones", Provider::start(3600), "the OpenID provider is missing");
    let _agent = Agent::start(&sandbox);
    sandbox.sso(["login", &provider.url]).ok();
    let bench = match Bench::set_up(&sandbox, &provider.url) {
        Ok(bench) => bench,
        Err(why) => need!("time zones", None, why),
    };

    let zones = ["UTC", "America/Los_Angeles", "Asia/Kolkata"];
    let jobs: Vec<_> = zones
        .iter()
        .flat_map(|zone| Client::sdks().into_iter().map(move |client| (zone, client)))
        .flat_map(|(zone, client)| [Way::Path, Way::Metadata].map(|way| (*zone, client, way)))
        .collect();
    let wrong: Vec<String> = shared_out(&jobs, |(zone, client, way)| {
        let finished = bench.run(&sandbox, *client, *way, &[("TZ", *zone)]);
        let error = Said::of(&finished).map(|said| said.error_s());
        match error {
            Ok(Some(error)) if error.abs() <= MOST_WRONG_S => {
                println!("{zone}: {} by {}: {error:+.2} s", client.name(), way.name());
                None
            }
            other => Some(format!("{zone}: {} by {}: {other:?}", client.name(), way.name())),
        }
    })
    .into_iter()
    .flatten()
    .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn sign_in(sandbox: &Sandbox, provider: &Provider, shape: &str) {
    let mut login = sandbox.sso_command();
    login.args(["login", &provider.url]);
    if is_account(shape) {
        login.args(["--account-id", ACCOUNT.1]);
    }
    Finished::of(&mut login).ok();
}

fn is_account(shape: &str) -> bool {
    ["account", "unified"].contains(&shape)
}

/// Tries all clients that exist for this shape, a few at once.
fn all_at(shape: &'static str, run: impl Fn(Client, Way) -> Result<(), String> + Sync) -> Vec<Trial> {
    let clients = if is_account(shape) { Client::sdks() } else { Client::all() };
    let jobs: Vec<_> = clients
        .into_iter()
        .flat_map(|client| Way::ALL.map(|way| (client, way)))
        .filter(|(client, way)| client.has(*way))
        .collect();
    shared_out(&jobs, |(client, way)| Trial {
        client: *client,
        way: *way,
        shape,
        outcome: run(*client, *way),
    })
}

/// Does all jobs, a few at once, and gives what came of each, in no order.
fn shared_out<J: Sync, R: Send>(jobs: &[J], work: impl Fn(&J) -> R + Sync) -> Vec<R> {
    let (left, done) = (Mutex::new(jobs.iter()), Mutex::new(Vec::new()));
    let next = || left.lock().ok()?.next();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(job) = next() {
                    let result = work(job);
                    done.lock().expect("nobody panics with it").push(result);
                }
            });
        }
    });
    done.into_inner().expect("nobody panics with it")
}

/// What is wrong with what a client said, if anything.
fn judge(finished: &Finished, client: Client, way: Way, shape: &str) -> Result<(), String> {
    let said = Said::of(finished)?;
    let listed: &[&str] = match client {
        Client::Sql | Client::Dbt => &[],
        _ if is_account(shape) => &["main"],
        Client::Python(_) | Client::JavaScript => &["shared-autoscaling", "nightly-jobs"],
    };
    let as_hoped = said.text("user") == USER
        && said.text("auth_type") == client.auth_type(way)
        && said.names() == listed
        && said.error_s().is_none_or(|error| error.abs() <= MOST_WRONG_S);
    as_hoped.then_some(()).ok_or_else(|| format!("{said:?}"))
}

/// The README's table: a row for a client, a column for a way, in each field the shapes where it worked.
fn table(trials: &[Trial]) -> String {
    let today = Finished::of(Command::new("date").args(["-u", "+%F"]));
    let head: Vec<&str> = Way::ALL.iter().map(|way| way.name()).collect();
    let mut lines = vec![
        format!("| {} | {} |", today.ok(), head.join(" | ")),
        format!("|---{}|", "|---".repeat(head.len())),
    ];
    for client in Client::all() {
        let fields = Way::ALL.map(|way| field(trials, client, way));
        lines.push(format!("| {} | {} |", client.name(), fields.join(" | ")));
    }
    lines.join("\n")
}

fn field(trials: &[Trial], client: Client, way: Way) -> String {
    let of = |shape: &'static str| {
        trials.iter().find(|one| (one.client, one.way, one.shape) == (client, way, shape))
    };
    let worked = |shape: &&'static str| of(shape).is_some_and(|trial| trial.outcome.is_ok());
    let tried = SHAPES.iter().filter(|shape| of(shape).is_some()).count();
    let good: Vec<&str> = SHAPES.into_iter().filter(worked).collect();
    match (tried, good.len()) {
        (0, _) => "–".into(),
        (tried, good) if tried == good && good == SHAPES.len() => "all".into(),
        (_, 0) => "none".into(),
        _ => good.join(", "),
    }
}
