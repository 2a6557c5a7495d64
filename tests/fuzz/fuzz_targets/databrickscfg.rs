//! Any text is a file of profiles or refused, and an edit is read back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sso_agent_proto::databrickscfg::{Config, Profile, edit};

fuzz_target!(|bytes: &[u8]| {
    let Ok(config) = Config::parse_bytes(bytes) else { return };
    for section in config.profiles() {
        let _ = Profile::from(section);
    }
    let text = std::str::from_utf8(bytes).expect("it was read");
    let changes = [("host", Some("https://x")), ("token", None)];
    if let Ok(changed) = edit::set(text, "p", &changes) {
        let read = Config::parse(&changed).expect("an edit can be read");
        assert_eq!(read.profile("p").and_then(|section| section.get("host")), Some("https://x"));
        let removed = edit::remove(&changed, "p").expect("it can be read");
        assert!(Config::parse(&removed).is_ok_and(|config| config.profile("p").is_none()));
    }
});
