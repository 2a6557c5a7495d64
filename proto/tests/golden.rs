//! Every message that goes over the wire, pinned: a change here breaks clients.

#![expect(clippy::unwrap_used, reason = "a test says what it expects")]

use std::{fs, path::PathBuf};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use sso_agent_proto::{
    agent::{Done, Info, Rekeyed},
    app::{AppCall, AppCreated, KeptApps},
    consent::{ConsentFinished, ConsentStarted},
    events::Event,
    fault::Fault,
    metadata::MetadataUrl,
    method::{Call, names},
    profile::Profiles,
    rpc::{Id, Incoming, Request, error_line},
    session::{LoggedOut, Progress, Session, Sessions},
    token::Token,
};

fn golden(name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.json"));
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Reads a value as `T` and writes it again: nothing may be missing, added or renamed.
fn same<T: DeserializeOwned + Serialize>(value: &Value) {
    let read: T = serde_json::from_value(value.clone()).unwrap();
    assert_eq!(&serde_json::to_value(read).unwrap(), value);
}

#[test]
fn every_method_is_read_and_its_result_written_as_pinned() {
    for name in names() {
        let pinned = golden(name);
        let line = pinned["request"].to_string();
        let request = Request::parse(line.as_bytes()).unwrap();
        let call = Call::read(&request.method, request.params.as_deref()).unwrap();
        assert_eq!(call.name(), name);
        let result = &pinned["result"];
        match call {
            Call::AgentInfo => same::<Info>(result),
            Call::AgentReload | Call::AgentShutdown | Call::EventsSubscribe(_) => same::<Done>(result),
            Call::AgentRekey(_) => same::<Rekeyed>(result),
            Call::TokenGet(_) => same::<Token>(result),
            Call::SessionLogin(_) | Call::SessionImport(_) | Call::SessionShow(_) => same::<Session>(result),
            Call::ProfileList => same::<Profiles>(result),
            Call::MetadataUrl(_) => same::<MetadataUrl>(result),
            Call::SessionList(_) => same::<Sessions>(result),
            Call::SessionLogout(_) | Call::ConsentEnd(_) => same::<LoggedOut>(result),
            Call::ConsentStart(_) => same::<ConsentStarted>(result),
            Call::ConsentFinish(_) => same::<ConsentFinished>(result),
            Call::App(AppCall::Create(_)) => same::<AppCreated>(result),
            Call::App(AppCall::Kept) => same::<KeptApps>(result),
            // As the account API answers.
            Call::App(_) => assert!(result.is_object()),
        }
    }
}

#[test]
fn params_are_written_as_they_are_read() {
    for name in names() {
        let pinned = golden(name);
        let params = &pinned["request"]["params"];
        let text = serde_json::value::RawValue::from_string(params.to_string()).unwrap();
        let text = (!params.is_null()).then_some(&*text);
        let line = Call::read(name, text).unwrap().line(&Id::from(1));
        let written: Value = serde_json::from_slice(&line).unwrap();
        let expected = if params.is_null() { &Value::Object(Default::default()) } else { params };
        assert_eq!(&written["params"], expected, "{name}");
    }
}

#[test]
fn progress_and_events_are_notified_as_pinned() {
    for step in golden("session.login")["progress"].as_array().unwrap() {
        same::<Progress>(step);
    }
    same::<Event>(&golden("events.subscribe")["event"]);
}

#[test]
fn a_fault_goes_out_and_comes_back_as_pinned() {
    let pinned = &golden("error")["reply"];
    let line = pinned.to_string();
    let Some(Incoming::Reply(id, Err(error))) = Incoming::parse(line.as_bytes()) else { panic!("no error") };
    assert_eq!(id, Id::from(1));
    let fault = Fault { message: error.message, data: error.data.unwrap() };
    let written: Value = serde_json::from_slice(&error_line(&id, fault.into())).unwrap();
    assert_eq!(&written, pinned);
}
