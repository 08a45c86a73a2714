//! `[serve]`: the recordings' own web pages, and the receiver of what other machines deliver.
//! Above: `receiver` obeys it, `rec serve` and `rec link` read it. Below: `read` fills it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::ConfigError;
use super::units::{parse_duration, parse_size};
use super::value::{Section, Value};

/// `[serve]`. Files of secrets are only named here: who does not serve needs no access to them.
#[derive(Clone, Debug, PartialEq)]
pub struct ServeSettings {
    /// Where pages and deliveries are taken; an address other than this machine's own demands TLS and logins.
    pub bind: SocketAddr,
    /// The address of the server as others see it, in links: `https://pbx.example:8443`.
    pub base: Option<String>,
    /// Who may see the pages: lines of `NAME:HASH` or `NAME:HASH:WORD,…`; what the words narrow is told in `receiver`.
    pub users_file: Option<PathBuf>,
    /// The token of programs that deliver, `Authorization: Bearer`; it opens no page.
    pub token_file: Option<PathBuf>,
    /// The token of programs that read pages and recordings; it delivers nothing.
    pub read_token_file: Option<PathBuf>,
    /// The key that deliveries must be signed with, as standard webhooks are.
    pub signing_key_file: Option<PathBuf>,
    /// The key that receipts are signed with; absent: they are not.
    pub receipt_key_file: Option<PathBuf>,
    /// The key that links are signed with, relative to the state folder; made at first use.
    pub link_key_file: PathBuf,
    /// Certificate chain, PEM.
    pub tls_certificate: Option<PathBuf>,
    /// Its key, PEM.
    pub tls_key: Option<PathBuf>,
    /// One line of JSON per download, delivery and refusal, relative to the state folder.
    pub log: PathBuf,
    /// The largest recording that is taken, in bytes.
    pub largest: u64,
    /// An upload with which nobody has gone on for so long is removed.
    pub upload_expires: Duration,
    /// Bytes of the disk that stay free whatever is delivered: calls are recorded beside it.
    pub keep_free: u64,
    /// Origins that a notice may name to be fetched from: `https://pbx.example:8443`.
    pub pull_from: Vec<String>,
    /// Certificates that vouch for these besides the usual ones, PEM.
    pub pull_ca_file: Option<PathBuf>,
}

impl ServeSettings {
    /// Where it listens when nothing is said.
    pub const USUAL_BIND: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
}

impl Default for ServeSettings {
    fn default() -> Self {
        Self {
            bind: Self::USUAL_BIND,
            base: None,
            users_file: None,
            token_file: None,
            read_token_file: None,
            signing_key_file: None,
            receipt_key_file: None,
            link_key_file: PathBuf::from("link.key"),
            tls_certificate: None,
            tls_key: None,
            log: PathBuf::from("downloads.jsonl"),
            largest: 4 << 30,
            upload_expires: Duration::from_secs(86_400),
            keep_free: 64 << 20,
            pull_from: Vec::new(),
            pull_ca_file: None,
        }
    }
}

/// Reads the section; files are relative to `base`.
pub(super) fn serve(settings: &mut ServeSettings, section: &Section<'_>, base: &Path) -> Result<(), ConfigError> {
    let file = |value: &Value<'_>| path(value).map(|file| Some(base.join(file)));
    section.set("bind", &mut settings.bind, |value| {
        value.parse(|text| text.parse().map_err(|_| format!("`{text}` is no address (write 127.0.0.1:8080)")))
    })?;
    section.set("base", &mut settings.base, |value| value.parse(origin).map(Some))?;
    section.set("users_file", &mut settings.users_file, file)?;
    section.set("token_file", &mut settings.token_file, file)?;
    section.set("read_token_file", &mut settings.read_token_file, file)?;
    section.set("signing_key_file", &mut settings.signing_key_file, file)?;
    section.set("receipt_key_file", &mut settings.receipt_key_file, file)?;
    section.set("link_key_file", &mut settings.link_key_file, path)?;
    section.set("tls_certificate", &mut settings.tls_certificate, file)?;
    section.set("tls_key", &mut settings.tls_key, file)?;
    section.set("log", &mut settings.log, path)?;
    section.set("largest", &mut settings.largest, |value| value.parse(parse_size))?;
    section.set("upload_expires", &mut settings.upload_expires, |value| match value.parse(parse_duration)? {
        none if none.is_zero() => Err(value.bad("must not be zero")),
        time => Ok(time),
    })?;
    section.set("keep_free", &mut settings.keep_free, |value| value.parse(parse_size))?;
    section.set("pull_from", &mut settings.pull_from, |value| value.list(|item| item.parse(origin)))?;
    section.set("pull_ca_file", &mut settings.pull_ca_file, file)?;
    match (&settings.tls_certificate, &settings.tls_key) {
        (Some(_), None) => Err(section.missing("tls_key")),
        (None, Some(_)) => Err(section.missing("tls_certificate")),
        _ => Ok(()),
    }
}

fn path(value: &Value<'_>) -> Result<PathBuf, ConfigError> {
    match value.str()? {
        "" => Err(value.bad("must not be empty")),
        text => Ok(PathBuf::from(text)),
    }
}

/// Scheme, host and port, nothing behind them: `https://pbx.example:8443`; plain HTTP only to this machine.
fn origin(text: &str) -> Result<String, String> {
    let wrong = || format!("`{text}` is no origin (write https://pbx.example:8443)");
    let url = url::Url::parse(text).map_err(|_| wrong())?;
    let is_local = match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => return Err(wrong()),
    };
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    match url.scheme() {
        "https" if is_bare => Ok(url.origin().ascii_serialization()),
        "http" if is_bare && is_local => Ok(url.origin().ascii_serialization()),
        "http" if is_bare => Err(format!("`{text}`: without TLS only this machine can be spoken to")),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::origin;

    #[test]
    fn an_origin_is_a_scheme_a_host_and_a_port() {
        assert_eq!(origin("https://pbx.example/").as_deref(), Ok("https://pbx.example"));
        assert_eq!(origin("http://127.0.0.1:8080").as_deref(), Ok("http://127.0.0.1:8080"));
        for wrong in ["pbx.example", "http://pbx.example", "https://pbx.example/x", "ftp://pbx.example", "https://a@b/"]
        {
            assert!(origin(wrong).is_err(), "{wrong}");
        }
    }
}
