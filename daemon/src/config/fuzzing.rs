//! What stands in files of the person's, for the fuzz targets.

use sso_agent_proto::databrickscfg::{self, edit};

use super::{file, known::Known};

/// Any text is settings or is refused, and all that it names can be listed and meant.
pub(crate) fn config(bytes: &[u8]) {
    let Ok(text) = databrickscfg::text(bytes) else { return };
    match file::read(text) {
        Ok(settings) => {
            let mut known = Known::default();
            known.settings = settings;
            known.add_own();
            look_at(&known);
        }
        Err(why) => assert!(!why.chars().any(|c| c.is_control() && c != '\n'), "{why:?}"),
    }
}

/// Any text is a file of profiles or is refused, and an edit is read back.
pub(crate) fn databrickscfg(bytes: &[u8]) {
    let Ok(config) = databrickscfg::Config::parse_bytes(bytes) else { return };
    let mut known = Known::default();
    known.add_databricks(&config, Some("/home/u"));
    known.add_own();
    look_at(&known);
    let text = databrickscfg::text(bytes).expect("it was read");
    let changes = [("host", Some("https://x")), ("token", None)];
    if let Ok(changed) = edit::set(text, "p", &changes) {
        let read = databrickscfg::Config::parse(&changed).expect("an edit can be read");
        assert_eq!(read.profile("p").and_then(|section| section.get("host")), Some("https://x"));
        let removed = edit::remove(&changed, "p").expect("it can be read");
        assert!(databrickscfg::Config::parse(&removed).is_ok_and(|config| config.profile("p").is_none()));
    }
}

fn look_at(known: &Known) {
    let listed = known.list(|_| None);
    assert_eq!(listed.profiles.len(), known.profiles.len());
    for name in known.profiles.keys() {
        let wanted = sso_agent_proto::session::Target { profile: Some(name.clone()), ..Default::default() };
        let _ = known.meant(&wanted);
    }
    let _ = (known.machines(), known.default_meant().is_some());
}
