//! A host has one spelling, and whatever is read as one is read the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sso_agent_core::host::Host;

fuzz_target!(|typed: &str| {
    if let Ok(host) = Host::parse(typed, Some("account")) {
        assert_eq!(Host::parse(host.url(), host.account_id().or(Some("account"))).as_ref(), Ok(&host));
    }
});
