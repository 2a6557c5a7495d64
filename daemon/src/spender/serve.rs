//! The process that spends: its whole life.
//!
//! Jobs come in until the agent has no more of them or is gone. What was begun by then is brought to its
//! end, whoever tells this process to stop: nobody else could bank what an issuer is about to say.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_util::task::TaskTracker;
use zeroize::Zeroizing;

use super::{
    Ledger, Purse, Told, frame,
    ledger::Present,
    wire::{Answered, Asked},
};
use crate::{
    clock,
    issuer::{Http, Settings, Waits},
    store::{GivenKeys, SPARE, SealedFiles, StoreError},
};

/// An exchange takes 20 s at the most, and may be made twice; a disk may take its time.
const LONGEST: Duration = Duration::from_secs(60);

/// For so long the store is tried that does not take what an issuer gave.
const NO_LONGER: Duration = Duration::from_secs(60);

/// What such a process begins with.
#[derive(Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(crate) state: PathBuf,
    /// A place of ours that outlives us, but not the machine's user.
    pub(crate) beside: Option<PathBuf>,
    #[serde(with = "given_keys")]
    pub(crate) keys: GivenKeys,
    /// How issuers are reached.
    pub(crate) reach: Settings,
    /// Who of them does not want to be asked before when.
    pub(crate) waits: Waits,
}

mod given_keys {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};

    use super::{GivenKeys, Zeroizing};

    pub(super) fn serialize<S: Serializer>(keys: &GivenKeys, to: S) -> Result<S::Ok, S::Error> {
        keys.to_bytes().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<GivenKeys, D::Error> {
        let bytes = Zeroizing::new(Vec::<u8>::deserialize(from)?);
        GivenKeys::from_bytes(&bytes).ok_or_else(|| D::Error::custom("these are no keys"))
    }
}

impl Hello {
    pub(super) fn state(&self) -> &Path {
        &self.state
    }
}

/// Does what it is told to on `from`, and tells `to` what came of it, until there is no more.
///
/// # Errors
/// The store is not there, or the agent is not one.
pub(crate) async fn serve(
    mut from: impl AsyncRead + Unpin,
    to: impl AsyncWrite + Unpin + Send + 'static,
) -> Result<(), StoreError> {
    let hello: Option<Hello> = frame::read(&mut from).await.unwrap_or_default();
    let Some(Hello { state, beside, keys, reach, waits }) = hello else { return Ok(()) };
    let _present = Present::here(&state)?;
    let ledger = Ledger::at(&state, beside.as_deref())?;
    let store = SealedFiles::with_keys(&state, beside.map(|beside| beside.join(SPARE)).as_deref(), keys)?;
    let http = Arc::new(Http::by(reach));
    http.heed(&waits);
    let purse = Arc::new(Purse::new(Arc::new(store), http.clone(), ledger));
    let (answers, to_tell) = mpsc::unbounded_channel();
    let telling = tokio::spawn(tell(to, to_tell));
    let jobs = TaskTracker::new();
    while let Ok(Some(Asked { number, job })) = frame::read(&mut from).await {
        let owed = Owed { number, lost: job.lost(), answers: Some(answers.clone()), http: http.clone() };
        let purse = purse.clone();
        jobs.spawn(async move { purse.work(job, |told| owed.pay(told)).await });
    }
    // What was handed over before is done, whoever hears of it.
    jobs.close();
    if timeout(LONGEST, jobs.wait()).await.is_err() {
        tracing::error!(jobs = jobs.len(), "ended with work under way");
    }
    let banked = timeout(NO_LONGER, async {
        while purse.holds() {
            purse.bank_all().await;
            sleep(Duration::from_secs(1)).await;
        }
    });
    if banked.await.is_err() {
        tracing::error!("a refresh token could not be kept: sign in again");
    }
    drop(answers);
    let _ = telling.await;
    Ok(())
}

/// An answer that somebody waits for: if nothing else comes of the job, then that it broke off.
struct Owed {
    number: u64,
    lost: fn(&str) -> Told,
    answers: Option<mpsc::UnboundedSender<Zeroizing<Vec<u8>>>>,
    http: Arc<Http>,
}

impl Owed {
    fn pay(mut self, told: Told) {
        self.send(told);
    }

    fn send(&mut self, told: Told) {
        let Some(answers) = self.answers.take() else { return };
        let packed = |told: Told| {
            let (waits, behind) = (self.http.waits(), clock::behind());
            frame::pack(&Answered { number: self.number, told: told.into(), waits, behind })
        };
        let frame =
            packed(told).or_else(|_| packed((self.lost)("the issuer's answer is too long to be told")));
        // An agent that is gone needs no answer.
        frame.into_iter().for_each(|frame| drop(answers.send(frame)));
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        self.send((self.lost)("what spends refresh tokens broke off"));
    }
}

async fn tell(mut to: impl AsyncWrite + Unpin, mut answers: mpsc::UnboundedReceiver<Zeroizing<Vec<u8>>>) {
    while let Some(answer) = answers.recv().await {
        if let Err(error) = frame::write(&mut to, &answer).await {
            tracing::debug!(%error, "nobody hears what came of it");
        }
    }
}
