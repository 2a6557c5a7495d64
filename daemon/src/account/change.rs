//! What changes an app, or the account; what else is asked of an account is passed on as it answers.

use http::StatusCode;
use serde_json::{Value, json};
use sso_agent_proto::{
    app::{Account, AppAccount, AppEnroll, AppUpdate, AppWhich},
    fault::{Fault, Kind},
    rpc::{Id, RpcError},
};

use super::{
    api::{self, Failed},
    create::redirects,
    requests::{self, Request},
};
use crate::{
    rpc::service::{Line, Service, line},
    store::StoreError,
};

impl Service {
    /// Asks, and tells what the account answers.
    pub(super) async fn passed_on(
        &self,
        id: &Id,
        account: Account,
        request: Request,
    ) -> Result<Line, RpcError> {
        let whose = self.whose(account).await?;
        Ok(line(id, &api::ask(self.apps.http(), &whose, &request).await?))
    }

    /// Changes an app, and what is kept of it, also for who does not wait for the answer.
    pub(super) async fn update(&self, update: AppUpdate) -> Result<Value, RpcError> {
        redirects(update.redirect_urls.as_deref().unwrap_or_default())?;
        let request = requests::update(&update)?;
        let whose = self.whose(update.account()).await?;
        let apps = self.apps.clone();
        let job = async move {
            let answer = api::ask(apps.http(), &whose, &request).await?;
            let kept = apps.write(move |apps| apps.kept.change(whose.account_id(), &update)).await;
            kept.map_err(|error| stale("changed", &error))?;
            Ok(answer)
        };
        self.to_its_end(job).await?
    }

    /// Deletes an app, and what is kept of it, also for who does not wait for the answer.
    pub(super) async fn delete(&self, which: AppWhich) -> Result<Value, RpcError> {
        let request = requests::delete(&which)?;
        let whose = self.whose(which.account()).await?;
        let apps = self.apps.clone();
        let job = async move {
            let answer = api::ask(apps.http(), &whose, &request).await?;
            let id = which.integration_id;
            let forgotten = apps.write(move |apps| apps.kept.deleted(whose.account_id(), &id)).await;
            forgotten.map_err(|error| stale("deleted", &error))?;
            Ok(answer)
        };
        self.to_its_end(job).await?
    }

    /// Enrols the account, where accounts still are.
    pub(super) async fn enroll(&self, enroll: &AppEnroll) -> Result<Value, RpcError> {
        self.if_needed(enroll.account(), requests::enroll(enroll)).await
    }

    /// Tells whether the account is enrolled, where accounts still are.
    pub(super) async fn enrollment(&self, account: &AppAccount) -> Result<Value, RpcError> {
        self.if_needed(account.account(), requests::enrollment()).await
    }

    /// OAuth is on for every account since 2023: one that does not know of enrolment needs none.
    async fn if_needed(&self, account: Account, request: Request) -> Result<Value, RpcError> {
        let whose = self.whose(account).await?;
        match api::ask(self.apps.http(), &whose, &request).await {
            Ok(answer) => Ok(answer),
            Err(Failed { answer: Some((status, words)), .. }) if status == StatusCode::NOT_FOUND => {
                Ok(json!({"needed": false, "status": status.as_u16(), "answer": words}))
            }
            Err(failed) => Err(failed.into()),
        }
    }
}

fn stale(done: &str, error: &StoreError) -> Fault {
    let message = format!("the app was {done}, and what the agent keeps of it could not be: {error}");
    let hint = "see that the state folder can be written, and do it again: `sso agent logs` says more";
    Fault::new(Kind::StoreFailed, message, hint)
}
