//! How long a token takes that the agent has, and what those who mean harm can do to its threads and its
//! share of the processor.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;
use sso_agent_tests::{load, parts};

use super::Stage;
use crate::house::{House, Told, strict};
use crate::proc;
use crate::report::{Report, Target};

const HOUR: Duration = Duration::from_secs(3600);
const SLOW_CLIENTS: usize = 500;
/// As many descriptors as the agent may have when it has to do without more.
const DESCRIPTORS: usize = 64;
const WATCH: Duration = Duration::from_secs(3);

pub(super) fn play(stage: &Stage<'_>, report: &mut Report) -> Result<()> {
    let house = House::new(strict(HOUR))?;
    let agent = house.agent()?;
    house.sign_in()?;
    let calls = stage.plan.times(20_000, 2_000) as usize;
    let at_hand = load::honest(&house.sandbox.socket(), &json!({ "host": house.host }), calls)?;
    report.figure("token at hand, new connection each, p50", "µs", at_hand.p50_us, Stage::time(150.0));
    report.figure("token at hand, new connection each, p99", "µs", at_hand.p99_us, Stage::time(3000.0));

    let threads = proc::threads(agent.pid())?;
    let slow = half_requests(&house, SLOW_CLIENTS)?;
    let with_slow = proc::threads(agent.pid())?;
    report.figure("threads under 500 slow HTTP clients", "", with_slow, Target::AtMost(8.0));
    report.figure("threads that they cost", "", with_slow - threads, Target::AtMost(0.0));
    drop(slow);
    drop(agent);
    out_of_descriptors(&house, report)
}

/// Clients that send the beginning of a request, and then nothing.
fn half_requests(house: &House, count: usize) -> Result<Vec<UnixStream>> {
    let socket = house.sandbox.socket_folder().join("http.sock");
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut client = UnixStream::connect(&socket)?;
        client.write_all(b"GET /v1/token.get?host=")?;
        clients.push(client);
    }
    Ok(clients)
}

/// More clients than descriptors: no spinning, and all is well when they have gone.
fn out_of_descriptors(house: &House, report: &mut Report) -> Result<()> {
    let mut command = house.sandbox.command("sh");
    command.args(["-c", &format!("ulimit -n {DESCRIPTORS}; exec \"$@\""), "sh"]);
    command.arg(parts::program("sso-agent")).arg("run");
    let agent = house.agent_by(command)?;
    let (_, id) = house.token(&json!({}))?;
    let socket = house.sandbox.socket();
    let clients: Vec<_> = (0..4 * DESCRIPTORS).map_while(|_| UnixStream::connect(&socket).ok()).collect();
    report.count("clients of an agent with 64 descriptors", clients.len() as u64, Target::AtLeast(64.0));
    let busy = load::share_of_a_core(agent.pid(), WATCH)?;
    report.figure("out of descriptors: share of a core", "%", 100.0 * busy, Target::AtMost(5.0));
    drop(clients);
    let start = Instant::now();
    let again = loop {
        match house.ask(&json!({ "refused": id, "wait_s": 10 })) {
            Ok(Told::Token { .. }) => break start.elapsed().as_secs_f64(),
            _ if start.elapsed() > Duration::from_secs(20) => break f64::NAN,
            _ => thread::sleep(Duration::from_millis(20)),
        }
    };
    report.figure("out of descriptors: time to a refreshed token after", "s", again, Stage::time(2.0));
    Ok(())
}
