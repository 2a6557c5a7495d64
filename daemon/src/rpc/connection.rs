//! One client: lines in, replies out, many requests under way at once.
//!
//! A token that is at hand is answered on the spot. Whatever takes longer runs beside, and its reply
//! goes out when it is ready. A client that hangs up takes its sign-in with it and nothing else; what
//! it asked before it closed its own side is still answered.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Poll, ready},
    time::Duration,
};

use sso_agent_proto::{
    app::{AppCall, AppCreate},
    consent::ConsentFinish,
    events::Subscribe,
    lines::{Lines, TooLong},
    method::Call,
    rpc::{Code, Id, Request, RpcError, error_line, notification_line},
    secret::Wiped,
    session::{Login, Progress, Step},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf, ReadHalf, WriteHalf},
    sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, broadcast::error::RecvError, mpsc, oneshot},
    task::JoinSet,
    time::Instant,
};

use zeroize::Zeroize as _;

use super::{
    clients::Pulse,
    service::{Line, Shared, line},
    translate,
};
use crate::{handle::LoginNews, http::metrics::Door};

#[cfg(test)]
mod tests;

/// So many requests of one client may be under way.
const AT_ONCE: usize = 64;

/// So many replies may wait for a client to read them.
const UNREAD: usize = 64;

/// A message up to this many bytes is held for anybody.
pub(crate) const USUAL: usize = 64 * 1024;

/// So many longer ones are held at once, of all clients together.
pub(crate) static LONG: Semaphore = Semaphore::const_new(8);

/// So many replies that may be as long as a line can be are there at once, also unread.
const LARGE: usize = 2;

/// So many bytes are read at once.
const CHUNK: usize = 4096;

/// So many bytes of replies to one batch of requests go out together.
const TOGETHER: usize = 64 * 1024;

/// A client that reads nothing for so long is gone.
const READS_WITHIN: Duration = Duration::from_secs(30);

/// The rest of a message that has begun comes within this time.
const FINISHES_WITHIN: Duration = Duration::from_secs(10);

/// Serves one client until it hangs up or breaks the protocol.
pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Send + 'static>(
    stream: S,
    service: Shared,
    pulse: Pulse,
) {
    let (reader, writer) = tokio::io::split(stream);
    let lines = Lines::default();
    let connection =
        Connection { reader, writer, lines, service, beside: None, late_at: None, long: None, pulse };
    connection.run().await;
}

struct Connection<S> {
    reader: ReadHalf<S>,
    writer: WriteHalf<S>,
    lines: Lines,
    service: Shared,
    /// What takes longer; absent while there is nothing of it.
    beside: Option<Box<Beside>>,
    /// When the rest of the message that has begun is overdue.
    late_at: Option<Instant>,
    /// While it sends a message that is longer than usual.
    long: Option<SemaphorePermit<'static>>,
    pulse: Pulse,
}

/// What runs beside.
struct Beside {
    /// Its replies; whoever is too fast waits here.
    out: mpsc::Sender<Outgoing>,
    outbox: mpsc::Receiver<Outgoing>,
    /// Ends with a reply, which is owed even after the client closed its side.
    answering: JoinSet<()>,
    /// Ends with the client: sign-ins and subscriptions.
    watching: JoinSet<()>,
    /// Answers that may be long wait here for their turn.
    large: Arc<Semaphore>,
}

impl Default for Beside {
    fn default() -> Self {
        let (out, outbox) = mpsc::channel(UNREAD);
        let large = Arc::new(Semaphore::new(LARGE));
        Self { out, outbox, answering: JoinSet::new(), watching: JoinSet::new(), large }
    }
}

impl Beside {
    fn under_way(&self) -> usize {
        self.answering.len() + self.watching.len()
    }

    /// The next reply; `None` when something ended.
    async fn next(&mut self) -> Option<Outgoing> {
        tokio::select! {
            biased;
            reply = self.outbox.recv() => reply,
            Some(_) = self.answering.join_next(), if !self.answering.is_empty() => None,
            Some(_) = self.watching.join_next(), if !self.watching.is_empty() => None,
        }
    }
}

/// As [`Beside::next`], of what there may be.
async fn next_of(beside: Option<&mut Box<Beside>>) -> Option<Outgoing> {
    match beside {
        Some(beside) => beside.next().await,
        None => std::future::pending().await,
    }
}

/// A line to the client.
struct Outgoing {
    line: Line,
    /// Who wants to know that it went out.
    sent: Option<oneshot::Sender<()>>,
    /// The next long one may be made when this has gone out.
    _turn: Option<OwnedSemaphorePermit>,
}

/// Why a connection ends.
enum End {
    /// The client closed its side.
    HungUp,
    /// It reads nothing, or broke the protocol, or the connection broke.
    Broken,
}

impl<S: AsyncRead + AsyncWrite + Send + 'static> Connection<S> {
    async fn run(mut self) {
        let end = loop {
            let under_way = self.beside.as_ref().map_or(0, |beside| beside.under_way());
            if under_way == 0 && self.beside.as_ref().is_some_and(|beside| beside.outbox.is_empty()) {
                self.beside = None;
            }
            let busy = under_way >= AT_ONCE;
            if busy && self.late_at.is_some() {
                // While we do not read, the rest cannot come.
                self.late_at = Some(Instant::now() + FINISHES_WITHIN);
            }
            let late_at = self.late_at.filter(|_| !busy);
            let late = async {
                match late_at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let step = tokio::select! {
                biased;
                next = next_of(self.beside.as_mut()) => match next {
                    Some(reply) => deliver(&mut self.writer, reply).await,
                    None => Ok(()),
                },
                read = read_some(&mut self.reader, &mut self.lines), if !busy => match read {
                    Ok(None) => Err(End::HungUp),
                    Ok(Some(pushed)) => self.heard(pushed).await,
                    Err(_) => Err(End::Broken),
                },
                () = late => Err(End::Broken),
            };
            self.pulse.heard(self.beside.as_ref().is_some_and(|beside| beside.under_way() > 0));
            if let Err(end) = step {
                break end;
            }
        };
        if matches!(end, End::HungUp) {
            Box::pin(self.finish()).await;
        }
    }

    /// Sends what is still owed.
    async fn finish(mut self) {
        let mut beside = self.beside.take().unwrap_or_default();
        beside.watching.shutdown().await;
        while beside.under_way() > 0 {
            if let Some(reply) = beside.next().await
                && deliver(&mut self.writer, reply).await.is_err()
            {
                return;
            }
        }
        while let Ok(reply) = beside.outbox.try_recv() {
            if deliver(&mut self.writer, reply).await.is_err() {
                return;
            }
        }
        // The client may be gone, which is its right.
        let _ = self.writer.shutdown().await;
    }

    /// Answers what can be answered now of what was read.
    async fn heard(&mut self, pushed: Result<(), TooLong>) -> Result<(), End> {
        if let Err(error) = pushed {
            let refused = error_line(&Id::Null, RpcError::new(Code::InvalidRequest, error.to_string()));
            write(&mut self.writer, &refused).await?;
            return Err(End::Broken);
        }
        if self.lines.pending() <= USUAL {
            self.long = None;
        } else if self.long.is_none() {
            let Ok(room) = LONG.try_acquire() else {
                let why = "too many long messages come at once: send it again later";
                let refused = error_line(&Id::Null, RpcError::new(Code::InvalidRequest, why));
                write(&mut self.writer, &refused).await?;
                return Err(End::Broken);
            };
            self.long = Some(room);
        }
        let mut replies = Wiped::default();
        let mut begun = self.late_at;
        while let Some(request) = self.lines.take() {
            begun = None;
            let Some(reply) = read(request, &self.service) else { continue };
            match reply {
                Read::Done(reply) if replies.is_empty() => replies = reply,
                Read::Done(reply) => {
                    make_room(&mut replies, reply.len());
                    replies.extend_from_slice(&reply);
                }
                Read::Later(id, call) => begin(id, *call, &self.service, self.beside.get_or_insert_default()),
            }
            if replies.len() > TOGETHER {
                write(&mut self.writer, &std::mem::take(&mut replies)).await?;
            }
        }
        let begun = begun.unwrap_or_else(|| Instant::now() + FINISHES_WITHIN);
        self.late_at = self.lines.is_partial().then_some(begun);
        if replies.is_empty() { Ok(()) } else { write(&mut self.writer, &replies).await }
    }
}

/// Reads what there is, a little at a time; `None` when nothing comes any more.
///
/// The bytes are on the stack for that long only: most connections are idle, and have no buffer of their own.
async fn read_some<R: AsyncRead + Unpin>(
    reader: &mut R,
    lines: &mut Lines,
) -> io::Result<Option<Result<(), TooLong>>> {
    std::future::poll_fn(|context| {
        let mut chunk = [0; CHUNK];
        let mut read = ReadBuf::new(&mut chunk);
        ready!(Pin::new(&mut *reader).poll_read(context, &mut read))?;
        let pushed = (!read.filled().is_empty()).then(|| lines.push(read.filled()));
        chunk.zeroize();
        Poll::Ready(Ok(pushed))
    })
    .await
}

/// What becomes of one line.
enum Read {
    /// This is the answer.
    Done(Line),
    /// The answer takes longer.
    Later(Id, Box<Call>),
}

/// Reads one request; `None` for a notification, to which JSON-RPC allows no reply.
fn read(request: &[u8], service: &Shared) -> Option<Read> {
    let request = match Request::parse(request) {
        Ok(request) => request,
        Err((id, error)) => return Some(Read::Done(error_line(&id, error).into())),
    };
    let id = request.id?;
    let call = match Call::read(&request.method, request.params.as_deref()) {
        Ok(call) => call,
        Err(error) => return Some(Read::Done(error_line(&id, error).into())),
    };
    if let Err(error) = service.admit(&call) {
        return Some(Read::Done(error_line(&id, error).into()));
    }
    match service.at_once(&id, &call) {
        Some(reply) => {
            service.handle.tally().token(Door::Rpc);
            Some(Read::Done(reply))
        }
        None => Some(Read::Later(id, Box::new(call))),
    }
}

fn begin(id: Id, call: Call, service: &Shared, beside: &mut Beside) {
    let Beside { out, answering, watching, large, .. } = beside;
    let (service, out, large) = (service.clone(), out.clone(), large.clone());
    match call {
        Call::SessionLogin(login) => {
            watching.spawn(async move { login_and_tell(id, login, &service, &out).await });
        }
        Call::EventsSubscribe(wish) => {
            watching.spawn(async move { tell_events(id, wish, &service, &out).await });
        }
        Call::App(AppCall::Create(create)) => {
            answering.spawn(async move { create_and_tell(id, create, &service, &out).await });
        }
        Call::ConsentFinish(finish) => {
            answering.spawn(async move { finish_and_tell(id, finish, &service, &out).await });
        }
        Call::TokenGet(_) => {
            answering.spawn(async move {
                let reply = Box::pin(service.answer(&id, call)).await;
                if reply.is_ok() {
                    service.handle.tally().token(Door::Rpc);
                }
                send(&out, reply.unwrap_or_else(|error| refusal(&id, error))).await;
            });
        }
        Call::AgentInfo
        | Call::AgentReload
        | Call::AgentRekey(_)
        | Call::AgentShutdown
        | Call::AgentLock(_)
        | Call::AgentUnlock(_)
        | Call::SessionImport(_)
        | Call::ProfileList
        | Call::MetadataUrl(_)
        | Call::SessionList(_)
        | Call::SessionShow(_)
        | Call::SessionLogout(_)
        | Call::ConsentStart(_)
        | Call::ConsentEnd(_)
        | Call::App(_) => {
            answering.spawn(async move {
                let turn = large.acquire_owned().await.ok();
                let line = answer(&service, &id, call).await;
                // The connection may have ended; then nobody wants it.
                let _ = out.send(Outgoing { line, sent: None, _turn: turn }).await;
            });
        }
    }
}

/// What takes room to find the answer is gone before somebody is waited for who does not read it.
async fn answer(service: &Shared, id: &Id, call: Call) -> Line {
    Box::pin(service.answer(id, call)).await.unwrap_or_else(|error| refusal(id, error))
}

/// A secret that nobody hears is lost with whoever asked for it.
async fn create_and_tell(id: Id, create: AppCreate, service: &Shared, out: &mpsc::Sender<Outgoing>) {
    match service.app_created(&id, create).await {
        Ok((line, receipt)) => {
            if is_heard(out, line).await {
                receipt.sign().await;
            }
        }
        Err(error) => send(out, refusal(&id, error)).await,
    }
}

/// A handle that nobody hears of is good for nobody.
async fn finish_and_tell(id: Id, finish: ConsentFinish, service: &Shared, out: &mpsc::Sender<Outgoing>) {
    match service.consent_finish(finish).await {
        Ok((finished, unheard)) => {
            if is_heard(out, line(&id, &finished)).await {
                unheard.heard();
            }
        }
        Err(error) => send(out, refusal(&id, error)).await,
    }
}

/// Sends a line, and tells whether it went out. A connection that has ended says nothing.
async fn is_heard(out: &mpsc::Sender<Outgoing>, line: Line) -> bool {
    let (sent, heard) = oneshot::channel();
    let _ = out.send(Outgoing { line, sent: Some(sent), _turn: None }).await;
    heard.await.is_ok()
}

async fn login_and_tell(id: Id, login: Login, service: &Shared, out: &mpsc::Sender<Outgoing>) {
    let plan = match service.plan(login).await {
        Ok(plan) => plan,
        Err(fault) => return send(out, refusal(&id, fault.into())).await,
    };
    let mut watch = service.login(plan);
    loop {
        let step = match watch.next().await {
            LoginNews::Authorize(url) => Step::Authorize { url },
            LoginNews::Step(step) => translate::step(step),
            LoginNews::Done(Err(refused)) => {
                return send(out, refusal(&id, translate::fault(&refused).into())).await;
            }
            LoginNews::Done(Ok(session)) => {
                let reply = service.session(session).await.map(|session| line(&id, &session));
                return send(out, reply.unwrap_or_else(|error| refusal(&id, error))).await;
            }
        };
        let progress = Progress { request_id: id.clone(), step };
        send(out, notification_line("session.login.progress", &progress).into()).await;
    }
}

async fn tell_events(id: Id, wish: Subscribe, service: &Shared, out: &mpsc::Sender<Outgoing>) {
    let mut events = service.subscribe();
    send(out, line(&id, &sso_agent_proto::agent::Done {})).await;
    loop {
        match events.recv().await {
            Ok(event) if wish.kinds.is_empty() || wish.kinds.contains(&event.kind) => {
                send(out, notification_line("event", &event).into()).await;
            }
            Ok(_) => {}
            // A client that reads slowly misses some; it can ask for the state of things at any time.
            Err(RecvError::Lagged(missed)) => tracing::debug!(missed, "a client reads its events too slowly"),
            Err(RecvError::Closed) => return,
        }
    }
}

/// Grows by hand: a `Vec` that grows by itself leaves its old bytes behind unwiped.
fn make_room(replies: &mut Line, more: usize) {
    let needed = replies.len() + more;
    if needed > replies.capacity() {
        let mut larger = Vec::with_capacity(needed.max(TOGETHER + TOGETHER / 8));
        larger.extend_from_slice(replies);
        *replies = larger.into();
    }
}

fn refusal(id: &Id, error: RpcError) -> Line {
    error_line(id, error).into()
}

/// The connection may have ended; then nobody wants it.
async fn send(out: &mpsc::Sender<Outgoing>, line: Line) {
    let _ = out.send(Outgoing { line, sent: None, _turn: None }).await;
}

async fn deliver<W: AsyncWrite + Unpin>(writer: &mut W, reply: Outgoing) -> Result<(), End> {
    write(writer, &reply.line).await?;
    if let Some(sent) = reply.sent {
        // Who wanted to know may have had enough.
        let _ = sent.send(());
    }
    Ok(())
}

async fn write<W: AsyncWrite + Unpin>(writer: &mut W, bytes: &[u8]) -> Result<(), End> {
    match tokio::time::timeout(READS_WITHIN, writer.write_all(bytes)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(End::Broken),
    }
}
