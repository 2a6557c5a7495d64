//! Registering an app: one, however often it is tried, and its secret where it belongs.

use std::sync::Arc;

use sso_agent_core::redirect::RedirectUrl;
use sso_agent_proto::{
    app::{AppCreate, AppCreated, KeptApp},
    fault::{Fault, Kind},
    rpc::RpcError,
};
use tokio::sync::OwnedMutexGuard;

use super::{
    Apps, api,
    begun::{self, Note},
    kept::{Entry, Room},
    requests::{self, Request},
    unwritten,
    whose::Whose,
};
use crate::rpc::service::Service;

/// What was created, and is lost unless somebody hears of it.
struct Created {
    app: AppCreated,
    receipt: Receipt,
}

/// To be signed when the answer has gone out. Until then nobody else may create an app of that name, and if it
/// never is, the next who does is told of this one.
pub(crate) struct Receipt {
    apps: Arc<Apps>,
    note: Note,
    integration_id: String,
    _turn: OwnedMutexGuard<()>,
}

impl Receipt {
    /// Somebody has heard of it.
    pub(crate) async fn sign(self) {
        end(&self.apps, self.note, Some(self.integration_id)).await;
    }
}

impl Service {
    /// Registers an app. Whoever hangs up does not keep its client from being kept.
    pub(super) async fn create(&self, create: AppCreate) -> Result<(AppCreated, Receipt), RpcError> {
        check(&create)?;
        let request = requests::create(&create)?;
        let whose = self.whose(create.account()).await?;
        let job = created(self.apps.clone(), whose, create, request);
        let Created { app, receipt } = self.to_its_end(job).await??;
        Ok((app, receipt))
    }
}

async fn created(
    apps: Arc<Apps>,
    whose: Whose,
    create: AppCreate,
    request: Request,
) -> Result<Created, RpcError> {
    let turn = apps.turns.of(&create.name).await;
    if create.keep {
        let name = create.name.clone();
        let room = apps.write(move |apps| apps.kept.reserve(&name)).await;
        has_room(&apps, &create.name, room.map_err(|error| unwritten(&error))?)?;
    }
    let note = Note::now(&whose, &create.name);
    if let Some(before) = apps.begun.before(&note) {
        let is_kept = |id: &str| apps.kept.is_kept(whose.account_id(), id);
        if let Some(orphan) = begun::orphan(apps.http(), &whose, &before, is_kept).await? {
            return Err(begun::told(&orphan).into());
        }
    }
    let begin = note.clone();
    apps.write(move |apps| apps.begun.begin(&begin)).await.map_err(|error| unwritten(&error))?;
    let app = match post(&apps, &whose, &request).await {
        Ok(app) => app,
        Err(failed) => {
            if !failed.maybe_done {
                end(&apps, note, None).await;
            }
            return Err(failed.fault.into());
        }
    };
    tracing::info!(host = whose.host(), integration = app.integration_id, "app created");
    let integration_id = app.integration_id.clone();
    let app = if create.keep {
        // If that fails, the next creation of that name tells of this app once more.
        let app = keep(&apps, &whose, create, app).await?;
        end(&apps, note.clone(), None).await;
        app
    } else {
        app
    };
    Ok(Created { app, receipt: Receipt { apps, note, integration_id, _turn: turn } })
}

async fn post(apps: &Apps, whose: &Whose, request: &Request) -> Result<AppCreated, api::Failed> {
    let hint = "try again: the next `sso app create` of that name first looks whether this one came through";
    let lost = |mut failed: api::Failed| {
        if failed.maybe_done {
            hint.clone_into(&mut failed.fault.data.hint);
        }
        failed
    };
    let body = api::call(apps.http(), whose, request).await.map_err(lost)?;
    serde_json::from_slice(&body).map_err(|_| {
        let message = format!("{} answered without the ids of the app", whose.host());
        let fault = Fault::new(Kind::IssuerUnavailable, message, hint);
        api::Failed { fault, maybe_done: true, answer: None }
    })
}

async fn keep(
    apps: &Arc<Apps>,
    whose: &Whose,
    create: AppCreate,
    app: AppCreated,
) -> Result<AppCreated, RpcError> {
    let AppCreated { integration_id, client_id, client_secret, .. } = app;
    let about = KeptApp {
        name: create.name,
        integration_id: integration_id.clone(),
        client_id: client_id.clone(),
        confidential: client_secret.is_some(),
        redirect_urls: create.redirect_urls,
        scopes: create.scopes,
        host: whose.host().to_owned(),
        account_id: whose.account_id().to_owned(),
    };
    let entry = Entry::new(about, client_secret);
    match apps.write(move |apps| apps.kept.put(entry)).await {
        Ok(()) => Ok(AppCreated { integration_id, client_id, client_secret: None, kept: true }),
        Err(error) => {
            let message = format!(
                "the app was created and its secret could not be kept: {error} (integration id {integration_id}, client id {client_id})"
            );
            let hint = format!("make room, delete it and create it again: sso app delete {integration_id}");
            Err(Fault::new(Kind::StoreFailed, message, hint).into())
        }
    }
}

/// What is noted for longer than it counts does no harm: the next creation of that name looks once more.
async fn end(apps: &Arc<Apps>, note: Note, id: Option<String>) {
    if let Err(error) = apps.write(move |apps| apps.begun.end(&note, id.as_deref())).await {
        tracing::warn!(%error, "what was noted of a creation stays");
    }
}

fn has_room(apps: &Apps, name: &str, room: Room) -> Result<(), Fault> {
    match room {
        Room::Free => Ok(()),
        Room::Taken => {
            let id = apps.kept.integration(name).unwrap_or_default();
            let message = format!("the agent keeps an app {name:.80?} already, with integration id {id}");
            let hint = "use it, choose another name, or let the agent forget it: sso app forget NAME";
            Err(Fault::new(Kind::Ambiguous, message, hint))
        }
        Room::Unreadable(path) => {
            let message = format!("{} has that name, and cannot be read", path.display());
            let hint = "restart the agent when its key is there again, or let it go: sso app forget NAME";
            Err(Fault::new(Kind::StoreFailed, message, hint))
        }
    }
}

/// What is wrong is told before anybody is asked.
fn check(create: &AppCreate) -> Result<(), Fault> {
    let wrong = |message: String, hint: &str| Err(Fault::new(Kind::Unsupported, message, hint));
    if create.name.trim().is_empty() || create.name.chars().any(char::is_control) {
        return wrong(format!("{:.80?} is no name for an app", create.name), "choose another name");
    }
    if create.redirect_urls.is_empty() {
        return wrong("an app has at least one redirect URL".to_owned(), "name where browsers come back to");
    }
    redirects(&create.redirect_urls)
}

/// Checks where browsers may be sent back to.
pub(super) fn redirects(urls: &[String]) -> Result<(), Fault> {
    for url in urls {
        if let Err(why) = RedirectUrl::parse(url) {
            let hint = "an example: https://app.example.com/callback, or http://localhost:8080/callback";
            return Err(Fault::new(Kind::Unsupported, format!("{url:.200?} will not do: {why}"), hint));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        path::PathBuf,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use secrecy::ExposeSecret as _;
    use serde_json::json;

    use super::*;
    use crate::{
        account::whose::Authority,
        issuer::testing::{Fake, json as answer},
        spender::Spender,
        store::{Memory, Store},
    };

    const CREATED: &str = r#"{"integration_id":"i-1","client_id":"c-1","client_secret":"dose-CANARY"}"#;

    fn apps(folder: Option<PathBuf>) -> Arc<Apps> {
        let store: Arc<dyn Store> = Arc::new(Memory::default());
        Apps::new(store.clone(), Arc::new(Spender::here(store, crate::issuer::Settings::default())), folder)
    }

    fn wish(keep: bool) -> AppCreate {
        let redirect_urls = vec!["https://a.example/cb".to_owned()];
        AppCreate { name: "a".into(), redirect_urls, confidential: Some(true), keep, ..AppCreate::default() }
    }

    async fn run(apps: &Arc<Apps>, fake: &Fake, keep: bool) -> Result<AppCreated, RpcError> {
        let whose = Whose::made(&fake.url(""), "acc", Authority::Session("tok".into()));
        let request = requests::create(&wish(keep)).unwrap();
        let Created { app, receipt } = created(apps.clone(), whose, wish(keep), request).await?;
        receipt.sign().await;
        Ok(app)
    }

    fn posts(fake: &Fake) -> usize {
        fake.heard().iter().filter(|request| request.starts_with("POST")).count()
    }

    #[tokio::test]
    async fn a_secret_is_told_once_or_kept() {
        let fake = Fake::new(|_| answer(200, CREATED)).await;
        let apps = apps(None);
        let told = run(&apps, &fake, false).await.unwrap();
        assert_eq!(told.client_secret.unwrap().expose_secret(), "dose-CANARY");
        let kept = run(&apps, &fake, true).await.unwrap();
        assert_eq!(
            serde_json::to_value(&kept).unwrap(),
            json!({"integration_id": "i-1", "client_id": "c-1", "kept": true})
        );
        assert_eq!(apps.find("a").unwrap().client_secret.unwrap().expose_secret(), "dose-CANARY");
        let refused = run(&apps, &fake, true).await.unwrap_err();
        assert!(refused.message.contains("already") && posts(&fake) == 2, "{refused:?}");
        assert!(
            fake.heard().iter().all(|request| request.starts_with("POST")),
            "nobody looks for what is not lost"
        );
        assert_eq!(apps.find("b").unwrap_err().kind(), Kind::UnknownHost);
    }

    #[tokio::test]
    async fn what_was_lost_is_found_by_the_next_attempt_and_not_made_twice() {
        let now = clock_text();
        let tries = AtomicUsize::new(0);
        let fake = Fake::new(move |request| match (request.starts_with("GET"), tries.load(Ordering::Relaxed)) {
            (true, 2..) => answer(200, r#"{"apps":[]}"#),
            (true, _) if request.contains("page_token=two") => {
                tries.fetch_add(1, Ordering::Relaxed);
                answer(200, &format!(r#"{{"apps":[{{"name":"a","integration_id":"i-9","client_id":"c-9","create_time":"{now}"}}]}}"#))
            }
            (true, _) => answer(200, r#"{"apps":[{"name":"a","create_time":"2020-01-01T00:00:00Z"}],"next_page_token":"two"}"#),
            (false, 0) => String::new(),
            (false, _) => answer(200, CREATED),
        })
        .await;
        let folder = tempfile::tempdir().unwrap();
        let place = Some(folder.path().join("apps"));
        let lost = run(&apps(place.clone()), &fake, false).await.unwrap_err();
        assert_eq!(lost.data.unwrap().kind, Kind::IssuerUnavailable);

        let again = apps(place);
        again.read().await;
        for _ in 0..2 {
            let told = run(&again, &fake, false).await.unwrap_err();
            assert_eq!(told.data.as_ref().unwrap().kind, Kind::Ambiguous);
            assert!(told.message.contains("i-9") && told.message.contains("c-9"), "{told:?}");
            assert!(told.data.unwrap().hint.contains("sso app delete i-9"));
        }
        assert_eq!(posts(&fake), 1);
        // It was deleted.
        run(&again, &fake, false).await.unwrap();
        assert_eq!(posts(&fake), 2);
        let looks = fake.heard().len();
        run(&again, &fake, false).await.unwrap();
        assert_eq!(fake.heard().len(), looks + 1, "that is over");
    }

    #[tokio::test]
    async fn two_at_once_take_turns_so_that_the_second_finds_what_the_first_lost() {
        let made =
            format!(r#"{{"apps":[{{"name":"a","integration_id":"i-9","create_time":"{}"}}]}}"#, clock_text());
        let fake = Fake::new(
            move |request| if request.starts_with("GET") { answer(200, &made) } else { String::new() },
        );
        let (fake, apps) = (fake.await, apps(None));
        let (one, other) = tokio::join!(run(&apps, &fake, false), run(&apps, &fake, true));
        let kinds = [one, other].map(|outcome| outcome.unwrap_err().data.unwrap().kind);
        assert_eq!((kinds, posts(&fake)), ([Kind::IssuerUnavailable, Kind::Ambiguous], 1));
    }

    #[tokio::test]
    async fn a_refusal_leaves_nothing_to_look_for() {
        let fake =
            Fake::new(|_| answer(400, r#"{"error_code":"INVALID_PARAMETER_VALUE","message":"no"}"#)).await;
        let apps = apps(None);
        for _ in 0..2 {
            run(&apps, &fake, false).await.unwrap_err();
        }
        assert_eq!((fake.heard().len(), posts(&fake)), (2, 2));
    }

    #[tokio::test]
    async fn a_secret_that_cannot_be_kept_is_not_lost_in_silence() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("apps");
        let gone = place.clone();
        let fake = Fake::new(move |_| {
            std::fs::remove_dir_all(&gone).unwrap();
            std::fs::File::create(&gone).unwrap();
            answer(200, CREATED)
        })
        .await;
        let failed = run(&apps(Some(place)), &fake, true).await.unwrap_err();
        assert_eq!(failed.data.as_ref().unwrap().kind, Kind::StoreFailed);
        assert!(failed.message.contains("i-1") && failed.message.contains("c-1"), "{failed:?}");
        assert!(!format!("{failed:?}").contains("CANARY"));
    }

    #[test]
    fn what_will_not_do_is_told_before_anybody_is_asked() {
        for url in ["http://a.example/cb", "https://*.example/cb", "https://a/#x", "https://u@a/"] {
            let wish = AppCreate { redirect_urls: vec![url.to_owned()], ..wish(false) };
            assert_eq!(check(&wish).unwrap_err().kind(), Kind::Unsupported, "{url}");
        }
        for name in ["", " ", "a\nb"] {
            assert!(check(&AppCreate { name: name.into(), ..wish(false) }).is_err(), "{name:?}");
        }
        assert!(check(&wish(false)).is_ok());
    }

    fn clock_text() -> String {
        crate::clock::timestamp(crate::clock::now().wall).to_string()
    }
}
