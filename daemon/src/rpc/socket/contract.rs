//! What clients rely on, whatever the socket is.

use std::path::PathBuf;

use interprocess::local_socket::{GenericFilePath, ToFsName as _, tokio::Stream, traits::tokio::Stream as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// Where nobody else is.
#[cfg(unix)]
pub(super) fn place() -> (PathBuf, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (folder.path().join("run/s"), folder)
}

#[cfg(windows)]
pub(super) fn place() -> (PathBuf, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().file_name().unwrap().to_str().unwrap();
    (PathBuf::from(format!(r"\\.\pipe\sso-agent-test-{name}")), folder)
}

async fn connect(path: &std::path::Path) -> io::Result<Stream> {
    Stream::connect(path.to_fs_name::<GenericFilePath>()?).await
}

#[tokio::test]
async fn what_is_written_at_one_end_comes_out_at_the_other() {
    let (path, _folder) = place();
    let mut socket = Socket::bind(&path).unwrap();
    let (client, served) = tokio::join!(connect(&path), socket.accept());
    let (mut client, mut served) = (client.unwrap(), served.unwrap());
    client.write_all(b"ask").await.unwrap();
    let mut heard = [0; 3];
    served.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"ask");
    served.write_all(b"answer").await.unwrap();
    drop(served);
    let mut answer = Vec::new();
    // A pipe may say that it was broken, where a socket ends.
    let _ = client.read_to_end(&mut answer).await;
    assert_eq!(answer, b"answer", "what was written before the end is still read");
}

#[tokio::test]
async fn who_comes_is_known_to_be_this_user() {
    let (path, _folder) = place();
    let mut socket = Socket::bind(&path).unwrap();
    let (client, served) = tokio::join!(connect(&path), socket.accept());
    let peer = peer(&served.unwrap()).unwrap();
    assert_eq!(peer.user, User::me().unwrap());
    assert!(peer.pid.is_none_or(|pid| pid == std::process::id()));
    drop(client);
}

#[tokio::test]
async fn many_who_come_at_once_are_all_let_in() {
    let (path, _folder) = place();
    let mut socket = Socket::bind(&path).unwrap();
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..64_u8 {
        let path = path.clone();
        clients.spawn(async move {
            let mut client = connect(&path).await.unwrap();
            client.write_all(&[number]).await.unwrap();
            client
        });
    }
    let mut seen = Vec::new();
    for _ in 0..64 {
        let mut served = socket.accept().await.unwrap();
        seen.push(served.read_u8().await.unwrap());
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..64).collect::<Vec<u8>>());
}

#[tokio::test]
async fn a_second_one_hears_that_the_first_has_it_and_gets_it_afterwards() {
    let (path, _folder) = place();
    let first = Socket::bind(&path).unwrap();
    let second = Socket::bind(&path).map(drop);
    assert!(matches!(second, Err(BindError::Held(_))), "{second:?}");
    drop(first);
    Socket::bind(&path).unwrap();
    assert!(connect(&path).await.is_err());
}
