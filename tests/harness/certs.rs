//! Certificates of a private authority, good ones and each kind of bad one.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// What is wrong with a server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    SelfSigned,
    Expired,
    NotYetValid,
    WrongName,
    OtherAuthority,
}

/// An authority whose certificate a client can be given.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("an authority");
        Self { pem: certificate.pem(), issuer: Issuer::new(params, key) }
    }

    /// For `ca_file`.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// The settings of a server at 127.0.0.1 and `localhost`.
    pub(crate) fn server(&self, flaw: Flaw) -> rustls::ServerConfig {
        let key = KeyPair::generate().expect("a key");
        let names = match flaw {
            Flaw::WrongName => vec!["elsewhere.example".to_owned()],
            _ => vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
        };
        let mut params = CertificateParams::new(names).expect("good names");
        match flaw {
            Flaw::Expired => params.not_after = date_time_ymd(2020, 1, 1),
            Flaw::NotYetValid => params.not_before = date_time_ymd(4000, 1, 1),
            _ => {}
        }
        let certificate = match flaw {
            Flaw::SelfSigned => params.self_signed(&key),
            Flaw::OtherAuthority => params.signed_by(&key, &Self::new().issuer),
            _ => params.signed_by(&key, &self.issuer),
        };
        let chain = vec![CertificateDer::clone(certificate.expect("a certificate").der())];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = rustls::crypto::ring::default_provider();
        rustls::ServerConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .expect("TLS 1.3 and 1.2")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a certificate that fits its key")
    }
}
