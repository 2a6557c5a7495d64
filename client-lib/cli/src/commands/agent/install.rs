//! `sso agent install` and `uninstall`.

use super::service::{self, Written};
use crate::{exit::Failure, output::Output};

pub(super) fn print(output: &Output) -> Result<(), Failure> {
    let written = service::what_is_written()?;
    let shown: serde_json::Map<_, _> =
        written.iter().map(|Written { place, text }| (place.clone(), text.as_str().into())).collect();
    output.result(&shown, || {
        let words = |Written { place, text }: &Written| format!("# {place}\n{text}");
        written.iter().map(words).collect::<Vec<_>>().join("\n")
    })
}

pub(super) fn install(output: &Output) -> Result<(), Failure> {
    let installed = service::install()?;
    output.result(&installed, || installed.words.clone())
}

pub(super) fn uninstall(output: &Output) -> Result<(), Failure> {
    super::tell(service::uninstall()?, output)
}
