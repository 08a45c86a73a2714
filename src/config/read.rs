//! Reads settings files into [`Config`]: one function per section, later files overlay earlier ones key by key.
//! Above: `pbx.rs` and the commands. Below: `value`.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::error::{ConfigError, Problem};
use super::recording::{choice, recording};
use super::serve;
use super::settings::*;
use super::supervision::{Announce, AnnounceTo, OnAgentLeave, SupervisionCodes, SupervisionSettings, spy_params};
use super::units::parse_duration;
use super::value::{Document, Section, Value};
use super::{Match, Secret, remotes};

/// Returns the text of a file; the only way settings reach a disk.
pub type Reader<'a> = &'a dyn Fn(&Path) -> io::Result<String>;

/// Reads `paths` in order, later files overlaying earlier ones; files named inside are relative to the first one's folder.
///
/// # Errors
/// The first thing wrong, with file, line and column.
pub fn load(paths: &[PathBuf], reader: Reader<'_>) -> Result<Config, ConfigError> {
    let base = paths.first().and_then(|first| first.parent()).unwrap_or(Path::new(""));
    let mut config = Config::default();
    config.dialplan.files = config.dialplan.files.iter().map(|file| base.join(file)).collect();
    config.dialplan.sounds = base.join(&config.dialplan.sounds);
    for path in paths {
        let text = reader(path).map_err(|source| ConfigError::Unreadable { path: path.clone(), source })?;
        overlay(&mut config, Document { path, text: &text }, Files { base, reader })?;
    }
    Ok(config)
}

/// How files named in the settings are found and read.
#[derive(Clone, Copy)]
pub(super) struct Files<'a> {
    pub(super) base: &'a Path,
    reader: Reader<'a>,
}

fn overlay(config: &mut Config, document: Document<'_>, files: Files<'_>) -> Result<(), ConfigError> {
    let parsed = DeTable::parse(document.text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        document.wrong(offset, Problem::Syntax(error.message().replace('\n', ", ")))
    })?;
    let root = Section::root(document, parsed.get_ref());
    within(&root, "sip", |section| sip(&mut config.sip, section))?;
    within(&root, "media", |section| media(&mut config.media, section))?;
    within(&root, "dialplan", |section| dialplan(&mut config.dialplan, section, files.base))?;
    within(&root, "guests", |section| guests(&mut config.guests, section))?;
    each(&root, "users", |name, section| user(config, name, section, files))?;
    each(&root, "trunks", |name, section| trunk(config, name, section))?;
    each(&root, "remotes", |name, section| remotes::remote(&mut config.remotes, name, section, files))?;
    within(&root, "supervision", |section| supervision(&mut config.supervision, section))?;
    within(&root, "control", |section| section.set("group", &mut config.control.group, |v| v.text().map(Some)))?;
    within(&root, "records", |section| section.set("file", &mut config.records.file, path))?;
    within(&root, "log", |section| log(&mut config.log, section))?;
    within(&root, "astdb", |section| {
        section.set("file", &mut config.astdb.file, path)?;
        let choices = [KeyChoice::File, KeyChoice::Held].map(|choice| (choice.as_str(), choice));
        section.set("key", &mut config.astdb.key, |value| value.word(&choices))?;
        section.set("key_file", &mut config.astdb.key_file, path)?;
        section.set("hide_names", &mut config.astdb.hide_names, Value::bool)
    })?;
    within(&root, "recording", |section| recording(&mut config.recording, section))?;
    within(&root, "limits", |section| limits(&mut config.limits, section))?;
    within(&root, "serve", |section| serve::serve(&mut config.serve, section, files.base))?;
    root.finish()
}

/// Reads the table `key`, if it is there, and refuses what is left over in it.
fn within(
    root: &Section<'_>,
    key: &'static str,
    read: impl FnOnce(&Section<'_>) -> Result<(), ConfigError>,
) -> Result<(), ConfigError> {
    let Some(section) = root.section(key)? else { return Ok(()) };
    read(&section)?;
    section.finish()
}

/// Reads each named table below `key`.
fn each(
    root: &Section<'_>,
    key: &'static str,
    mut read: impl FnMut(&str, &Section<'_>) -> Result<(), ConfigError>,
) -> Result<(), ConfigError> {
    let Some(group) = root.section(key)? else { return Ok(()) };
    for (name, value) in group.entries() {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
        if name.is_empty() || !name.chars().all(plain) {
            return Err(value.bad("a name is made of letters, digits and . _ + -"));
        }
        let section = value.section(group.name())?;
        read(name, &section)?;
        section.finish()?;
    }
    Ok(())
}

fn sip(settings: &mut SipSettings, section: &Section<'_>) -> Result<(), ConfigError> {
    section.set("bind", &mut settings.bind, |value| {
        let binds = value.list(|item| item.parse(bind))?;
        if binds.is_empty() { Err(value.bad("needs at least one address")) } else { Ok(binds) }
    })?;
    section.set("advertise", &mut settings.advertise, |value| value.parse(ip).map(Some))?;
    section.set("realm", &mut settings.realm, |value| match value.str()? {
        "" => Err(value.bad("must not be empty")),
        realm if realm.contains(['"', '\\']) => Err(value.bad("must not hold \" or \\")),
        realm => Ok(realm.to_owned()),
    })
}

fn media(settings: &mut MediaSettings, section: &Section<'_>) -> Result<(), ConfigError> {
    section.set("bind", &mut settings.bind, |value| value.parse(ip))?;
    section.set("ports", &mut settings.ports, |value| value.parse(ports))?;
    section.set("codecs", &mut settings.codecs, |value| {
        let words = CodecChoice::ALL.map(|codec| (codec.as_str(), codec));
        let codecs = value.list(|item| item.word(&words))?;
        match codecs.iter().any(|codec| codec.can_be_decoded()) {
            true => Ok(codecs),
            false => Err(value.bad("needs ulaw or alaw: the others are only passed on, no prompt could be played")),
        }
    })?;
    section.set("rtp_timeout", &mut settings.rtp_timeout, |value| value.parse(parse_duration))
}

fn dialplan(settings: &mut DialplanSettings, section: &Section<'_>, base: &Path) -> Result<(), ConfigError> {
    section.set("files", &mut settings.files, |value| {
        let files = value.list(|item| path(item).map(|file| base.join(file)))?;
        if files.is_empty() { Err(value.bad("needs at least one file")) } else { Ok(files) }
    })?;
    section.set("sounds", &mut settings.sounds, |value| path(value).map(|folder| base.join(folder)))?;
    section.set("env", &mut settings.env, |value| value.list(|name| Ok(name.str()?.to_owned())))?;
    let choices = [SystemChoice::Off, SystemChoice::Argv, SystemChoice::Shell].map(|choice| (choice.as_str(), choice));
    section.set("system", &mut settings.system, |value| value.word(&choices))?;
    section.set("programs", &mut settings.programs, |value| {
        value.list(|item| {
            let program = path(item)?;
            if program.is_absolute() { Ok(program) } else { Err(item.bad("a program is named by its absolute path")) }
        })
    })?;
    section.set("secrets", &mut settings.secrets, |value| value.list(secret))
}

fn guests(settings: &mut Option<Guests>, section: &Section<'_>) -> Result<(), ConfigError> {
    let mut guests = match settings.take() {
        Some(guests) => guests,
        None if section.get("context").is_none() => return Err(section.missing("context")),
        None => {
            let loopback = [IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), IpAddr::V6(Ipv6Addr::LOCALHOST)];
            let from = loopback.iter().zip([8, 128]).map(|(ip, bits)| Match::block(*ip, bits)).collect();
            Guests { context: String::new(), from }
        }
    };
    section.set("context", &mut guests.context, name)?;
    section.set("from", &mut guests.from, |value| value.list(|item| item.parse(str::parse::<Match>)))?;
    *settings = Some(guests);
    Ok(())
}

fn user(config: &mut Config, key: &str, section: &Section<'_>, files: Files<'_>) -> Result<(), ConfigError> {
    let mut password = None;
    section.set("password", &mut password, |value| Ok(Some(Secret::new(nonempty(value)?.to_owned()))))?;
    if let Some(value) = section.get("password_file") {
        if password.is_some() {
            return Err(value.bad("give either `password` or `password_file`"));
        }
        password = Some(secret_file(&value, files)?);
    }
    let mut user = match (config.users.remove(key), password) {
        (Some(user), None) => user,
        (Some(user), Some(password)) => User { password, ..user },
        (None, None) => return Err(section.missing("password_file")),
        (None, Some(_)) if section.get("context").is_none() => return Err(section.missing("context")),
        (None, Some(password)) => User::new(password, String::new()),
    };
    section.set("context", &mut user.context, name)?;
    section.set("caller_id", &mut user.caller_id, |value| value.parse(caller_id).map(Some))?;
    // the hosted-PBX names mean the same settings; DISABLE_SPY is read in both of its meanings
    let rights =
        [SpyRight::None, SpyRight::Listen, SpyRight::Whisper, SpyRight::Barge].map(|right| (right.as_str(), right));
    section.set("SPY_PERMISSION", &mut user.may_spy, |value| value.word(&rights))?;
    section.set("may_spy", &mut user.may_spy, |value| value.word(&rights))?;
    section.set("may_be_spied", &mut user.may_be_spied, Value::bool)?;
    let mut disabled = false;
    section.set("DISABLE_SPY", &mut disabled, |value| {
        value.word(&[("yes", true), ("no", false)]).or_else(|_| value.bool())
    })?;
    if disabled {
        user.may_spy = SpyRight::None;
        user.may_be_spied = false;
    }
    section.set("groups", &mut user.groups, |value| value.list(name))?;
    section.set("spy_groups", &mut user.spy_groups, |value| value.list(name).map(Some))?;
    section.set("SPY_PARAMS", &mut user.spy_params, |value| value.parse(spy_params))?;
    section.set("spy_params", &mut user.spy_params, |value| value.parse(spy_params))?;
    section.set("record", &mut user.record, |value| choice(value).map(Some))?;
    config.users.insert(key.to_owned(), user);
    Ok(())
}

fn trunk(config: &mut Config, key: &str, section: &Section<'_>) -> Result<(), ConfigError> {
    let mut address = None;
    section.set("host", &mut address, |value| value.parse(host_port).map(Some))?;
    if config.users.contains_key(key) {
        let both = Problem::BadValue {
            key: key.to_owned(),
            why: "a user has this name: `SIP/…` could not tell them apart".into(),
        };
        return Err(section.wrong(both));
    }
    let mut trunk = match (config.trunks.remove(key), address) {
        (Some(trunk), None) => trunk,
        (Some(trunk), Some((host, port))) => Trunk { host, port, ..trunk },
        (None, None) => return Err(section.missing("host")),
        (None, Some((host, port))) => {
            Trunk { host, port, transport: SipTransport::Udp, matches: Vec::new(), context: None, record: None }
        }
    };
    let transports = [SipTransport::Udp, SipTransport::Tcp].map(|transport| (transport.as_str(), transport));
    section.set("transport", &mut trunk.transport, |value| value.word(&transports))?;
    section.set("match", &mut trunk.matches, |value| value.list(|item| item.parse(str::parse::<Match>)))?;
    section.set("context", &mut trunk.context, |value| name(value).map(Some))?;
    section.set("record", &mut trunk.record, |value| choice(value).map(Some))?;
    config.trunks.insert(key.to_owned(), trunk);
    Ok(())
}

fn supervision(settings: &mut SupervisionSettings, section: &Section<'_>) -> Result<(), ConfigError> {
    section.set("log", &mut settings.log, path)?;
    section.set("codes", &mut settings.codes, |value| codes(value.section(section.name())?))?;
    section.set("shell_users", &mut settings.shell_users, |value| {
        let accounts = value.section(section.name())?;
        accounts
            .entries()
            .map(|(account, user)| Ok((account.to_owned(), name(&user)?)))
            .collect::<Result<BTreeMap<_, _>, _>>()
    })?;
    let leave = [OnAgentLeave::Hangup, OnAgentLeave::Supervisor].map(|word| (word.as_str(), word));
    section.set("on_agent_leave", &mut settings.on_agent_leave, |value| value.word(&leave))?;
    let announce = [Announce::None, Announce::Beep].map(|word| (word.as_str(), word));
    section.set("announce", &mut settings.announce, |value| value.word(&announce))?;
    let to = [AnnounceTo::Both, AnnounceTo::Agent, AnnounceTo::Customer].map(|word| (word.as_str(), word));
    section.set("announce_to", &mut settings.announce_to, |value| value.word(&to))
}

/// `codes = { listen = "*91", … }`: those left out are as they are without it.
fn codes(section: Section<'_>) -> Result<SupervisionCodes, ConfigError> {
    let mut codes = SupervisionCodes::default();
    section.set("listen", &mut codes.listen, code)?;
    section.set("whisper", &mut codes.whisper, code)?;
    section.set("barge", &mut codes.barge, code)?;
    section.set("eavesdrop", &mut codes.eavesdrop, |value| match value.str() {
        Ok(_) => code(value).map(|code| vec![code]),
        Err(_) => value.list(code),
    })?;
    let all: Vec<_> = codes.all().map(|(code, _)| code).collect();
    let twice = all.iter().enumerate().find(|(at, code)| all.iter().take(*at).any(|other| other == *code));
    if let Some((_, code)) = twice {
        let why = format!("`{code}` cannot mean two things");
        return Err(section.wrong(Problem::BadValue { key: "codes".into(), why }));
    }
    section.finish()?;
    Ok(codes)
}

fn code(value: &Value<'_>) -> Result<String, ConfigError> {
    let code = value.str()?;
    if code.chars().all(|c| c.is_ascii_digit() || c == '*' || c == '#') {
        Ok(code.to_owned())
    } else {
        Err(value.bad("a code is made of digits, * and #"))
    }
}

fn log(settings: &mut LogSettings, section: &Section<'_>) -> Result<(), ConfigError> {
    use LogLevel::{Debug, Error, Info, Trace, Warn};
    let levels = [Error, Warn, Info, Debug, Trace].map(|level| (level.as_str(), level));
    section.set("level", &mut settings.level, |value| value.word(&levels))?;
    let formats = [LogFormat::Text, LogFormat::Json].map(|format| (format.as_str(), format));
    section.set("format", &mut settings.format, |value| value.word(&formats))
}

fn limits(limits: &mut Limits, section: &Section<'_>) -> Result<(), ConfigError> {
    let any = |value: &Value<'_>| value.integer(0..=u32::MAX);
    section.set("calls", &mut limits.calls, any)?;
    section.set("calls_per_user", &mut limits.calls_per_user, any)?;
    section.set("requests_per_second_per_source", &mut limits.requests_per_second_per_source, |value| {
        any(value).map(Some)
    })?;
    section.set("bad_logins", &mut limits.bad_logins, any)?;
    section.set("ban_time", &mut limits.ban_time, |value| value.parse(parse_duration))
}

pub(super) fn path(value: &Value<'_>) -> Result<PathBuf, ConfigError> {
    nonempty(value).map(PathBuf::from)
}

/// A variable, or a family of the store.
fn secret(value: &Value<'_>) -> Result<String, ConfigError> {
    let text = name(value)?;
    let is_family = text.strip_prefix("DB(").and_then(|rest| rest.strip_suffix("/*)"));
    match is_family {
        Some(family) if !family.is_empty() && !family.contains('/') => Ok(text),
        None if !text.contains(['(', ')', '/', '*']) => Ok(text),
        _ => Err(value.bad("is neither a variable nor a family of the store, which is written `DB(pin/*)`")),
    }
}

pub(super) fn name(value: &Value<'_>) -> Result<String, ConfigError> {
    nonempty(value).map(str::to_owned)
}

pub(super) fn nonempty<'a>(value: &Value<'a>) -> Result<&'a str, ConfigError> {
    match value.str()? {
        "" => Err(value.bad("must not be empty")),
        text => Ok(text),
    }
}

pub(super) fn secret_file(value: &Value<'_>, files: Files<'_>) -> Result<Secret, ConfigError> {
    let path = files.base.join(path(value)?);
    match (files.reader)(&path).map(Secret::new) {
        Ok(text) => match text.expose().trim_end_matches(['\r', '\n']) {
            "" => Err(value.bad(format!("{} is empty", path.display()))),
            line => Ok(Secret::new(line.to_owned())),
        },
        Err(source) => Err(value.wrong(Problem::UnreadableFile { key: value.key().to_owned(), path, source })),
    }
}

fn ip(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| format!("`{text}` is no IP address"))
}

/// `udp://127.0.0.1:5060`; the port may be left out.
fn bind(text: &str) -> Result<Bind, String> {
    let wrong = || format!("`{text}` is no listening address (write udp://127.0.0.1:5060 or tcp://[::1]:5060)");
    let (scheme, address) = text.split_once("://").ok_or_else(wrong)?;
    let transport = match scheme {
        "udp" => SipTransport::Udp,
        "tcp" => SipTransport::Tcp,
        _ => return Err(format!("`{scheme}` is none of the transports udp, tcp")),
    };
    let with_default = |ip: IpAddr| SocketAddr::from((ip, 5060));
    let bare = address.trim_start_matches('[').trim_end_matches(']');
    let address = address.parse().or_else(|_| bare.parse().map(with_default)).map_err(|_| wrong())?;
    Ok(Bind { transport, address })
}

/// `10000-19999`, room for at least one pair.
fn ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let bounds =
        text.split_once('-').and_then(|(low, high)| Some((low.trim().parse().ok()?, high.trim().parse().ok()?)));
    match bounds {
        Some((low, high)) if low > 0 && low < high => Ok(low..=high),
        Some(_) => Err(format!("`{text}` holds no pair of ports (write 10000-19999)")),
        None => Err(format!("`{text}` is no range of ports (write 10000-19999)")),
    }
}

/// `sip.example.net`, `192.0.2.1:5060`, `[2001:db8::1]:5060`.
fn host_port(text: &str) -> Result<(String, Option<u16>), String> {
    let wrong = || format!("`{text}` is no host or host:port");
    if let Ok(ip) = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        return Ok((ip.to_string(), None));
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok((address.ip().to_string(), Some(address.port())));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(wrong)?)),
        None => (text, None),
    };
    let plain = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.');
    if plain { Ok((host.to_owned(), port)) } else { Err(wrong()) }
}

/// `Alice <1001>`, `"Alice" <1001>`, `1001`.
fn caller_id(text: &str) -> Result<CallerIdText, String> {
    let (name, number) = match text.split_once('<') {
        Some((name, rest)) => {
            let number = rest.trim_end().strip_suffix('>').ok_or_else(|| format!("`{text}` lacks the closing >"))?;
            (name.trim().trim_matches('"'), number.trim())
        }
        None if text.chars().all(|c| c.is_ascii_digit() || "+*#".contains(c)) => ("", text),
        None => (text.trim().trim_matches('"'), ""),
    };
    Ok(CallerIdText { name: name.to_owned(), number: number.to_owned() })
}
