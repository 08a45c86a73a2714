//! Reads one `[remotes.NAME]`, key by key over what an earlier file said, and then looks at the whole.

use std::collections::BTreeMap;

use url::{Host, Url};

use super::super::error::{ConfigError, Problem};
use super::super::read::{Files, name, nonempty, path, secret_file};
use super::super::template::{Form, Template};
use super::super::units::{parse_duration, parse_size};
use super::super::value::{Section, Value};
use super::super::{Match, Secret};
use super::*;

/// Reads the section of the remote `key`.
pub(in super::super) fn remote(
    remotes: &mut BTreeMap<String, RemoteSettings>,
    key: &str,
    section: &Section<'_>,
    files: Files<'_>,
) -> Result<(), ConfigError> {
    let mut remote = remotes.remove(key).unwrap_or_else(|| RemoteSettings::new(key));
    section.set("kind", &mut remote.kind, |value| value.word(&RemoteKind::ALL.map(|kind| (kind.as_str(), kind))))?;
    let times = [PushWhen::Ended, PushWhen::Manual].map(|when| (when.as_str(), when));
    section.set("when", &mut remote.when, |value| value.word(&times))?;
    section.set("parallel", &mut remote.parallel, |value| value.integer(1..=8))?;
    section.set("give_up_after", &mut remote.give_up_after, |value| value.parse(parse_duration))?;
    section.set("connect_timeout", &mut remote.connect_timeout, some_time)?;
    section.set("idle_timeout", &mut remote.idle_timeout, |value| match some_time(value)? {
        // a push gives up then, whatever the remote
        long if long > Duration::from_secs(60) => Err(value.bad("at most 60s")),
        time => Ok(time),
    })?;
    section.set("timeout", &mut remote.timeout, |value| value.parse(parse_duration))?;
    section.set("allow_addresses", &mut remote.allow_addresses, |value| {
        value.list(|item| item.parse(str::parse::<Match>))
    })?;
    section.set("ca_file", &mut remote.ca_file, |value| Ok(Some(files.base.join(path(value)?))))?;
    request(&mut remote.request, section)?;
    let mut secrets = Secrets { files, used: &mut remote.secret_files };
    secrets.set(section, "signing_key_file", &mut remote.signing_key)?;
    receipt(&mut remote.receipt, section, &mut secrets)?;
    login(&mut remote.login, section, &mut secrets)?;
    if let Some(table) = section.section("s3")? {
        remote.s3 = Some(s3(remote.s3.take(), &table, &mut secrets)?);
        table.finish()?;
    }
    if let Some(table) = section.section("folder")? {
        let folder = table.get("path").ok_or_else(|| table.missing("path"))?;
        remote.folder = Some(files.base.join(path(&folder)?));
        table.finish()?;
    }
    if let Some(table) = section.section("notice")? {
        remote.notice = Some(notice(remote.notice.take(), &table, &mut secrets)?);
        table.finish()?;
    }
    whole(&remote, section)?;
    remotes.insert(key.to_owned(), remote);
    Ok(())
}

/// What the kind needs is there, and nothing stands there that it has no use for.
fn whole(remote: &RemoteSettings, section: &Section<'_>) -> Result<(), ConfigError> {
    use RemoteKind::{Folder, Http, Notice, S3, Tus};
    let kind = remote.kind;
    let speaks = matches!(kind, Http | Tus | Notice);
    if speaks && remote.request.url.is_none() {
        return Err(section.missing("url"));
    }
    for (key, needed, there) in [
        ("s3", kind == S3, remote.s3.is_some()),
        ("folder", kind == Folder, remote.folder.is_some()),
        ("notice", kind == Notice, remote.notice.is_some()),
    ] {
        if needed && !there {
            return Err(section.missing(key));
        }
    }
    let useless = |kinds: &[RemoteKind]| !kinds.contains(&kind);
    for (key, kinds) in [
        ("s3", &[S3][..]),
        ("folder", &[Folder]),
        ("notice", &[Notice]),
        ("url", &[Http, Tus, Notice]),
        ("headers", &[Http, Tus, Notice]),
        ("method", &[Http]),
        ("body", &[Http, Notice]),
        ("fields", &[Http]),
        ("recording_part", &[Http]),
        ("recording_name", &[Http]),
        ("manifest_part", &[Http]),
        ("exists_url", &[Http]),
        ("exists_id", &[Http]),
        ("exists_list", &[Http]),
        ("exists_match", &[Http]),
        ("exists_next", &[Http]),
        ("token_file", &[Http, Tus, Notice]),
        ("basic_user", &[Http, Tus, Notice]),
        ("oauth2", &[Http, Tus, Notice]),
        ("signing_key_file", &[Http, Tus, Notice]),
        ("receipt", &[Http, Tus, Notice]),
        ("receipt_id", &[Http]),
        ("receipt_key_file", &[Http, Tus, Notice]),
        ("ca_file", &[Http, Tus, Notice, S3]),
        ("allow_addresses", &[Http, Tus, Notice, S3]),
    ] {
        if let Some(value) = section.get(key).filter(|_| useless(kinds)) {
            return Err(value.bad(format!("a remote of kind \"{}\" has no use for it", kind.as_str())));
        }
    }
    for key in ["receipt_id", "exists_id"] {
        if let Some(value) = section.get(key).filter(|_| remote.receipt.form == ReceiptForm::Json) {
            return Err(value.bad("an id is enough only with receipt = \"status\""));
        }
    }
    let is_listed = remote.request.exists_list.is_some();
    if is_listed && remote.request.exists_match.is_empty() {
        return Err(section.missing("exists_match"));
    }
    for (key, wanted) in [("exists_list", "exists_id"), ("exists_match", "exists_list")] {
        let there = if key == "exists_list" { remote.request.exists_id.is_some() } else { is_listed };
        if section.get(key).is_some() && !there {
            return Err(section.missing(wanted));
        }
    }
    if section.get("exists_next").is_some() && remote.request.exists_id.is_none() {
        return Err(section.missing("exists_id"));
    }
    if let Some(value) = section.get("connect_timeout").filter(|_| remote.connect_timeout > remote.idle_timeout) {
        return Err(value.bad("longer than idle_timeout, which ends it first"));
    }
    let form = ["fields", "recording_part", "recording_name", "manifest_part", "body"];
    let form = form.into_iter().filter(|_| remote.request.method == RequestMethod::Put && kind == Http);
    match form.filter_map(|key| section.get(key)).next() {
        Some(value) => Err(value.bad("PUT sends the recording alone, without a form")),
        None => Ok(()),
    }
}

fn request(request: &mut RequestSettings, section: &Section<'_>) -> Result<(), ConfigError> {
    section.set("url", &mut request.url, |value| value.parse(remote_url).map(Some))?;
    section.set("exists_url", &mut request.exists_url, |value| value.parse(paged_url).map(Some))?;
    section.set("exists_id", &mut request.exists_id, pointer)?;
    section.set("exists_list", &mut request.exists_list, pointer)?;
    section.set("exists_match", &mut request.exists_match, |value| templates(value, section.name(), part_name))?;
    section.set("exists_next", &mut request.exists_next, pointer)?;
    let methods = [RequestMethod::Post, RequestMethod::Put].map(|method| (method.as_str(), method));
    section.set("method", &mut request.method, |value| value.word(&methods))?;
    section.set("headers", &mut request.headers, |value| templates(value, section.name(), header_name))?;
    section.set("fields", &mut request.fields, |value| templates(value, section.name(), part_name))?;
    section.set("body", &mut request.body, |value| value.block().and_then(|text| json(value, &text)).map(Some))?;
    section.set("recording_part", &mut request.recording_part, |value| {
        let text = nonempty(value)?;
        value.parse(part_name).map(|()| text.to_owned())
    })?;
    section.set("recording_name", &mut request.recording_name, |value| {
        value.parse(|text| Template::parse(text, Form::Line)).map(Some)
    })?;
    section.set("manifest_part", &mut request.manifest_part, |value| value.parse(part_name).and_then(|()| value.text()))
}

fn json(value: &Value<'_>, text: &str) -> Result<Template, ConfigError> {
    Template::parse(text, Form::Json).map_err(|why| value.bad(why))
}

/// A table of templates, one line each.
fn templates(
    value: &Value<'_>,
    parent: &str,
    name_is: fn(&str) -> Result<(), String>,
) -> Result<BTreeMap<String, Template>, ConfigError> {
    let table = value.section(parent)?;
    let mut templates = BTreeMap::new();
    for (name, value) in table.entries() {
        name_is(name).map_err(|why| value.bad(why))?;
        templates.insert(name.to_owned(), value.parse(|text| Template::parse(text, Form::Line))?);
    }
    Ok(templates)
}

/// A token of RFC 9110 §5.6.2 that is not ours to send.
fn header_name(name: &str) -> Result<(), String> {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(token) {
        return Err(format!("`{name}` is no name of a header"));
    }
    let ours = ["authorization", "host", "content-length", "transfer-encoding", "connection", "idempotency-key"];
    match ours.iter().find(|own| name.eq_ignore_ascii_case(own)) {
        Some(own) => Err(format!("`{own}` is not set here")),
        None => Ok(()),
    }
}

/// What may stand between the quotes of a form's part.
fn part_name(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.[]".contains(c);
    if name.chars().all(plain) { Ok(()) } else { Err("a part's name is made of letters, digits and - _ . [ ]".into()) }
}

fn receipt(
    receipt: &mut ReceiptSettings,
    section: &Section<'_>,
    secrets: &mut Secrets<'_, '_>,
) -> Result<(), ConfigError> {
    let forms = [ReceiptForm::Json, ReceiptForm::Status].map(|form| (form.as_str(), form));
    section.set("receipt", &mut receipt.form, |value| value.word(&forms))?;
    section.set("receipt_id", &mut receipt.id_pointer, pointer)?;
    secrets.set(section, "receipt_key_file", &mut receipt.key)
}

fn pointer(value: &Value<'_>) -> Result<Option<String>, ConfigError> {
    match value.str()? {
        text if text.starts_with('/') => Ok(Some(text.to_owned())),
        _ => Err(value.bad("is a JSON pointer, such as /id or /data/0/id")),
    }
}

fn login(login: &mut Login, section: &Section<'_>, secrets: &mut Secrets<'_, '_>) -> Result<(), ConfigError> {
    let ways = ["token_file", "basic_user", "oauth2"];
    let given: Vec<_> = ways.into_iter().filter_map(|key| section.get(key)).collect();
    if let [_, second, ..] = given.as_slice() {
        return Err(second.bad("give one of `token_file`, `basic_user` and `oauth2`"));
    }
    let mut scheme = match &*login {
        Login::Token { scheme, .. } => scheme.clone(),
        _ => "Bearer".to_owned(),
    };
    section.set("token_scheme", &mut scheme, |value| value.parse(header_name).and_then(|()| value.text()))?;
    let mut token = None;
    secrets.set(section, "token_file", &mut token)?;
    let mut password = None;
    secrets.set(section, "password_file", &mut password)?;
    if let Some(token) = token {
        *login = Login::Token { scheme, token };
    } else if let Some(user) = section.get("basic_user") {
        let user = nonempty(&user)?;
        if user.contains(':') {
            return Err(section
                .wrong(Problem::BadValue { key: "basic_user".into(), why: "a user has no colon (RFC 7617)".into() }));
        }
        let password = password.ok_or_else(|| section.missing("password_file"))?;
        *login = Login::Basic { user: user.to_owned(), password };
    } else if let Some(table) = section.section("oauth2")? {
        *login = Login::OAuth2(Box::new(oauth2(&table, secrets, scheme)?));
        table.finish()?;
    } else if password.is_some() {
        return Err(section.missing("basic_user"));
    }
    Ok(())
}

fn oauth2(section: &Section<'_>, secrets: &mut Secrets<'_, '_>, scheme: String) -> Result<OAuth2Settings, ConfigError> {
    let url = section.get("token_url").ok_or_else(|| section.missing("token_url"))?;
    let client = section.get("client_id").ok_or_else(|| section.missing("client_id"))?;
    let mut secret = None;
    secrets.set(section, "client_secret_file", &mut secret)?;
    let mut refresh_token = None;
    secrets.set(section, "refresh_token_file", &mut refresh_token)?;
    let mut scope = None;
    section.set("scope", &mut scope, |value| nonempty(value).map(|text| Some(text.to_owned())))?;
    Ok(OAuth2Settings {
        token_url: url.parse(remote_url)?,
        client_id: name(&client)?,
        client_secret: secret.ok_or_else(|| section.missing("client_secret_file"))?,
        scope,
        refresh_token,
        scheme,
    })
}

fn s3(
    before: Option<S3Settings>,
    section: &Section<'_>,
    secrets: &mut Secrets<'_, '_>,
) -> Result<S3Settings, ConfigError> {
    let mut secret = before.as_ref().map(|s3| s3.secret.clone());
    secrets.set(section, "secret_file", &mut secret)?;
    let mut bucket = before.as_ref().map(|s3| s3.bucket.clone());
    section.set("bucket", &mut bucket, |value| value.parse(bucket_name).map(Some))?;
    let mut access_key_id = before.as_ref().map(|s3| s3.access_key_id.clone());
    section.set("access_key_id", &mut access_key_id, |value| name(value).map(Some))?;
    let mut region = before.as_ref().map_or_else(|| "us-east-1".to_owned(), |s3| s3.region.clone());
    section.set("region", &mut region, |value| value.parse(region_name))?;
    let mut endpoint = before.as_ref().map(|s3| s3.endpoint.clone());
    section.set("endpoint", &mut endpoint, |value| value.parse(remote_url).map(Some))?;
    let mut prefix = before.as_ref().map(|s3| s3.prefix.clone()).unwrap_or_default();
    section.set("prefix", &mut prefix, Value::text)?;
    let mut part_size = before.as_ref().map_or(16 << 20, |s3| s3.part_size);
    section.set("part_size", &mut part_size, |value| match value.parse(parse_size)? {
        // what stores take: no part but the last is smaller, none larger
        size @ 5_242_880..=5_368_709_120 => Ok(size),
        _ => Err(value.bad("from 5M to 5G")),
    })?;
    let mut path_style = before.is_some_and(|s3| s3.path_style);
    section.set("path_style", &mut path_style, Value::bool)?;
    let endpoint = match endpoint {
        Some(endpoint) => endpoint,
        None => remote_url(&format!("https://s3.{region}.amazonaws.com"))
            .map_err(|why| section.wrong(Problem::BadValue { key: "region".into(), why }))?,
    };
    let literal = !matches!(endpoint.origin.host(), Some(Host::Domain(_)));
    if literal && !path_style {
        let why = "an address has no subdomains: path_style = true is needed".to_owned();
        return Err(section.wrong(Problem::BadValue { key: "endpoint".into(), why }));
    }
    Ok(S3Settings {
        bucket: bucket.ok_or_else(|| section.missing("bucket"))?,
        region,
        endpoint,
        access_key_id: access_key_id.ok_or_else(|| section.missing("access_key_id"))?,
        secret: secret.ok_or_else(|| section.missing("secret_file"))?,
        prefix,
        path_style,
        part_size,
    })
}

fn bucket_name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let fits = (3..=63).contains(&text.len()) && text.chars().all(plain) && !text.contains("..");
    if fits { Ok(text.to_owned()) } else { Err(format!("`{text}` is no name of a bucket")) }
}

fn region_name(text: &str) -> Result<String, String> {
    let fits = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if fits { Ok(text.to_owned()) } else { Err(format!("`{text}` is no name of a region")) }
}

fn notice(
    before: Option<NoticeSettings>,
    section: &Section<'_>,
    secrets: &mut Secrets<'_, '_>,
) -> Result<NoticeSettings, ConfigError> {
    let mut link_base = before.as_ref().map(|notice| notice.link_base.clone());
    section.set("link_base", &mut link_base, |value| value.parse(link_base_url).map(Some))?;
    let mut link_key = before.as_ref().map(|notice| notice.link_key.clone());
    secrets.set(section, "link_key_file", &mut link_key)?;
    let week = Duration::from_secs(7 * 86_400);
    let mut link_expires = before.map_or(week, |notice| notice.link_expires);
    section.set("link_expires", &mut link_expires, some_time)?;
    Ok(NoticeSettings {
        link_base: link_base.ok_or_else(|| section.missing("link_base"))?,
        link_key: link_key.ok_or_else(|| section.missing("link_key_file"))?,
        link_expires,
    })
}

fn link_base_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("`{text}` is no URL: {error}"))?;
    match url.scheme() {
        "http" | "https" if url.query().is_none() && url.fragment().is_none() => Ok(url),
        _ => Err(format!("`{text}` is no beginning of a link (write https://pbx.example/recordings)")),
    }
}

fn some_time(value: &Value<'_>) -> Result<Duration, ConfigError> {
    match value.parse(parse_duration)? {
        none if none.is_zero() => Err(value.bad("must not be zero")),
        time => Ok(time),
    }
}

/// `https://host[:port]/path?query`, the host written out and certificates checked; plain HTTP only to this machine.
fn remote_url(text: &str) -> Result<RemoteUrl, String> {
    url_with(text, Template::parse)
}

/// The same, asked for again and again as long as the answer goes on.
fn paged_url(text: &str) -> Result<RemoteUrl, String> {
    url_with(text, Template::parse_paged)
}

fn url_with(text: &str, parse: fn(&str, Form) -> Result<Template, String>) -> Result<RemoteUrl, String> {
    let after = text.find("://").map(|at| at + 3).ok_or_else(|| format!("`{text}` is no URL (write https://…)"))?;
    let host_end = text.get(after..).and_then(|rest| rest.find(['/', '?', '#'])).map_or(text.len(), |at| after + at);
    let (fixed, rest) = text.split_at(host_end);
    if fixed.contains("{{") || fixed.contains("{%") {
        return Err("scheme and host are fixed: templates may stand in path and query".to_owned());
    }
    let origin = Url::parse(fixed).map_err(|error| format!("`{fixed}` is no URL: {error}"))?;
    if !origin.username().is_empty() || origin.password().is_some() {
        return Err("a login does not stand in the URL (use basic_user and password_file)".to_owned());
    }
    if rest.contains('#') {
        return Err("a fragment is never sent".to_owned());
    }
    let local = match origin.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    match origin.scheme() {
        "https" => {}
        "http" if local => {}
        "http" => return Err("plain HTTP goes to this machine only: write https://".to_owned()),
        other => return Err(format!("`{other}` is none of https, http")),
    }
    let rest = if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") };
    Ok(RemoteUrl { origin, rest: parse(&rest, Form::Url)? })
}

/// Reads secrets from files and keeps in mind which.
struct Secrets<'a, 'f> {
    files: Files<'f>,
    used: &'a mut Vec<PathBuf>,
}

impl Secrets<'_, '_> {
    fn set(
        &mut self,
        section: &Section<'_>,
        key: &'static str,
        target: &mut Option<Secret>,
    ) -> Result<(), ConfigError> {
        let Some(value) = section.get(key) else { return Ok(()) };
        let secret = secret_file(&value, self.files)?;
        if secret.expose().chars().any(char::is_control) {
            return Err(value.bad("the file holds more than one line"));
        }
        self.used.push(self.files.base.join(path(&value)?));
        *target = Some(secret);
        Ok(())
    }
}
