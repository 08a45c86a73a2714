//! Who we say we are: the `Authorization` header, and the tokens of OAuth 2.0 that are fetched and kept for it.
//! Above: `web`. Below: `web::exchange` for the token's own request.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::HeaderValue;
use reqwest::{Client, Method};
use tokio::sync::Mutex;

use super::answer::{Answer, later};
use super::body::Payload;
use super::guard::Lookup;
use super::web::{Ask, client, exchange, header_value, render_url};
use super::{DeliveryError, RemoteError};
use crate::config::{Login, OAuth2Settings, RemoteSettings, Secret};

/// A token is no longer used this long before it ends.
const MARGIN: Duration = Duration::from_secs(30);

/// The longest time a token is kept where the giver does not say.
const USUAL_LIFE: Duration = Duration::from_secs(300);

/// How requests of one remote are signed in.
pub(super) enum Session {
    /// Always the same header, or none.
    Fixed(Option<HeaderValue>),
    /// A token that is fetched.
    Fetched(Box<Fetched>),
}

pub(super) struct Fetched {
    settings: OAuth2Settings,
    client: Client,
    token: Mutex<Option<Token>>,
}

struct Token {
    header: HeaderValue,
    good_until: Instant,
    number: u64,
}

impl Session {
    pub(super) fn new(settings: &RemoteSettings, lookup: &Arc<dyn Lookup>) -> Result<Self, RemoteError> {
        let bad = || RemoteError::Login { remote: settings.name.clone() };
        Ok(match &settings.login {
            Login::None => Self::Fixed(None),
            Login::Token { scheme, token } => Self::Fixed(Some(header(scheme, token.expose()).ok_or_else(bad)?)),
            Login::Basic { user, password } => {
                let pair = Secret::new(format!("{user}:{}", password.expose()));
                let coded = Secret::new(BASE64_STANDARD.encode(pair.expose()));
                Self::Fixed(Some(header("Basic", coded.expose()).ok_or_else(bad)?))
            }
            Login::OAuth2(oauth2) => Self::Fetched(Box::new(Fetched {
                client: client(settings, &oauth2.token_url.origin, lookup)?,
                settings: OAuth2Settings::clone(oauth2),
                token: Mutex::new(None),
            })),
        })
    }

    /// Whether another token can be had.
    pub(super) fn renewable(&self) -> bool {
        matches!(self, Self::Fetched(_))
    }

    /// The header in force, and the token's number for [`Self::forget`]. Uploads that need a token at once wait for one request.
    pub(super) async fn header(&self, idle: Duration) -> Result<(Option<HeaderValue>, u64), DeliveryError> {
        let fetched = match self {
            Self::Fixed(header) => return Ok((header.clone(), 0)),
            Self::Fetched(fetched) => fetched,
        };
        let mut kept = fetched.token.lock().await;
        let number = match kept.as_ref() {
            Some(token) if token.good_until > Instant::now() => {
                return Ok((Some(token.header.clone()), token.number));
            }
            Some(token) => token.number + 1,
            None => 1,
        };
        let token = fetched.fetch(idle, number).await?;
        let header = token.header.clone();
        *kept = Some(token);
        Ok((Some(header), number))
    }

    /// The token `number` was not accepted; a newer one is kept.
    pub(super) async fn forget(&self, number: u64) {
        if let Self::Fetched(fetched) = self {
            let mut kept = fetched.token.lock().await;
            if let Some(token) = kept.as_mut().filter(|token| token.number == number) {
                token.good_until = Instant::now();
            }
        }
    }
}

impl Fetched {
    /// RFC 6749 §4.4.2 with the client's secret in the form (§2.3.1), or §6 where there is a refresh token.
    async fn fetch(&self, idle: Duration, number: u64) -> Result<Token, DeliveryError> {
        let settings = &self.settings;
        let mut ask = Ask::new(Method::POST, render_url(&settings.token_url, &serde_json::Value::Null)?);
        ask.header("content-type", "application/x-www-form-urlencoded")?;
        ask.header("accept", "application/json")?;
        ask.payload = Payload::Bytes(self.form().into_bytes().into());
        let asked_at = Instant::now();
        let answer = exchange(&self.client, &ask, idle, None).await?;
        let json = answer.json().filter(|_| answer.status.is_success());
        if json.is_none() && answer.status.is_success() {
            // Not quoted: there may be a token in it.
            return Err(later(format!("no token: {ask}: the answer is no JSON")));
        }
        let Some(json) = json else {
            // a wrong secret can be mended without touching the recording; before it is cut short, so that no half of one is left
            let body = self.hidden(&String::from_utf8_lossy(&answer.body)).into_bytes();
            return Err(later(format!("no token: {}", Answer { body, ..answer }.failure().what)));
        };
        let token = json.get("access_token").and_then(serde_json::Value::as_str);
        let header = token.and_then(|token| header(&settings.scheme, token));
        let Some(header) = header else { return Err(later(format!("{ask}: the answer holds no usable token"))) };
        let life = json.get("expires_in").and_then(serde_json::Value::as_u64).map_or(USUAL_LIFE, Duration::from_secs);
        let life = life.min(Duration::from_secs(24 * 3_600));
        Ok(Token { header, good_until: asked_at + life.saturating_sub(MARGIN.min(life / 2)), number })
    }

    /// A text without our secrets, which an answer may repeat as they were sent.
    fn hidden(&self, text: &str) -> String {
        let settings = &self.settings;
        let secrets = [Some(&settings.client_secret), settings.refresh_token.as_ref()];
        let mut text = text.to_owned();
        for secret in secrets.into_iter().flatten().map(Secret::expose).filter(|secret| !secret.is_empty()) {
            let coded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            text = text.replace(secret, "***").replace(&coded, "***");
        }
        text
    }

    fn form(&self) -> String {
        let settings = &self.settings;
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        match &settings.refresh_token {
            Some(token) => form.append_pair("grant_type", "refresh_token").append_pair("refresh_token", token.expose()),
            None => form.append_pair("grant_type", "client_credentials"),
        };
        form.append_pair("client_id", &settings.client_id);
        form.append_pair("client_secret", settings.client_secret.expose());
        if let Some(scope) = &settings.scope {
            form.append_pair("scope", scope);
        }
        form.finish()
    }
}

/// A header that no log shows.
fn header(scheme: &str, credentials: &str) -> Option<HeaderValue> {
    let text = Secret::new(format!("{scheme} {credentials}"));
    let mut value = header_value(text.expose())?;
    value.set_sensitive(true);
    Some(value)
}
