//! Whose word is taken for who a server is: the system's roots, and what the settings add.

use std::{error::Error, path::PathBuf, sync::Arc};

use rustls::{ClientConfig, client::Resumption, crypto::aws_lc_rs, pki_types::CertificateDer};

type BoxError = Box<dyn Error + Send + Sync>;

/// Reads the roots, which takes tens of milliseconds, in which a token must still be handed out.
pub(super) async fn trust(ca: Vec<PathBuf>) -> Result<Arc<ClientConfig>, BoxError> {
    tokio::task::spawn_blocking(move || read(&ca)).await?
}

fn read(ca: &[PathBuf]) -> Result<Arc<ClientConfig>, BoxError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = system::believing(builder, added(ca)?)?;
    // A session that is resumed is one that a server remembers us by, and every exchange is a new one.
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// Whoever named a file wants it believed: what is not there, or holds no certificate, is an error.
fn added(ca: &[PathBuf]) -> Result<Vec<CertificateDer<'static>>, BoxError> {
    let mut all = Vec::new();
    for path in ca {
        let (file, folder) =
            if path.is_dir() { (None, Some(path.as_path())) } else { (Some(path.as_path()), None) };
        let found = rustls_native_certs::load_certs_from_paths(file, folder);
        if found.certs.is_empty() {
            let why =
                found.errors.first().map_or("there is no certificate in it".to_owned(), ToString::to_string);
            return Err(format!("{} cannot be used: {why}", path.display()).into());
        }
        all.extend(found.certs);
    }
    Ok(all)
}

#[cfg(target_os = "linux")]
mod system {
    use std::path::Path;

    use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
    use rustls_native_certs::{CertificateResult, load_certs_from_paths, load_native_certs};

    use super::{BoxError, CertificateDer};
    use crate::issuer::settings::CERTIFICATES;

    /// Where distributions keep them, one file each.
    const FOLDERS: [&str; 2] = ["/etc/ssl/certs", "/etc/pki/tls/certs"];

    pub(super) fn believing(
        builder: ConfigBuilder<ClientConfig, WantsVerifier>,
        added: Vec<CertificateDer<'static>>,
    ) -> Result<ClientConfig, BoxError> {
        let mut roots = RootCertStore::empty();
        for certificate in added {
            roots.add(certificate)?;
        }
        // A system without roots still reaches the servers that the settings vouch for.
        let found = the_systems();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            return Err("this system has no root certificates".into());
        }
        Ok(builder.with_root_certificates(roots).with_no_client_auth())
    }

    /// The library would take the environment's word for what the system's roots are.
    fn the_systems() -> CertificateResult {
        if CERTIFICATES.iter().all(|name| std::env::var_os(name).is_none()) {
            return load_native_certs();
        }
        let folder = FOLDERS.iter().map(Path::new).find(|folder| folder.is_dir());
        load_certs_from_paths(None, folder)
    }
}

/// The system says itself who is to be believed, by rules of its own: what an administrator has distrusted, and
/// roots that come when they are needed. What the settings add means the same as everywhere else.
#[cfg(not(target_os = "linux"))]
mod system {
    use std::sync::Arc;

    use rustls::{
        CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct, Error, RootCertStore,
        SignatureScheme, WantsVerifier,
        client::{
            WebPkiServerVerifier,
            danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        },
        pki_types::{ServerName, UnixTime},
    };
    use rustls_platform_verifier::Verifier;

    use super::{BoxError, CertificateDer};

    pub(super) fn believing(
        builder: ConfigBuilder<ClientConfig, WantsVerifier>,
        added: Vec<CertificateDer<'static>>,
    ) -> Result<ClientConfig, BoxError> {
        let provider = builder.crypto_provider().clone();
        let the_systems = Verifier::new(provider.clone())?;
        let verifier: Arc<dyn ServerCertVerifier> = if added.is_empty() {
            Arc::new(the_systems)
        } else {
            let mut roots = RootCertStore::empty();
            for certificate in added {
                roots.add(certificate)?;
            }
            let added = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
            Arc::new(Either { added, the_systems })
        };
        Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
    }

    /// Whom one of both believes. Signatures are for the same library to check, whoever vouches for the key.
    #[derive(Debug)]
    struct Either {
        added: Arc<WebPkiServerVerifier>,
        the_systems: Verifier,
    }

    impl ServerCertVerifier for Either {
        fn verify_server_cert(
            &self,
            end: &CertificateDer<'_>,
            between: &[CertificateDer<'_>],
            name: &ServerName<'_>,
            ocsp: &[u8],
            now: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            self.added.verify_server_cert(end, between, name, ocsp, now).or_else(|why| {
                let the_systems = self.the_systems.verify_server_cert(end, between, name, ocsp, now);
                // Who knows the issuer knows best what is wrong.
                let unknown = matches!(why, Error::InvalidCertificate(CertificateError::UnknownIssuer));
                the_systems.map_err(|theirs| if unknown { theirs } else { why })
            })
        }

        fn verify_tls12_signature(
            &self,
            message: &[u8],
            end: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            self.added.verify_tls12_signature(message, end, signed)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            end: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            self.added.verify_tls13_signature(message, end, signed)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.added.supported_verify_schemes()
        }
    }
}
