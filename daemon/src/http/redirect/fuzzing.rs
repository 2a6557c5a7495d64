//! The listener without its sockets.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Arc, Expected, Links, Mutex, Notify, Page, Site, TokioIo, oneshot, serve, watch};

/// What is answered to all of `bytes`, and whether a redirect counted.
pub(in crate::http) fn converse(bytes: &[u8], expected: Expected) -> (String, bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime needs nothing but memory").block_on(conversation(bytes, expected))
}

async fn conversation(bytes: &[u8], expected: Expected) -> (String, bool) {
    let (returned, mut callback) = oneshot::channel();
    let site = Arc::new(Site {
        names: ["localhost", "127.0.0.1", "[::1]"].map(|name| format!("{name}:8020")),
        path: "/callback".to_owned(),
        last: "/done/1".to_owned(),
        expected,
        links: Links::default(),
        started: Box::new(|| {}),
        returned: Mutex::new(Some(returned)),
        page: watch::Sender::new(Some(Page::NotFound)),
        seen: Notify::new(),
    });
    let (mut browser, ours) = tokio::io::duplex(64 * 1024);
    let talk = async {
        // It may hang up before it has read all.
        let _ = browser.write_all(bytes).await;
        let _ = browser.shutdown().await;
        let mut answer = Vec::new();
        let _ = browser.read_to_end(&mut answer).await;
        answer
    };
    let (answer, ()) = tokio::join!(talk, serve(TokioIo::new(ours), site));
    (String::from_utf8_lossy(&answer).into_owned(), callback.try_recv().is_ok())
}
