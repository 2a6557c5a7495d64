//! The floor of `http.sock`: hyper as it comes, answering every request with as many bytes, and nothing
//! else. `sso-bench-hyper SOCKET LENGTH`.

use std::{convert::Infallible, io};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Response, header, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::UnixListener;

fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let socket = args.next().unwrap_or_default();
    let length = args.next().and_then(|length| length.parse().ok()).unwrap_or_default();
    let body = Bytes::from(vec![b'x'; length]);
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = UnixListener::bind(socket)?;
        loop {
            let (stream, _) = listener.accept().await?;
            let body = body.clone();
            let service = service_fn(move |_| {
                let answer = Response::builder().header(header::CONTENT_TYPE, "application/json");
                let answer = answer.body(Full::<Bytes>::from(body.clone())).unwrap_or_default();
                async { Ok::<_, Infallible>(answer) }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    })
}
