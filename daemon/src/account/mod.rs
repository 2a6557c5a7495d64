//! Custom OAuth apps of a Databricks account: its REST API, and the clients that the agent keeps.
//!
//! The hard part is a creation whose answer is lost: the app is there, its secret is not, and whoever tries
//! again would have two. So what is begun is noted before anything is sent; see [`begun`].

mod api;
mod begun;
mod change;
mod create;
mod kept;
mod requests;
mod said;
mod whose;

use std::{path::PathBuf, sync::Arc, time::Duration};

use sso_agent_proto::{
    agent::Done,
    app::{AppCall, AppCreate, KeptApps},
    fault::{Fault, Kind},
    rpc::{Code, Id, RpcError},
};

use self::{begun::Begun, kept::Kept};
pub(crate) use self::{create::Receipt, kept::KeptClient};
use tokio::sync::oneshot;

use crate::{
    handle::Message,
    issuer::Http,
    rpc::service::{Line, Service, line},
    spender::{Spender, Turns},
    store::{Store, StoreError},
};

/// In the state folder.
pub(crate) const FOLDER: &str = "apps";

/// A little less than clients wait.
const LONGEST: Duration = Duration::from_secs(40);

/// What the agent knows of apps, beside what their accounts know.
pub(crate) struct Apps {
    spender: Arc<Spender>,
    kept: Kept,
    begun: Begun,
    /// Of those who create an app, by its name.
    turns: Turns<String>,
}

impl Apps {
    /// Keeps things in `folder`, if anything is kept on disk.
    pub(crate) fn new(store: Arc<dyn Store>, spender: Arc<Spender>, folder: Option<PathBuf>) -> Arc<Self> {
        Arc::new(Self {
            spender,
            kept: Kept::new(store, folder.clone()),
            begun: Begun::new(folder),
            turns: Turns::default(),
        })
    }

    /// Reads what an agent before this one has kept, and tells what of it cannot be read.
    pub(crate) async fn read(self: &Arc<Self>) -> Vec<String> {
        let apps = self.clone();
        let read = tokio::task::spawn_blocking(move || {
            apps.begun.read();
            apps.kept.read()
        });
        read.await.unwrap_or_else(|_| vec![format!("{FOLDER}: reading it failed")])
    }

    /// Seals what is kept anew, with the key that is the current one now; says how many that were.
    pub(crate) fn reseal(&self) -> Result<usize, StoreError> {
        self.kept.reseal()
    }

    /// The client that is kept under the name of its app.
    ///
    /// # Errors
    /// A [`Fault`] for whoever asked, when there is none.
    pub(crate) fn find(&self, name: &str) -> Result<KeptClient, Fault> {
        self.kept.client(name).ok_or_else(|| not_kept(name))
    }

    fn http(&self) -> &Http {
        self.spender.http()
    }

    /// Changes what is kept, which writes files.
    async fn write<T: Send + 'static>(
        self: &Arc<Self>,
        change: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let apps = self.clone();
        let written = tokio::task::spawn_blocking(move || change(&apps)).await;
        written.unwrap_or(Err(StoreError::Broken))
    }
}

impl Service {
    /// Answers everything about the apps of an account.
    pub(crate) async fn app(&self, id: &Id, call: AppCall) -> Result<Line, RpcError> {
        in_time(self.app_call(id, call)).await
    }

    /// Registers an app; the receipt is to be signed when the answer has gone out.
    pub(crate) async fn app_created(&self, id: &Id, create: AppCreate) -> Result<(Line, Receipt), RpcError> {
        let (app, receipt) = in_time(self.create(create)).await?;
        Ok((line(id, &app), receipt))
    }

    /// Does what has to come to its end, whoever hangs up, and also when the agent stops.
    async fn to_its_end<T: Send + 'static>(
        &self,
        job: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, RpcError> {
        let (done, told) = oneshot::channel();
        self.handle.send(Message::Job(Box::pin(async move {
            // Whoever asked may be gone by now.
            let _ = done.send(job.await);
        })));
        told.await.map_err(|_| broken_off())
    }

    async fn app_call(&self, id: &Id, call: AppCall) -> Result<Line, RpcError> {
        match call {
            AppCall::Create(create) => {
                let (app, receipt) = self.create(create).await?;
                receipt.sign().await;
                Ok(line(id, &app))
            }
            AppCall::Update(update) => Ok(line(id, &self.update(update).await?)),
            AppCall::Delete(which) => Ok(line(id, &self.delete(which).await?)),
            AppCall::Enroll(enroll) => Ok(line(id, &self.enroll(&enroll).await?)),
            AppCall::Enrollment(account) => Ok(line(id, &self.enrollment(&account).await?)),
            AppCall::Kept => Ok(line(id, &KeptApps { apps: self.apps.kept.list() })),
            AppCall::Forget(which) => {
                let name = which.app.clone();
                let gone = self.apps.write(move |apps| apps.kept.remove(&which.app)).await;
                match gone.map_err(|error| unwritten(&error))? {
                    true => Ok(line(id, &Done {})),
                    false => Err(not_kept(&name).into()),
                }
            }
            AppCall::List(list) => self.passed_on(id, list.account(), requests::list(&list)).await,
            AppCall::Get(which) => self.passed_on(id, which.account(), requests::get(&which)?).await,
            AppCall::PublishedList(list) => {
                self.passed_on(id, list.account(), requests::published(&list)).await
            }
            AppCall::PublishedCatalogue(list) => {
                self.passed_on(id, list.account(), requests::catalogue(&list)).await
            }
            AppCall::PublishedAdd(add) => self.passed_on(id, add.account(), requests::publish(&add)?).await,
            AppCall::PublishedUpdate(update) => {
                self.passed_on(id, update.account(), requests::republish(&update)?).await
            }
            AppCall::PublishedRemove(which) => {
                self.passed_on(id, which.account(), requests::unpublish(&which)?).await
            }
        }
    }
}

async fn in_time<T>(answer: impl Future<Output = Result<T, RpcError>>) -> Result<T, RpcError> {
    tokio::time::timeout(LONGEST, Box::pin(answer)).await.unwrap_or_else(|_| {
        let hint = "try again; `sso app list` shows what has been done";
        Err(Fault::new(Kind::Timeout, "the account takes too long to answer", hint).into())
    })
}

fn not_kept(name: &str) -> Fault {
    let message = format!("the agent keeps no app {name:.80?}");
    Fault::new(Kind::UnknownHost, message, "`sso app kept` shows those that it keeps")
}

fn unwritten(error: &StoreError) -> Fault {
    let hint = "see that the state folder can be written: `sso agent logs` says more";
    Fault::new(Kind::StoreFailed, error.to_string(), hint)
}

fn broken_off() -> RpcError {
    RpcError::new(Code::Internal, "the call broke off")
}
