//! The agent's end of the process that spends.
//!
//! It is started when there is a job, and ends when there has been none for a while: refresh tokens are in
//! the memory of no process that lives for long. It ends when its input does, and brings what it has begun
//! to an end before. So nothing is lost when the agent dies, and the next agent's process waits for the
//! sessions that this one is still at (see the ledger).

use std::{
    collections::HashMap,
    io,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    process::{Child, ChildStdout, Command},
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    task::spawn_blocking,
};
use zeroize::Zeroizing;

use super::{
    Job, Told, frame,
    serve::Hello,
    wire::{Answered, Asked},
};
use crate::{clock, issuer::Http};

/// What the program is called with to spend.
pub(crate) const PROGRAM_ARGUMENT: &str = "spend";

/// After so long without a job the process ends: what it has in memory is as short-lived as it can be, and jobs
/// that come at once are still one process's.
const IDLE: Duration = Duration::from_millis(20);

/// What such a process may know of our environment: no variable that can hold a secret.
const ENVIRONMENT: &[&str] = &[
    "SSO_AGENT_LOG",
    "SSO_AGENT_LOG_FORMAT",
    "JOURNAL_STREAM",
    "HOME",
    "PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "RES_OPTIONS",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "SYSTEMROOT",
];

/// Makes what such a process needs to begin; in words why it cannot. May ask a keyring.
pub(crate) type Handover = Arc<dyn Fn(&Http) -> Result<Hello, String> + Send + Sync>;

type Tell = Box<dyn FnOnce(Told) + Send>;

/// Who waits for an answer, and what they are told if there is none.
type Open = (fn(&str) -> Told, Tell);

/// See the module.
pub(crate) struct Apart(Arc<Shared>);

struct Shared {
    program: PathBuf,
    /// The store's folder.
    state: PathBuf,
    /// What knows how issuers are reached, and which of them do not want to be.
    http: Arc<Http>,
    handover: Handover,
    line: Mutex<Current>,
}

#[derive(Default)]
struct Current {
    line: Option<Line>,
    lines: u64,
    stopped: bool,
}

/// The way to one process.
struct Line {
    number: u64,
    jobs: UnboundedSender<Zeroizing<Vec<u8>>>,
    waiting: Waiting,
}

/// Everybody who waits for an answer of one process.
#[derive(Clone, Default)]
struct Waiting(Arc<Mutex<Answers>>);

#[derive(Default)]
struct Answers {
    asked: u64,
    open: HashMap<u64, Open>,
}

impl Apart {
    pub(super) fn new(program: PathBuf, state: PathBuf, http: Arc<Http>, handover: Handover) -> Self {
        Self(Arc::new(Shared { program, state, http, handover, line: Mutex::default() }))
    }

    /// Has a job done; `tell` hears what came of it, in the order in which the other process says so.
    pub(super) fn send(&self, job: Job, tell: Tell) {
        let lost = job.lost();
        if let Some((tell, why)) = self.0.clone().begin(job, tell) {
            tell(lost(why));
        }
    }

    /// Where its store is.
    pub(super) fn state(&self) -> PathBuf {
        self.0.state.clone()
    }

    /// Nothing more is begun.
    pub(super) fn stop(&self) {
        let mut state = self.0.current();
        state.stopped = true;
        state.line = None;
    }

    /// Whoever is at work ends when the work does; what comes next is for another one.
    pub(super) fn retire(&self) {
        self.0.current().line = None;
    }
}

impl Shared {
    /// Passes a job on; gives back who waits for it, and why it was not.
    fn begin(self: Arc<Self>, job: Job, tell: Tell) -> Option<(Tell, &'static str)> {
        let mut state = self.current();
        // What nobody was told of is still taken back.
        if state.stopped && !matches!(job, Job::Forget { .. }) {
            return Some((tell, "the agent is stopping"));
        }
        let state = &mut *state;
        let line = state.line.get_or_insert_with(|| {
            state.lines += 1;
            let (jobs, to_send) = mpsc::unbounded_channel();
            let line = Line { number: state.lines, jobs, waiting: Waiting::default() };
            let attending = self.clone().attend(line.number, line.waiting.clone(), to_send);
            tokio::spawn(attending);
            line
        });
        let mut answers = line.waiting.lock();
        answers.asked += 1;
        let number = answers.asked;
        let lost = job.lost();
        let Ok(frame) = frame::pack(&Asked { number, job }) else {
            return Some((tell, "it is too long"));
        };
        answers.open.insert(number, (lost, tell));
        // If the process has just gone, it is answered with the others who wait.
        let _ = line.jobs.send(frame);
        None
    }

    /// Starts a process, and looks after it until it ends.
    async fn attend(
        self: Arc<Self>,
        number: u64,
        waiting: Waiting,
        jobs: UnboundedReceiver<Zeroizing<Vec<u8>>>,
    ) {
        let mut child = None;
        let why = match self.start(jobs).await {
            Ok((started, answers)) => {
                child = Some(started);
                self.listen(number, &waiting, answers).await;
                "the process that spends refresh tokens has died".to_owned()
            }
            Err(why) => {
                tracing::error!(why, "the process that spends refresh tokens does not start");
                format!("the process that spends refresh tokens does not start: {why}")
            }
        };
        // Its input ends with the line, and so does it.
        self.close(number, |_| true);
        for (lost, tell) in waiting.take_all() {
            tell(lost(&why));
        }
        if let Some(mut child) = child {
            match child.wait().await {
                Ok(status) => tracing::debug!(%status, "the process that spends has ended"),
                Err(error) => tracing::debug!(%error, "the process that spends was not seen to end"),
            }
        }
    }

    async fn start(
        &self,
        jobs: UnboundedReceiver<Zeroizing<Vec<u8>>>,
    ) -> Result<(Child, UnboundedReceiver<Answered>), String> {
        let (handover, http) = (self.handover.clone(), self.http.clone());
        let hello = spawn_blocking(move || handover(&http)).await.map_err(|error| error.to_string())??;
        let hello_frame = frame::pack(&hello).map_err(|error| error.to_string())?;
        let mut command = Command::new(&self.program);
        by_itself(&mut command);
        command.arg(PROGRAM_ARGUMENT).arg(hello.state());
        command.env_clear();
        command.envs(ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("it has no input".to_owned());
        };
        tracing::debug!(pid = child.id(), "the process that spends was started");
        tokio::spawn(hand_in(stdin, hello_frame, jobs));
        let (tell, answers) = mpsc::unbounded_channel();
        tokio::spawn(hear(stdout, tell));
        Ok((child, answers))
    }

    async fn listen(&self, number: u64, waiting: &Waiting, mut answers: UnboundedReceiver<Answered>) {
        loop {
            match tokio::time::timeout(IDLE, answers.recv()).await {
                Ok(Some(Answered { number, told, waits, behind })) => {
                    self.http.heed(&waits);
                    behind.into_iter().for_each(clock::is_behind);
                    let open = waiting.lock().open.remove(&number);
                    if let Some((_, tell)) = open {
                        tell(told.into());
                    }
                }
                Ok(None) => return,
                // It ends because there is nobody to send it anything, and then there are no answers.
                Err(_) => self.close(number, |line| line.waiting.lock().open.is_empty()),
            }
        }
    }

    /// Takes a line down, so that its process ends, if it is still there and `may` be.
    fn close(&self, number: u64, may: impl FnOnce(&Line) -> bool) {
        let mut state = self.current();
        if state.line.as_ref().is_some_and(|line| line.number == number && may(line)) {
            state.line = None;
        }
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, Answers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_all(&self) -> Vec<Open> {
        self.lock().open.drain().map(|(_, open)| open).collect()
    }
}

/// It goes by its program's name in lists of processes, and detaches itself.
#[cfg(unix)]
fn by_itself(command: &mut Command) {
    command.arg0("sso-agent");
}

/// Ctrl-C at the agent's console, and the end of that console, are not meant for it.
#[cfg(windows)]
fn by_itself(command: &mut Command) {
    const CREATE_NO_WINDOW: u32 = 0x0800_0000;
    const CREATE_NEW_PROCESS_GROUP: u32 = 0x200;
    command.creation_flags(CREATE_NO_WINDOW | CREATE_NEW_PROCESS_GROUP);
}

/// Sends jobs until there is nobody who has any; then the other side has its end of input.
async fn hand_in(
    mut to: tokio::process::ChildStdin,
    hello: Zeroizing<Vec<u8>>,
    mut jobs: UnboundedReceiver<Zeroizing<Vec<u8>>>,
) {
    let sent: io::Result<()> = async {
        frame::write(&mut to, &hello).await?;
        drop(hello);
        while let Some(job) = jobs.recv().await {
            frame::write(&mut to, &job).await?;
        }
        Ok(())
    }
    .await;
    if let Err(error) = sent {
        tracing::debug!(%error, "the process that spends takes no jobs");
    }
}

async fn hear(mut from: ChildStdout, tell: UnboundedSender<Answered>) {
    loop {
        match frame::read(&mut from).await {
            Ok(Some(answered)) => {
                if tell.send(answered).is_err() {
                    return;
                }
            }
            Ok(None) => return,
            Err(error) => {
                tracing::error!(%error, "the process that spends cannot be understood");
                return;
            }
        }
    }
}
