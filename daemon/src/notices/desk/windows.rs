//! A toast, by the PowerShell that every Windows has.
//!
//! A library for it brings ten packages, and half a minute of compiling, for one call in a month; and a toast of
//! a program without a shortcut in the start menu goes under PowerShell's name there, too.

use std::{io, os::windows::process::CommandExt as _, path::PathBuf};

use tokio::process::Command;

use super::program;
use crate::notices::notice::Notice;

/// Both texts come by the environment of this one process, and become nodes of text: neither can be taken for
/// a part of the script or of its XML.
const SCRIPT: &str = "\
$ErrorActionPreference = 'Stop'
$manager = [Windows.UI.Notifications.ToastNotificationManager, Windows.UI.Notifications, ContentType = WindowsRuntime]
$xml = $manager::GetTemplateContent([Windows.UI.Notifications.ToastTemplateType]::ToastText02)
$texts = $xml.GetElementsByTagName('text')
[void]$texts.Item(0).AppendChild($xml.CreateTextNode($env:SSO_AGENT_NOTICE_TITLE))
[void]$texts.Item(1).AppendChild($xml.CreateTextNode($env:SSO_AGENT_NOTICE_BODY))
$toast = New-Object Windows.UI.Notifications.ToastNotification -ArgumentList $xml
$powershell = '{1AC14E77-02E7-4E5D-B744-2EB1AE5198B7}\\WindowsPowerShell\\v1.0\\powershell.exe'
$manager::CreateToastNotifier($powershell).Show($toast)
";

/// What PowerShell and the runtime of Windows look for.
const ENVIRONMENT: &[&str] = &[
    "APPDATA",
    "LOCALAPPDATA",
    "PATH",
    "PROGRAMDATA",
    "PROGRAMFILES",
    "SYSTEMDRIVE",
    "SYSTEMROOT",
    "TEMP",
    "TMP",
    "USERNAME",
    "USERPROFILE",
    "WINDIR",
];

/// No window, not even for a moment.
const CREATE_NO_WINDOW: u32 = 0x0800_0000;

pub(super) fn show(notice: &Notice) -> io::Result<()> {
    let Some(root) = std::env::var_os("SYSTEMROOT") else {
        return Err(io::Error::other("SYSTEMROOT does not say where Windows is"));
    };
    let program = PathBuf::from(root).join(r"System32\WindowsPowerShell\v1.0\powershell.exe");
    let mut command = std::process::Command::new(program);
    command.args(["-NoLogo", "-NoProfile", "-NonInteractive", "-Command", SCRIPT]);
    command.creation_flags(CREATE_NO_WINDOW);
    command.env("SSO_AGENT_NOTICE_TITLE", &notice.title).env("SSO_AGENT_NOTICE_BODY", &notice.body);
    program::run(Command::from(command), ENVIRONMENT)
}
