//! Any line is a request, understood or refused; never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sso_agent_proto::{
    method::Call,
    rpc::{Incoming, Request},
};

fuzz_target!(|line: &[u8]| {
    if let Ok(request) = Request::parse(line) {
        let _ = Call::read(&request.method, request.params.as_deref());
    }
    let _ = Incoming::parse(line);
});
