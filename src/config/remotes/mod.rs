//! `[remotes.NAME]`: where finished recordings go. Filled by `read`, shown by `show`; `outbox::remote` makes deliverers of it.

mod read;
mod show;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

pub(super) use read::remote;

use super::template::Template;
use super::{Match, Secret};

/// One remote.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteSettings {
    /// The NAME of `[remotes.NAME]`.
    pub name: String,
    /// How recordings get there.
    pub kind: RemoteKind,
    /// When they do.
    pub when: PushWhen,
    /// Uploads at once.
    pub parallel: u32,
    /// How long after its first failed attempt a recording is parked.
    pub give_up_after: Duration,
    /// How long names are looked up, connected to and greeted (TLS).
    pub connect_timeout: Duration,
    /// How long no byte may move.
    pub idle_timeout: Duration,
    /// How long one delivery may take; zero: as long as bytes move.
    pub timeout: Duration,
    /// Addresses allowed although they are private, link-local or the like.
    pub allow_addresses: Vec<Match>,
    /// The authority that signed the remote's certificate, in place of those the system trusts.
    pub ca_file: Option<PathBuf>,
    /// The request, for the kinds that speak HTTP to a page of one's own choice.
    pub request: RequestSettings,
    /// Who we say we are.
    pub login: Login,
    /// Key of the signature over what is sent.
    pub signing_key: Option<Secret>,
    /// What counts as delivered.
    pub receipt: ReceiptSettings,
    /// `[remotes.NAME.s3]`
    pub s3: Option<S3Settings>,
    /// The folder of `[remotes.NAME.folder]`.
    pub folder: Option<PathBuf>,
    /// `[remotes.NAME.notice]`
    pub notice: Option<NoticeSettings>,
    /// The files that secrets were read from; whoever uses them checks that others cannot read them.
    pub secret_files: Vec<PathBuf>,
}

impl RemoteSettings {
    /// A remote with nothing but its name set.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind: RemoteKind::Http,
            when: PushWhen::Ended,
            parallel: 4,
            give_up_after: Duration::from_secs(24 * 3_600),
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            timeout: Duration::from_secs(3_600),
            allow_addresses: Vec::new(),
            ca_file: None,
            request: RequestSettings::default(),
            login: Login::None,
            signing_key: None,
            receipt: ReceiptSettings::default(),
            s3: None,
            folder: None,
            notice: None,
            secret_files: Vec::new(),
        }
    }
}

/// How recordings get to a remote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RemoteKind {
    /// One HTTP request with the recording and its manifest.
    #[default]
    Http,
    /// Resumable uploads, tus 1.0.
    Tus,
    /// An S3-compatible store.
    S3,
    /// A folder of this machine.
    Folder,
    /// A notice with a signed link; the other side fetches.
    Notice,
}

impl RemoteKind {
    /// All of them, in the order of the manual.
    pub const ALL: [Self; 5] = [Self::Http, Self::Tus, Self::S3, Self::Folder, Self::Notice];

    /// As written in the settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tus => "tus",
            Self::S3 => "s3",
            Self::Folder => "folder",
            Self::Notice => "notice",
        }
    }
}

/// When recordings are pushed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PushWhen {
    /// As soon as one closes.
    #[default]
    Ended,
    /// Only by `rec push`.
    Manual,
}

impl PushWhen {
    /// As written in the settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Manual => "manual",
        }
    }
}

/// The HTTP request of a remote.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestSettings {
    /// Where to; scheme, host and port are fixed, path and query may hold templates.
    pub url: Option<RemoteUrl>,
    /// How the recording is sent.
    pub method: RequestMethod,
    /// Further headers.
    pub headers: BTreeMap<String, Template>,
    /// JSON in place of the manifest.
    pub body: Option<Template>,
    /// Further fields of the form, by name.
    pub fields: BTreeMap<String, Template>,
    /// Name of the form's part with the audio.
    pub recording_part: String,
    /// What the file is called in the form; its own name where nothing is said.
    pub recording_name: Option<Template>,
    /// Name of the form's part with the JSON; empty: there is none.
    pub manifest_part: String,
    /// Asked before an attempt is repeated: whether the recording is there already.
    pub exists_url: Option<RemoteUrl>,
    /// JSON pointer to the remote's own id in that answer; where it leads nowhere, the recording is not there.
    pub exists_id: Option<String>,
    /// JSON pointer to a list in that answer: `exists_id` is then looked for in the one entry that fits.
    pub exists_list: Option<String>,
    /// What an entry's keys have to say.
    pub exists_match: BTreeMap<String, Template>,
    /// JSON pointer to what says that the answer goes on: the next page's URL, or what `exists_url` makes one of.
    pub exists_next: Option<String>,
}

impl Default for RequestSettings {
    fn default() -> Self {
        Self {
            url: None,
            method: RequestMethod::Post,
            headers: BTreeMap::new(),
            body: None,
            fields: BTreeMap::new(),
            recording_part: "recording".to_owned(),
            recording_name: None,
            manifest_part: "manifest".to_owned(),
            exists_url: None,
            exists_id: None,
            exists_list: None,
            exists_match: BTreeMap::new(),
            exists_next: None,
        }
    }
}

/// How a recording is sent by HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestMethod {
    /// As a part of a form.
    Post,
    /// As the whole body.
    Put,
}

impl RequestMethod {
    /// As written in the settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}

/// A URL whose host is fixed: plain HTTP only to loopback, no login in it, templates only in path and query.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteUrl {
    /// `https://host:port`, what no reply may change.
    pub origin: url::Url,
    /// Path and query.
    pub rest: Template,
}

/// How a remote knows us.
#[derive(Clone, Debug, PartialEq)]
pub enum Login {
    /// Not at all.
    None,
    /// A token in `Authorization`, after the scheme.
    Token {
        /// Usually `Bearer`.
        scheme: String,
        /// The token.
        token: Secret,
    },
    /// User and password (RFC 7617).
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: Secret,
    },
    /// A token that is fetched (RFC 6749 §4.4, or §6 with a refresh token).
    OAuth2(Box<OAuth2Settings>),
}

/// `oauth2 = { … }`
#[derive(Clone, Debug, PartialEq)]
pub struct OAuth2Settings {
    /// Where tokens are given out.
    pub token_url: RemoteUrl,
    /// Our name there.
    pub client_id: String,
    /// Our secret there.
    pub client_secret: Secret,
    /// What the token is for.
    pub scope: Option<String>,
    /// Long-lived token that is exchanged for short ones.
    pub refresh_token: Option<Secret>,
    /// What stands before the token in `Authorization`.
    pub scheme: String,
}

/// What counts as delivered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReceiptSettings {
    /// How the answer is read.
    pub form: ReceiptForm,
    /// JSON pointer (RFC 6901) to the remote's own id; when it is written and leads nowhere, the answer is no receipt.
    pub id_pointer: Option<String>,
    /// Key of the receipt's signature.
    pub key: Option<Secret>,
}

/// How the answer to a delivery is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReceiptForm {
    /// A JSON object with `id`, `sha256`, `size`, `received_at` and perhaps `signature`.
    #[default]
    Json,
    /// 2xx is enough.
    Status,
}

impl ReceiptForm {
    /// As written in the settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Status => "status",
        }
    }
}

/// `[remotes.NAME.s3]`
#[derive(Clone, Debug, PartialEq)]
pub struct S3Settings {
    /// The bucket.
    pub bucket: String,
    /// The region, part of the signature.
    pub region: String,
    /// Where the store is; its host gets the bucket's name before it unless `path_style`.
    pub endpoint: RemoteUrl,
    /// The public half of the key.
    pub access_key_id: String,
    /// The other half.
    pub secret: Secret,
    /// What object names begin with.
    pub prefix: String,
    /// Whether the bucket stands in the path.
    pub path_style: bool,
    /// A larger recording goes in parts of this size, in bytes.
    pub part_size: u64,
}

/// `[remotes.NAME.notice]`
#[derive(Clone, Debug, PartialEq)]
pub struct NoticeSettings {
    /// What links begin with: where `rec serve` is reached by the other side.
    pub link_base: url::Url,
    /// Key of the links' signature, the one `rec serve` checks with.
    pub link_key: Secret,
    /// How long a link holds.
    pub link_expires: Duration,
}

#[cfg(test)]
mod tests;
