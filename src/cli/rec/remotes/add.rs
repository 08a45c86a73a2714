//! `rec remotes add`: one more remote, as a file of its own beside the settings, once the settings are right with it.
//! Above: `remotes`. Below: `section` writes the text, `config` reads it before anything is on the disk.

mod section;

use std::fs::{self, DirBuilder};
use std::io::{self, IsTerminal, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use serde::Serialize;
use zeroize::Zeroizing;

use self::section::Section;
use crate::cli::ask::{hidden_line, shown_line};
use crate::cli::common::Context;
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::rec::place::{remotes, settings};
use crate::cli::rec::whole::replace;
use crate::config::{self, RemoteKind, paths};
use crate::control::protocol::{Fault, FaultCode};

/// Secrets longer than this, in bytes, are something else.
const SECRET_LIMIT: u64 = 16 * 1024;

/// Add a remote: what is not given is asked for
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  rec remotes add crm
  rec remotes add crm --url https://crm.example/api/recordings --token-file /etc/wirechief/secrets/crm
  pass crm/token | rec remotes add crm --url https://crm.example/api/recordings --token-file -
  rec remotes add archive --kind folder --path /mnt/archive
  rec remotes add store --kind s3 --bucket calls --region eu-west-1 --access-key-id AKIA... --secret-file s3-secret

It becomes conf.d/remote-NAME.toml beside the settings file, after the settings have been read with it. A secret is never an argument: it is
in a file for the account that delivers alone, or comes by `-` or by a question without echo and is put into secrets/ beside the settings.
What else can be set is told in wirechief-remotes(7), and is written into that file. --dry-run prints it.")]
pub(super) struct Args {
    /// What it is called
    #[arg(value_name = "NAME", value_parser = name)]
    name: String,
    /// How recordings get there: http, tus, s3, folder or notice
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Option<RemoteKind>,
    /// Where to, for http, tus and notice; the endpoint for s3, if it is not Amazon's
    #[arg(long, value_name = "URL", value_hint = clap::ValueHint::Url)]
    url: Option<String>,
    /// The file with the token; `-`: standard input
    #[arg(long, value_name = "FILE", conflicts_with = "user", value_hint = clap::ValueHint::FilePath)]
    token_file: Option<PathBuf>,
    /// The user, where a login has a password
    #[arg(long, value_name = "NAME", requires = "password_file")]
    user: Option<String>,
    /// The file with the password; `-`: standard input
    #[arg(long, value_name = "FILE", requires = "user", value_hint = clap::ValueHint::FilePath)]
    password_file: Option<PathBuf>,
    /// The certificate of the only authority that is trusted there
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    ca_file: Option<PathBuf>,
    /// What counts as a receipt: json (with id, hash and size) or status (2xx is enough)
    #[arg(long, value_name = "json|status")]
    receipt: Option<String>,
    /// When it gets them: ended (at once) or manual (only by `rec push`)
    #[arg(long, value_name = "ended|manual")]
    when: Option<String>,
    /// The folder, for kind folder
    #[arg(long, value_name = "FOLDER", value_hint = clap::ValueHint::DirPath)]
    path: Option<PathBuf>,
    /// The bucket, for kind s3
    #[arg(long, value_name = "NAME")]
    bucket: Option<String>,
    /// The region of the bucket
    #[arg(long, value_name = "NAME", requires = "bucket")]
    region: Option<String>,
    /// The public half of the store's key
    #[arg(long, value_name = "ID", requires = "bucket")]
    access_key_id: Option<String>,
    /// The file with the other half; `-`: standard input
    #[arg(long, value_name = "FILE", requires = "bucket", value_hint = clap::ValueHint::FilePath)]
    secret_file: Option<PathBuf>,
    /// The bucket stands in the path, not in the host's name
    #[arg(long, requires = "bucket")]
    path_style: bool,
    /// What links begin with, for kind notice: where others reach `rec serve`
    #[arg(long, value_name = "URL", value_hint = clap::ValueHint::Url)]
    link_base: Option<String>,
}

#[derive(Serialize)]
struct Added<'a> {
    name: &'a str,
    file: String,
    files: Vec<String>,
}

fn name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    let fits = text.len() <= 64 && text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(plain);
    if fits { Ok(text.to_owned()) } else { Err("a name is made of letters, digits, - and _".to_owned()) }
}

fn kind(text: &str) -> Result<RemoteKind, String> {
    let known = RemoteKind::ALL.into_iter().find(|kind| kind.as_str() == text);
    known.ok_or_else(|| format!("one of {}", RemoteKind::ALL.map(RemoteKind::as_str).join(", ")))
}

impl Args {
    /// Whether each flag that was given says something about a remote of that kind.
    fn has_only_what_is_of_use(&self, kind: RemoteKind) -> Result<(), Failure> {
        use RemoteKind::{Folder, Http, Notice, S3, Tus};
        let given = [
            ("url", self.url.is_some(), &[Http, Tus, Notice, S3][..]),
            ("token-file", self.token_file.is_some(), &[Http, Tus, Notice]),
            ("user", self.user.is_some(), &[Http, Tus, Notice]),
            ("ca-file", self.ca_file.is_some(), &[Http, Tus, Notice, S3]),
            ("path", self.path.is_some(), &[Folder]),
            ("bucket", self.bucket.is_some(), &[S3]),
            ("link-base", self.link_base.is_some(), &[Notice]),
        ];
        match given.iter().find(|(_, is_given, kinds)| *is_given && !kinds.contains(&kind)) {
            None => Ok(()),
            Some((flag, ..)) => {
                let message = format!("--{flag}: a remote of kind {} has no use for it", kind.as_str());
                Err(Fault::new(FaultCode::Usage, message).hint("--kind says which kind is meant").into())
            }
        }
    }
}

pub(super) fn run(args: &Args, context: &Context) -> Done {
    let place = Place::find(args, context)?;
    let mut asked = Asked { terminal: io::stdin().is_terminal() && io::stderr().is_terminal(), anything: false };
    let New { section, secret, link_key } = section(args, &place, &mut asked, context)?;
    let text = section.text();
    if let Some(secret) = secret.as_ref().filter(|secret| secret.path.symlink_metadata().is_ok()) {
        let fault = Fault::new(FaultCode::Usage, format!("{}: it is there already", secret.path.display()));
        return Err(fault.hint("remove it, or take another name").into());
    }
    check(args, &place, &text, (secret.as_ref(), link_key.as_deref()), context)?;
    if context.common.dry_run {
        context.output.note(&format!("would write {}:", place.file.display()));
        context.output.raw(&text)?;
        return Ok(Exit::Ok);
    }
    if let Some(key) = &link_key {
        crate::receiver::link_key(key)?;
    }
    let mut files = vec![place.file.display().to_string()];
    if let Some(secret) = &secret {
        put(&place, &secret.path, secret.text.as_bytes())?;
        files.push(secret.path.display().to_string());
    }
    if let Err(failure) = put(&place, &place.file, text.as_bytes()) {
        if let Some(secret) = &secret {
            // Nothing is left over; that it could not be removed says the same as the failure itself.
            let _ = fs::remove_file(&secret.path);
        }
        return Err(failure);
    }
    if context.output.is_json() {
        let file = place.file.display().to_string();
        context.output.document("rec.remote/1", &Added { name: &args.name, file, files })?;
        return Ok(Exit::Ok);
    }
    context.output.note(&format!("wrote {}", files.join(" and ")));
    context.output.note(&format!("try it: `rec test {0}`; a server that runs learns of it by `pbx reload`", args.name));
    Ok(Exit::Ok)
}

/// Where the settings are, and where the new ones go.
struct Place {
    /// All files of the settings that there are.
    settings: Vec<PathBuf>,
    /// The folder of the main one, which files named in any of them are relative to.
    base: PathBuf,
    /// The new one.
    file: PathBuf,
    /// To whom new files belong: the account of the main one, if root adds it.
    owner: Option<(u32, u32)>,
}

impl Place {
    fn find(args: &Args, context: &Context) -> Result<Self, Failure> {
        let files = context.settings_files();
        let Some(main) = files.first() else {
            let fault = Fault::new(FaultCode::NotFound, "there is no settings file to add a remote to");
            return Err(fault.hint("`pbx init ~/.config/wirechief` writes one").into());
        };
        let present = settings(context)?;
        if present.remotes.contains_key(&args.name) {
            let fault = Fault::new(FaultCode::Usage, format!("the settings have a remote `{}` already", args.name));
            return Err(fault.hint("`rec remotes ls` lists them; take another name").into());
        }
        let named = context.common.config.is_some()
            || std::env::var_os("WIRECHIEF_CONFIG").is_some_and(|file| !file.is_empty());
        if named && !context.common.dry_run {
            let message = format!("{}: a settings file that is named is read alone, without conf.d", main.display());
            return Err(Fault::new(FaultCode::Usage, message).hint("--dry-run prints what to write into it").into());
        }
        let base = main.parent().unwrap_or(Path::new("")).to_owned();
        let file = paths::overlay_folder(main).join(format!("remote-{}.toml", args.name));
        if file.symlink_metadata().is_ok() {
            return Err(Fault::new(FaultCode::Usage, format!("{}: it is there already", file.display())).into());
        }
        let is_root = rustix::process::geteuid().is_root();
        let owner = fs::metadata(main).ok().filter(|_| is_root).map(|facts| (facts.uid(), facts.gid()));
        Ok(Self { settings: files, base, file, owner })
    }
}

/// What a person is asked for.
struct Asked {
    /// Whether there is one.
    terminal: bool,
    /// Whether anything has been asked.
    anything: bool,
}

impl Asked {
    /// What was given, else what is typed.
    fn text(&mut self, given: Option<&str>, (flag, prompt, usual): (&str, &str, &str)) -> Result<String, Failure> {
        if let Some(given) = given {
            return Ok(given.to_owned());
        }
        if !self.terminal {
            let fault = Fault::new(FaultCode::Usage, format!("--{flag} is missing"));
            return Err(fault.hint("on a terminal it is asked for").into());
        }
        self.anything = true;
        match shown_line(prompt, usual)? {
            empty if empty.is_empty() => {
                Err(Fault::new(FaultCode::Usage, format!("{prompt}: nothing was typed")).into())
            }
            text => Ok(text),
        }
    }
}

/// A secret that was typed or read, and the file it goes into.
struct Secret {
    path: PathBuf,
    text: Zeroizing<String>,
}

/// What is to be written.
struct New {
    section: Section,
    /// The secret that is not in a file yet.
    secret: Option<Secret>,
    /// The key of the links that the remote is told, which is made where there is none yet.
    link_key: Option<PathBuf>,
}

/// All of the section, and what belongs to it.
fn section(args: &Args, place: &Place, asked: &mut Asked, context: &Context) -> Result<New, Failure> {
    let folder_or_bucket = match (&args.path, &args.bucket, &args.link_base) {
        (Some(_), ..) => Some(RemoteKind::Folder),
        (_, Some(_), _) => Some(RemoteKind::S3),
        (.., Some(_)) => Some(RemoteKind::Notice),
        _ => args.url.as_ref().map(|_| RemoteKind::Http),
    };
    let kind = match args.kind.or(folder_or_bucket) {
        Some(kind) => kind,
        None => {
            let typed = asked.text(None, ("kind", "kind (http, tus, s3, folder, notice)", "http"))?;
            kind(&typed).map_err(|why| Fault::new(FaultCode::Usage, format!("`{typed}`: {why}")))?
        }
    };
    args.has_only_what_is_of_use(kind)?;
    let mut section = Section::new(&args.name, kind);
    let (mut secret, mut link_key) = (None, None);
    match kind {
        RemoteKind::Http | RemoteKind::Tus | RemoteKind::Notice => {
            let url = asked.text(args.url.as_deref(), ("url", "URL", ""))?;
            section.text_key("url", &url);
            secret = login(args, place, asked, &mut section)?;
            if kind == RemoteKind::Notice {
                let base =
                    asked.text(args.link_base.as_deref(), ("link-base", "where others reach `rec serve` (URL)", ""))?;
                let key = context.state_folder().join(&settings(context)?.serve.link_key_file);
                if place.owner.is_some_and(|(user, _)| user != 0) && !key.exists() {
                    let message = format!("{}: there is no key for links yet, and root's is of no use", key.display());
                    let fault = Fault::new(FaultCode::Usage, message);
                    return Err(fault.hint("add it by the account of the server").into());
                }
                section.table("notice", &[("link_base", base), ("link_key_file", absolute(&key)?)]);
                link_key = Some(key);
            }
        }
        RemoteKind::Folder => {
            let given = args.path.as_ref().map(|path| path.display().to_string());
            let path = asked.text(given.as_deref(), ("path", "folder", ""))?;
            section.table("folder", &[("path", absolute(Path::new(&path))?)]);
        }
        RemoteKind::S3 => secret = store(args, place, asked, &mut section)?,
    }
    let ca_file = args.ca_file.as_deref().map(absolute).transpose()?;
    for (key, value) in [("ca_file", &ca_file), ("receipt", &args.receipt), ("when", &args.when)] {
        if let Some(value) = value {
            section.text_key(key, value);
        }
    }
    Ok(New { section, secret, link_key })
}

/// Who we say we are.
fn login(args: &Args, place: &Place, asked: &mut Asked, section: &mut Section) -> Result<Option<Secret>, Failure> {
    if let (Some(user), Some(file)) = (&args.user, &args.password_file) {
        section.text_key("basic_user", user);
        return secret("password_file", file, (args, place), section);
    }
    if let Some(file) = &args.token_file {
        return secret("token_file", file, (args, place), section);
    }
    // Who gave all of it in words gave no login on purpose.
    if !asked.anything {
        return Ok(None);
    }
    let text = hidden_line("token (not shown; empty: none): ")?;
    if text.is_empty() {
        return Ok(None);
    }
    let path = section.secret("token_file", &args.name, &place.base);
    Ok(Some(Secret { path, text }))
}

/// A store's bucket and key.
fn store(args: &Args, place: &Place, asked: &mut Asked, section: &mut Section) -> Result<Option<Secret>, Failure> {
    let bucket = asked.text(args.bucket.as_deref(), ("bucket", "bucket", ""))?;
    let region = match (&args.region, asked.anything) {
        (None, false) => "us-east-1".to_owned(),
        (given, _) => asked.text(given.as_deref(), ("region", "region", "us-east-1"))?,
    };
    let id = asked.text(args.access_key_id.as_deref(), ("access-key-id", "access key id", ""))?;
    let mut keys = vec![("bucket", bucket), ("region", region), ("access_key_id", id)];
    if let Some(url) = &args.url {
        keys.push(("endpoint", url.clone()));
    }
    section.table("s3", &keys);
    if args.path_style {
        section.flag("path_style");
    }
    match &args.secret_file {
        Some(file) => secret("secret_file", file, (args, place), section),
        None if asked.terminal => {
            let text = hidden_line("secret access key (not shown): ")?;
            let path = section.secret("secret_file", &args.name, &place.base);
            Ok(Some(Secret { path, text }))
        }
        None => Err(Fault::new(FaultCode::Usage, "--secret-file is missing")
            .hint("`-` reads it from standard input")
            .into()),
    }
}

/// A secret that is in a file, or comes by standard input.
fn secret(
    key: &'static str,
    file: &Path,
    (args, place): (&Args, &Place),
    section: &mut Section,
) -> Result<Option<Secret>, Failure> {
    if file != Path::new("-") {
        section.text_key(key, &absolute(file)?);
        return Ok(None);
    }
    let mut text = Zeroizing::new(String::new());
    let read = io::stdin().lock().take(SECRET_LIMIT + 1).read_to_string(&mut text);
    read.map_err(|error| Fault::new(FaultCode::Failure, format!("standard input: {error}")))?;
    if text.len() as u64 > SECRET_LIMIT {
        return Err(Fault::new(FaultCode::Usage, "standard input: too long for a secret").into());
    }
    let line = Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned());
    let path = section.secret(key, &args.name, &place.base);
    Ok(Some(Secret { path, text: line }))
}

fn absolute(path: &Path) -> Result<String, Failure> {
    let wrong = |why: String| Fault::new(FaultCode::Usage, format!("{}: {why}", path.display()));
    let path = std::path::absolute(path).map_err(|error| wrong(error.to_string()))?;
    path.into_os_string().into_string().map_err(|_| wrong("its name is no text in UTF-8".to_owned()).into())
}

/// Reads the settings as they will be, and makes the remote of them that will deliver.
fn check(
    args: &Args,
    place: &Place,
    text: &str,
    (secret, link_key): (Option<&Secret>, Option<&Path>),
    context: &Context,
) -> Result<(), Failure> {
    let invalid = |why: String| {
        // The place in a file that nobody has seen yet says nothing.
        let at = format!("{}:", place.file.display());
        let again = format!("remote {}: ", args.name);
        let why = why.strip_prefix(&again).unwrap_or(&why).to_owned();
        let why = why.strip_prefix(&at).and_then(|rest| rest.split_once(": ")).map_or(why.as_str(), |(_, why)| why);
        Failure::from(Fault::new(FaultCode::Invalid, format!("remote `{}`: {why}", args.name)))
    };
    if let Some(secret) = secret
        && (secret.text.is_empty() || secret.text.contains(char::is_control))
    {
        return Err(Fault::new(FaultCode::Usage, "a secret is one line, and not an empty one").into());
    }
    let paths: Vec<PathBuf> = place.settings.iter().chain([&place.file]).cloned().collect();
    let read = |path: &Path| match secret {
        _ if path == place.file => Ok(text.to_owned()),
        Some(secret) if path == secret.path => Ok(secret.text.to_string()),
        // It is made only when all else is right: until then any will do.
        _ if link_key == Some(path) && !path.exists() => Ok("0".repeat(64)),
        _ => fs::read_to_string(path),
    };
    let settings = config::load(&paths, &read).map_err(|error| invalid(error.to_string()))?;
    let mut only = settings.remotes;
    only.retain(|name, _| *name == args.name);
    remotes(&only).map_err(|failure| match failure {
        Failure::Fault(fault) => invalid(fault.message),
        other => other,
    })?;
    tracing::debug!(files = ?context.settings_files(), "the settings are right with it");
    Ok(())
}

/// Writes a file whole, for the account of the settings alone.
fn put(place: &Place, path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        let code = match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => FaultCode::Denied,
            _ => FaultCode::Failure,
        };
        Failure::from(Fault::new(code, format!("{}: {error}", path.display())))
    };
    let own = |path: &Path| match place.owner {
        // Not through a link that somebody who may write there has put in its place.
        Some((user, group)) => std::os::unix::fs::lchown(path, Some(user), Some(group)),
        None => Ok(()),
    };
    let folder = path.parent().unwrap_or(Path::new("/"));
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => own(folder).map_err(failed)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(error)),
    }
    replace(path, bytes, 0o600).and_then(|()| own(path)).map_err(failed)
}
