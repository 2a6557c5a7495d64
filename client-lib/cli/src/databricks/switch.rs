//! `databricks auth switch`: says which profile counts where none is named.

use sso_agent_client::proto::databrickscfg::edit;

use crate::{
    args::Said,
    file::Loaded,
    say::{self, Fail},
};

pub(crate) fn run(said: &Said) -> Result<(), Fail> {
    let file = Loaded::here()?;
    let Some(name) = &said.profile else {
        return Err(Fail::new(
            "the command is being run in a non-interactive environment, please specify a profile using --profile",
        ));
    };
    if file.config.profile(name).is_none() {
        return Err(Fail::new(format!("profile {name:?} not found")));
    }
    file.change(|text| edit::set_default(text, Some(name)))?;
    say::note(&format!("Default profile set to {name:?}."));
    Ok(())
}
