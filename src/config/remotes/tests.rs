//! The reader of `[remotes.NAME]`: every key, what is refused and how, no secret shown.

use std::io;
use std::path::{Path, PathBuf};

use super::super::{Config, ConfigError, load};
use super::*;

fn read(text: &str) -> Result<Config, ConfigError> {
    let reader = |path: &Path| match path.to_str() {
        Some("pbx.toml") => Ok(text.to_owned()),
        Some(secret) if secret.starts_with("secrets/") => Ok(format!("hidden-{}\n", &secret[8..])),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    load(&[PathBuf::from("pbx.toml")], &reader)
}

fn error(text: &str) -> String {
    read(text).expect_err(text).to_string()
}

const CRM: &str = r#"
[remotes.crm]
url = "https://crm.example/api/recordings/{{ id }}?who={{ agent }}"
token_file = "secrets/token"
signing_key_file = "secrets/sign"
ca_file = "private-ca.pem"
receipt = "json"
receipt_key_file = "secrets/receipt"
when = "manual"
parallel = 8
give_up_after = "9h"
idle_timeout = "5s"
allow_addresses = ["10.0.0.5", "192.168.0.0/16"]
headers = { X-Caller = "{{ from }}" }
fields = { folderPath = "/calls/{{ direction }}" }
body = """
{ "number": {{ to }},
  "file": {{ file }} }
"""
"#;

#[test]
fn every_key_of_an_http_remote_is_read() {
    let remote = read(CRM).unwrap().remotes["crm"].clone();
    let url = remote.request.url.unwrap();
    assert_eq!(url.to_string(), "https://crm.example/api/recordings/{{ id }}?who={{ agent }}");
    assert!(matches!(&remote.login, Login::Token { token, .. } if token.expose() == "hidden-token"));
    assert_eq!((remote.kind, remote.when, remote.parallel), (RemoteKind::Http, PushWhen::Manual, 8));
    assert_eq!((remote.give_up_after, remote.idle_timeout), (Duration::from_secs(9 * 3_600), Duration::from_secs(5)));
    assert!(remote.allow_addresses[1].covers("192.168.7.7:443".parse().unwrap()));
    assert_eq!(remote.secret_files, ["secrets/sign", "secrets/receipt", "secrets/token"].map(PathBuf::from));
}

#[test]
fn every_kind_is_read_and_shown_without_its_secrets() {
    let config = read(&format!(
        r#"{CRM}
        [remotes.store]
        kind = "s3"
        s3 = {{ bucket = "calls", region = "eu-central-1", access_key_id = "AK", secret_file = "secrets/s3", prefix = "p/" }}
        [remotes.tus]
        kind = "tus"
        url = "http://127.0.0.1:8080/files"
        oauth2 = {{ token_url = "https://id.example/token", client_id = "rec", client_secret_file = "secrets/oauth", scope = "up" }}
        [remotes.disk]
        kind = "folder"
        folder = {{ path = "copies" }}
        [remotes.pull]
        kind = "notice"
        url = "https://crm.example/notice"
        basic_user = "pbx"
        password_file = "secrets/basic"
        receipt = "status"
        notice = {{ link_base = "https://pbx.example/r", link_key_file = "secrets/link", link_expires = "1h" }}
        "#
    ))
    .unwrap();
    let shown = config.masked()["remotes"].clone();
    assert_eq!(shown["store"]["s3"]["endpoint"], "https://s3.eu-central-1.amazonaws.com/");
    assert_eq!(shown["disk"]["folder"]["path"], "copies");
    assert_eq!(shown["pull"]["notice"]["link_expires"], "1h");
    assert_eq!(shown["tus"]["oauth2"]["client_secret"], "***");
    let everything = format!("{shown}{config:?}");
    assert!(!everything.contains("hidden-"), "{everything}");
}

#[test]
fn what_cannot_be_meant_is_refused_with_its_place() {
    let with = |line: &str| error(&format!("[remotes.a]\n{line}"));
    for (line, expected) in [
        ("url = 'http://crm.example/x'", "pbx.toml:2:7: `url`: plain HTTP goes to this machine only: write https://"),
        ("url = 'https://{{ to }}/x'", "pbx.toml:2:7: `url`: scheme and host are fixed"),
        ("url = 'https://u:p@h/x'", "pbx.toml:2:7: `url`: a login does not stand in the URL"),
        ("url = 'ftp://h/x'", "pbx.toml:2:7: `url`: `ftp` is none of https, http"),
        ("url = 'https://h/{{ nmae }}'", "pbx.toml:2:7: `url`: a recording has no `nmae`, did you mean `name`?"),
        ("kind = 'htp'", "pbx.toml:2:8: `kind`: `htp` is none of http, tus, s3, folder, notice, did you mean `http`?"),
        ("kind = 'http'", "pbx.toml:1:1: [remotes.a] needs `url`"),
        ("kind = 's3'", "pbx.toml:1:1: [remotes.a] needs `s3`"),
        ("kind = 'folder'\nfolder = { path = 'x' }\nurl = 'https://h/'", "pbx.toml:4:7: `url`: a remote of kind"),
        ("url = 'https://h/'\nurll = 1", "pbx.toml:3:1: unknown key `urll` in [remotes.a], did you mean `url`?"),
        ("url = 'https://h/'\ntoken_file = 'none'", "pbx.toml:3:14: `token_file`: cannot read none"),
        ("url = 'https://h/'\nheaders = { Host = 'x' }", "pbx.toml:3:20: `Host`: `host` is not set here"),
        ("url = 'https://h/'\nheaders = { \"X:\" = 'x' }", "pbx.toml:3:20: `X:`: `X:` is no name of a header"),
        ("url = 'https://h/'\nparallel = 9", "pbx.toml:3:12: `parallel`: 9 is not from 1 to 8"),
        ("url = 'https://h/'\nmethod = 'PUT'\nbody = '{}'", "pbx.toml:4:8: `body`: PUT sends the recording alone"),
        ("url = 'https://h/'\nbody = '{\"a\": \"{{ to }}\"}'", "pbx.toml:3:8: `body`: this makes no JSON"),
        (
            "url = 'https://h/'\nbasic_user = 'u'\ntoken_file = 'secrets/t'",
            "pbx.toml:3:14: `basic_user`: give one of `token_file`, `basic_user` and `oauth2`",
        ),
        ("url = 'https://h/'\nbasic_user = 'u'", "pbx.toml:1:1: [remotes.a] needs `password_file`"),
        ("url = 'https://h/'\nreceipt_id = 'id'", "pbx.toml:3:14: `receipt_id`: is a JSON pointer"),
    ] {
        let told = with(line);
        assert!(told.starts_with(expected), "{told}\nis not\n{expected}");
    }
}

#[test]
fn a_later_file_changes_single_keys_of_a_remote() {
    let reader = |path: &Path| match path.to_str() {
        Some("pbx.toml") => Ok("[remotes.a]\nurl = 'https://h/'\nparallel = 2".to_owned()),
        _ => Ok("[remotes.a]\nwhen = 'manual'".to_owned()),
    };
    let config = load(&["pbx.toml".into(), "more.toml".into()], &reader).unwrap();
    let remote = &config.remotes["a"];
    assert_eq!((remote.parallel, remote.when), (2, PushWhen::Manual));
}

#[test]
fn a_look_before_a_repetition_may_go_on_and_only_there_are_there_pages() {
    let with = |lines: &str| format!("[remotes.crm]\nurl = \"https://crm.example/\"\nreceipt = \"status\"\n{lines}\n");
    let lines = "exists_url = \"https://crm.example/?p={{ page }}&n={{ next }}\"\nexists_id = \"/id\"\nexists_next = \"/more\"\nrecording_name = \"{{ key }}.wav\"";
    let config = read(&with(lines)).unwrap();
    let request = &config.remotes["crm"].request;
    assert_eq!(
        (request.exists_next.as_deref(), request.recording_name.as_ref().map(Template::as_str)),
        (Some("/more"), Some("{{ key }}.wav"))
    );
    let shown = config.remotes["crm"].masked();
    assert_eq!((&shown["exists_next"], &shown["recording_name"]), (&"/more".into(), &"{{ key }}.wav".into()));
    for (lines, says) in [
        ("exists_next = \"/more\"", "exists_id"),
        ("headers = { X-Page = \"{{ page }}\" }", "a recording has no `page`"),
        ("recording_name = \"{{ nobody }}\"", "a recording has no `nobody`"),
        ("method = \"PUT\"\nrecording_name = \"a.wav\"", "PUT sends the recording alone"),
    ] {
        let told = error(&with(lines));
        assert!(told.contains(says), "{lines}: {told}");
    }
}
