//! One remote's HTTP client: sends a request with its login, watches that bytes move, reads the answer.
//! Above: `http`, `tus`, `s3`, `notice`. Below: reqwest, `guard`, `tls`, `login`.
//!
//! Redirects are answers, never followed. Proxies of the environment are not used: through one, the address that was checked
//! would not be the one connected to.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderValue};
use reqwest::{Client, Method, Request, Response, StatusCode};
use url::Url;

use super::answer::{Answer, later, never};
use super::body::{Payload, Pulse};
use super::guard::{Guard, Lookup};
use super::login::Session;
use super::{DeliveryError, Progress, RemoteError, tls};
use crate::config::{RemoteSettings, RemoteUrl};

/// So much of an answer is read.
const ANSWER_BYTES: usize = 64 * 1024;
/// The same of an answer that is a list.
const LIST_BYTES: usize = 1024 * 1024;

/// The program's name in requests.
const AGENT: &str = concat!("wirechief/", env!("CARGO_PKG_VERSION"));

/// The client of one remote, shared by all its uploads.
pub(super) struct Web {
    client: Client,
    session: Session,
    idle: Duration,
}

/// One request, able to be sent more than once.
#[derive(Clone)]
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) payload: Payload,
}

impl Ask {
    pub(super) fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: HeaderMap::new(), payload: Payload::Empty }
    }

    /// Adds a header whose value comes from a template or a recording.
    pub(super) fn header(&mut self, name: &str, value: &str) -> Result<(), DeliveryError> {
        let wrong =
            || never(format!("{self}: the header {name} cannot be {:?}", super::answer::printable(value.as_bytes())));
        let name_read = reqwest::header::HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        let value = header_value(value).ok_or_else(wrong)?;
        self.headers.insert(name_read, value);
        Ok(())
    }
}

/// A header's value: no control characters; beyond ASCII it is sent as UTF-8.
pub(super) fn header_value(text: &str) -> Option<HeaderValue> {
    if text.chars().any(char::is_control) {
        return None;
    }
    HeaderValue::from_bytes(text.as_bytes()).ok()
}

impl std::fmt::Display for Ask {
    /// Method and URL without its query, in which there may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, shown_url(&self.url))
    }
}

/// A URL for messages.
pub(super) fn shown_url(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.to_string()
}

impl Web {
    /// A client for the host of `base`.
    ///
    /// # Errors
    /// See [`RemoteError`].
    pub(super) fn new(settings: &RemoteSettings, base: &Url, lookup: &Arc<dyn Lookup>) -> Result<Self, RemoteError> {
        Ok(Self {
            client: client(settings, base, lookup)?,
            session: Session::new(settings, lookup)?,
            idle: settings.idle_timeout,
        })
    }

    /// Sends `ask`; when the remote does not accept the token, once more with a new one where one can be had.
    pub(super) async fn send(&self, ask: &Ask, progress: Option<&dyn Progress>) -> Result<Answer, DeliveryError> {
        let (header, mark) = self.session.header(self.idle).await?;
        let answer = self.once(ask, header, progress).await?;
        if answer.status != StatusCode::UNAUTHORIZED || !self.session.renewable() {
            return Ok(answer);
        }
        self.session.forget(mark).await;
        let (header, _) = self.session.header(self.idle).await?;
        self.once(ask, header, progress).await
    }

    async fn once(
        &self,
        ask: &Ask,
        login: Option<HeaderValue>,
        progress: Option<&dyn Progress>,
    ) -> Result<Answer, DeliveryError> {
        let mut headers = ask.headers.clone();
        if let Some(login) = login {
            headers.insert(reqwest::header::AUTHORIZATION, login);
        }
        exchange(&self.client, &Ask { headers, ..ask.clone() }, self.idle, progress).await
    }
}

/// Makes the client of one host.
pub(super) fn client(settings: &RemoteSettings, base: &Url, lookup: &Arc<dyn Lookup>) -> Result<Client, RemoteError> {
    let port = base.port_or_known_default().unwrap_or(443);
    let guard = Guard::new(Arc::clone(lookup), settings.allow_addresses.clone(), port);
    let mut builder = Client::builder()
        .user_agent(AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .dns_resolver(guard)
        .connect_timeout(settings.connect_timeout)
        .tcp_nodelay(true);
    if base.scheme() == "https" {
        let tls = tls::client_config(&settings.name, settings.ca_file.as_deref())?;
        builder = builder.https_only(true).tls_backend_preconfigured(tls);
    } else {
        // never used: this client only speaks to loopback without TLS; it must not read the system's certificates for that
        builder = builder.tls_backend_preconfigured(tls::nobody(&settings.name)?);
    }
    builder.build().map_err(|source| RemoteError::Client { remote: settings.name.clone(), source })
}

/// One request and its answer; an error when for `idle` no byte has moved.
pub(super) async fn exchange(
    client: &Client,
    ask: &Ask,
    idle: Duration,
    progress: Option<&dyn Progress>,
) -> Result<Answer, DeliveryError> {
    let pulse = Arc::new(Pulse::default());
    let mut request = Request::new(ask.method.clone(), ask.url.clone());
    *request.headers_mut() = ask.headers.clone();
    if ask.method != Method::GET && ask.method != Method::HEAD {
        request.headers_mut().insert(CONTENT_LENGTH, ask.payload.len().into());
        *request.body_mut() = Some(ask.payload.body(&pulse));
    }
    let told = |bytes: u64| {
        if let Some(progress) = progress.filter(|_| bytes > 0) {
            progress.sent(bytes);
        }
    };
    let mut whole = std::pin::pin!(async {
        let response = client.execute(request).await.map_err(|error| broken(ask, &error))?;
        if !response.status().is_success() {
            // refused before all of it was sent: the rest would be for nothing
            pulse.hold();
        }
        let answer = read(ask, response).await;
        pulse.end();
        answer
    });
    loop {
        tokio::select! {
            answer = &mut whole => {
                told(pulse.rest());
                return answer;
            }
            bytes = pulse.moved() => told(bytes),
            () = tokio::time::sleep(idle) => {
                return Err(later(format!("{ask}: nothing moved for {} s", idle.as_secs_f32())));
            }
        }
    }
}

async fn read(ask: &Ask, mut response: Response) -> Result<Answer, DeliveryError> {
    let (status, headers) = (response.status(), response.headers().clone());
    let most = if ask.method == Method::GET { LIST_BYTES } else { ANSWER_BYTES };
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| broken(ask, &error))? {
        let room = most.saturating_sub(body.len());
        body.extend_from_slice(piece.get(..room).unwrap_or(&piece));
        if body.len() >= most {
            break;
        }
    }
    Ok(Answer { asked: ask.to_string(), status, headers, body })
}

/// What went wrong on the way, down to its cause: `connection refused`, `invalid peer certificate: Expired`.
fn broken(ask: &Ask, error: &reqwest::Error) -> DeliveryError {
    let mut causes: Vec<String> = Vec::new();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        // each layer likes to repeat the one below
        causes.retain(|above| !above.contains(&text) && !text.contains(above.as_str()));
        causes.push(text);
        source = cause.source();
    }
    let cause = causes.last().cloned().unwrap_or_else(|| "failed".to_owned());
    let doing = if error.is_connect() { "cannot connect: " } else { "" };
    later(format!("{ask}: {doing}{cause}"))
}

/// The URL of a setting with the facts in its path and query; its host stays what it is.
pub(super) fn render_url(url: &RemoteUrl, facts: &serde_json::Value) -> Result<Url, DeliveryError> {
    let shown = shown_place(url);
    let rest = url.rest.render(facts).map_err(|why| never(format!("{shown}: {why}")))?;
    let path = rest.split('?').next().unwrap_or_default();
    if path.split('/').any(|step| step == "." || step == "..") {
        // A value keeps its dots, and a URL takes such a step as one upwards (RFC 3986 §5.2.4).
        return Err(never(format!("{shown}: would lead to another place")));
    }
    let made = url.origin.join(&rest).map_err(|error| never(format!("{shown}: {error}")))?;
    if same_host(&made, &url.origin) { Ok(made) } else { Err(never(format!("{shown}: would lead to another host"))) }
}

/// Whether a URL that a remote named is one of its own host, with no login in it.
pub(super) fn same_host(url: &Url, own: &Url) -> bool {
    url.origin() == own.origin() && url.username().is_empty() && url.password().is_none()
}

/// A remote's URL as errors name it: what follows `?` may be a key.
pub(super) fn shown_place(url: &RemoteUrl) -> String {
    url.to_string().split('?').next().unwrap_or_default().to_owned()
}
