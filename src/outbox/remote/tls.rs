//! Whom we trust: the system's authorities, or those of `ca_file` alone. There is no way to switch the check off.
//! Above: `web`. Below: rustls with ring.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::RemoteError;

/// The settings of TLS connections to a remote.
///
/// # Errors
/// `ca_file` cannot be read or holds no certificate; without one, the system trusts nobody.
pub(super) fn client_config(remote: &str, ca_file: Option<&Path>) -> Result<ClientConfig, RemoteError> {
    let roots = match ca_file {
        Some(path) => Arc::new(private_roots(remote, path)?),
        None => system_roots(remote)?,
    };
    trusting(remote, roots)
}

/// For clients that never speak TLS: trusts no certificate at all.
///
/// # Errors
/// None that can be met.
pub(super) fn nobody(remote: &str) -> Result<ClientConfig, RemoteError> {
    trusting(remote, Arc::new(RootCertStore::empty()))
}

fn trusting(remote: &str, roots: Arc<RootCertStore>) -> Result<ClientConfig, RemoteError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|source| RemoteError::Tls { remote: remote.to_owned(), source })?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn private_roots(remote: &str, path: &Path) -> Result<RootCertStore, RemoteError> {
    let wrong = |what: String| RemoteError::CaFile { remote: remote.to_owned(), path: path.to_owned(), what };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))? {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    if roots.is_empty() { Err(wrong("holds no certificate".to_owned())) } else { Ok(roots) }
}

/// Read once: it takes tens of milliseconds.
fn system_roots(remote: &str) -> Result<Arc<RootCertStore>, RemoteError> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let roots = ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(roots)
    });
    if roots.is_empty() { Err(RemoteError::NoAuthorities { remote: remote.to_owned() }) } else { Ok(Arc::clone(roots)) }
}
