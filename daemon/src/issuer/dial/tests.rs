use std::sync::Mutex;

use http::Request;
use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};
use rustls::{
    RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::issuer::{
    http::{Http, SendError, Sent},
    settings::ProxyUrl,
    testing::{Fake, reply},
};

const LONG: Duration = Duration::from_secs(20);
/// What no name server knows: only the proxy can lead there.
const NAME: &str = "issuer.sso-agent.invalid";

type Heard = Arc<Mutex<String>>;

struct Server {
    certificate: CertificateDer<'static>,
    port: u16,
    heard: Heard,
}

impl Server {
    /// Speaks TLS by a certificate for `name` that is good until that year.
    async fn start(name: &str, until: i32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        // Two of one name would be taken for one another.
        params.distinguished_name.push(DnType::CommonName, port.to_string());
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let heard = Heard::default();
        let ear = heard.clone();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(tcp).await else { continue };
                let mut buffer = [0; 4096];
                while let Ok(n @ 1..) = stream.read(&mut buffer).await {
                    ear.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..n]));
                    if ear.lock().unwrap().ends_with("canary") {
                        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
                        break;
                    }
                }
            }
        });
        Self { certificate, port, heard }
    }

    fn heard(&self) -> String {
        self.heard.lock().unwrap().clone()
    }

    fn trusted(&self, settings: Settings) -> Http {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Http::trusting(config, settings)
    }
}

async fn post(http: &Http, url: &str) -> Result<u16, SendError> {
    let request = Request::post(url).body(b"refresh_token=canary".to_vec()).unwrap();
    http.send(request, LONG).await.map(|reply| reply.status.as_u16())
}

fn not_sent(outcome: Result<u16, SendError>) -> String {
    let error = outcome.unwrap_err();
    assert_eq!(error.sent, Sent::No, "{error}");
    error.cause
}

#[tokio::test]
async fn f13_nothing_leaves_before_the_server_is_known_and_the_cause_is_named() {
    let good = Server::start("localhost", 2100).await;
    let url = format!("https://localhost:{}/t", good.port);
    assert_eq!(post(&good.trusted(Settings::default()), &url).await.unwrap(), 204);
    assert!(good.heard().ends_with("canary"));

    let other = Server::start("localhost", 2100).await;
    for stranger in [other.trusted(Settings::default()), Http::new()] {
        let cause = not_sent(post(&stranger, &url).await);
        assert!(cause.starts_with("its certificate is from nobody that this system trusts"), "{cause}");
    }
    let by_address = url.replace("localhost", "127.0.0.1");
    let cause = not_sent(post(&good.trusted(Settings::default()), &by_address).await);
    assert!(cause.starts_with("its certificate is for another name"), "{cause}");

    let expired = Server::start("localhost", 2020).await;
    let url = format!("https://localhost:{}/t", expired.port);
    let cause = not_sent(post(&expired.trusted(Settings::default()), &url).await);
    assert!(cause.starts_with("its certificate has expired"), "{cause}");
    assert_eq!(expired.heard() + &other.heard(), "");
}

#[tokio::test]
async fn f13_what_is_no_tls_or_an_old_one_is_not_sent_to() {
    let plain = Fake::new(|_| reply(200, "", "")).await;
    let cause = not_sent(post(&Http::new(), &plain.url("/").replace("http:", "https:")).await);
    assert!(cause.starts_with("what listens there does not speak TLS"), "{cause}");
    assert!(!plain.heard().concat().contains("canary"));

    // An alert: fatal, protocol_version (RFC 8446, 6).
    let old = Fake::new(|_| "\u{15}\u{3}\u{1}\0\u{2}\u{2}\u{46}".to_owned()).await;
    let cause = not_sent(post(&Http::new(), &old.url("/").replace("http:", "https:")).await);
    assert!(cause.starts_with("it speaks no TLS that is safe"), "{cause}");
    assert!(!old.heard().concat().contains("canary"));
}

/// Leads every CONNECT to `port` here, and says what it heard; or answers with `instead`.
async fn proxy(port: u16, instead: Option<&'static str>) -> (String, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = listener.local_addr().unwrap().to_string();
    let heard = Heard::default();
    let ear = heard.clone();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let Ok(byte) = client.read_u8().await else { break };
                head.push(byte);
            }
            ear.lock().unwrap().push_str(&String::from_utf8_lossy(&head));
            if let Some(instead) = instead {
                client.write_all(instead.as_bytes()).await.unwrap();
                continue;
            }
            let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
            let _ = copy_bidirectional(&mut client, &mut server).await;
        }
    });
    (place, heard)
}

fn by(proxy: &str) -> Settings {
    Settings { proxy: Some(ProxyUrl(proxy.to_owned())), ..Settings::default() }
}

#[tokio::test]
async fn a_proxy_leads_to_the_issuer_and_sees_nothing_of_the_request() {
    let server = Server::start(NAME, 2100).await;
    let (place, heard) = proxy(server.port, None).await;
    let http = server.trusted(by(&format!("http://me:s%40cret@{place}")));
    assert_eq!(post(&http, &format!("https://{NAME}/t")).await.unwrap(), 204);
    assert!(server.heard().ends_with("canary"));
    let heard = heard.lock().unwrap().clone();
    assert!(heard.starts_with(&format!("CONNECT {NAME}:443 HTTP/1.1\r\n")), "{heard}");
    assert!(heard.contains("Proxy-Authorization: Basic bWU6c0BjcmV0\r\n"), "{heard}");
    assert!(!heard.contains("canary"));
}

#[tokio::test]
async fn what_fails_at_a_proxy_was_not_sent_and_its_password_does_not_show() {
    let server = Server::start(NAME, 2100).await;
    let url = format!("https://{NAME}/t");
    for (instead, expected) in [
        ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "authorization required"),
        ("HTTP/1.1 503 Service Unavailable\r\n\r\n<html>", "unsuccessful"),
        ("", "unexpected end"),
        ("HTTP/1.1 200 OK\r\n\r\n<html>Please sign in</html>", "handshake eof"),
    ] {
        let (place, _) = proxy(server.port, Some(instead)).await;
        let cause = not_sent(post(&server.trusted(by(&format!("http://me:CANARY@{place}"))), &url).await);
        assert!(cause.starts_with(&format!("by the proxy http://{place}: ")), "{cause}");
        assert!(cause.contains(expected) && !cause.contains("CANARY"), "{cause}");
    }
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let cause = not_sent(post(&server.trusted(by(&format!("http://{gone}"))), &url).await);
    assert!(cause.to_lowercase().contains("refused"), "{cause}");
    let cause = not_sent(post(&server.trusted(by("ftp://me:CANARY@p")), &url).await);
    assert!(cause.contains("the address of the proxy") && !cause.contains("CANARY"), "{cause}");
    assert_eq!(server.heard(), "");
}

#[tokio::test]
async fn this_machine_is_never_reached_by_a_proxy() {
    let server = Server::start("localhost", 2100).await;
    let (place, heard) = proxy(server.port, None).await;
    let http = server.trusted(by(&format!("http://{place}")));
    assert_eq!(post(&http, &format!("https://localhost:{}/t", server.port)).await.unwrap(), 204);
    assert_eq!(heard.lock().unwrap().as_str(), "");
}

#[tokio::test]
async fn a_certificate_in_a_file_of_the_settings_is_believed() {
    let server = Server::start("localhost", 2100).await;
    let url = format!("https://localhost:{}/t", server.port);
    let file = tempfile::NamedTempFile::new().unwrap();
    let with = |ca: &std::path::Path| Http::by(Settings { ca: vec![ca.to_owned()], ..Settings::default() });

    let cause = not_sent(post(&with(file.path()), &url).await);
    assert!(cause.contains("there is no certificate in it"), "{cause}");
    let encoded = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, &server.certificate);
    let lines: Vec<&str> = encoded.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
    let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"));
    std::io::Write::write_all(&mut file.as_file(), pem.as_bytes()).unwrap();
    assert_eq!(post(&with(file.path()), &url).await.unwrap(), 204);

    let cause = not_sent(post(&with("/no/such/file.pem".as_ref()), &url).await);
    assert!(cause.starts_with("/no/such/file.pem cannot be used: "), "{cause}");
}

/// A proxy of version 5 (RFC 1928), without a password.
#[tokio::test]
async fn a_socks_proxy_looks_the_name_up_itself() {
    let server = Server::start(NAME, 2100).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = listener.local_addr().unwrap();
    let port = server.port;
    let asked = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut greeting = [0; 3];
        client.read_exact(&mut greeting).await.unwrap();
        client.write_all(&[5, 0]).await.unwrap();
        let mut head = [0; 5];
        client.read_exact(&mut head).await.unwrap();
        let mut name = vec![0; usize::from(head[4]) + 2];
        client.read_exact(&mut name).await.unwrap();
        client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
        let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let _ = copy_bidirectional(&mut client, &mut server).await;
        name.truncate(name.len() - 2);
        String::from_utf8(name).unwrap()
    });
    let http = server.trusted(by(&format!("socks5h://{place}")));
    assert_eq!(post(&http, &format!("https://{NAME}/t")).await.unwrap(), 204);
    assert_eq!(asked.await.unwrap(), NAME);
}
