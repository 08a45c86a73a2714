//! The settings reader: every key, every kind of mistake with its place, the built-in configuration.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;

/// Loads files given as (name, text); the first is the main one, those ending in `.toml` are settings.
fn load_files(files: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let reader = |path: &Path| match files.iter().find(|(name, _)| Path::new(name) == path) {
        Some((_, text)) => Ok((*text).to_owned()),
        None => Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    let settings = files.iter().map(|(name, _)| PathBuf::from(name)).filter(|path| path.extension().is_some());
    load(&settings.collect::<Vec<_>>(), &reader)
}

fn load_text(text: &str) -> Result<Config, ConfigError> {
    load_files(&[("etc/pbx.toml", text), ("etc/secrets/1001", "correct horse battery\n")])
}

fn error(text: &str) -> String {
    load_text(text).expect_err(text).to_string()
}

fn passwords() -> [Secret; 3] {
    ["first-password", "second-password", "third-password"].map(|text| Secret::new(text.to_owned()))
}

#[test]
fn an_empty_file_is_the_defaults() {
    let config = load_text("").unwrap();
    let mut expected = Config::default();
    expected.dialplan.files = vec!["etc/extensions.conf".into(), "etc/extensions_custom.conf".into()];
    expected.dialplan.sounds = "etc/sounds".into();
    assert_eq!(config, expected);
}

#[test]
fn every_key_is_read() {
    let config = load_text(
        r#"
        [sip]
        bind = ["udp://0.0.0.0:0", "tcp://[::1]:5070", "udp://[::]"]
        advertise = "203.0.113.7"
        realm = "here"
        [media]
        bind = "0.0.0.0"
        ports = "20000-20999"
        codecs = ["alaw"]
        rtp_timeout = "5m"
        [dialplan]
        files = ["a.conf", "/abs/b.conf"]
        sounds = "wav"
        env = ["COMPANY", "SITE"]
        system = "argv"
        programs = ["/usr/bin/logger"]
        [guests]
        context = "public"
        from = ["10.0.0.0/8", "192.0.2.1:5080"]
        [users.1001]
        password_file = "secrets/1001"
        context = "internal"
        caller_id = "Alice <1001>"
        may_spy = "whisper"
        may_be_spied = false
        groups = ["sales"]
        spy_groups = []
        SPY_PARAMS = "ESb"
        [trunks.icall]
        host = "sip.icall.example:5062"
        transport = "tcp"
        match = ["192.0.2.0/24"]
        context = "from-icall"
        [supervision]
        shell_users = { alice = "1001" }
        codes = { listen = "*81", barge = "", eavesdrop = "77" }
        [control]
        group = "operators"
        [records]
        file = "cdr.jsonl"
        [log]
        level = "debug"
        format = "json"
        [astdb]
        file = "db.sqlite3"
        key = "held"
        key_file = "secrets/db.key"
        hide_names = true
        [limits]
        calls = 100
        calls_per_user = 0
        requests_per_second_per_source = 7
        bad_logins = 3
        ban_time = "1h"
        "#,
    )
    .unwrap();
    assert_eq!(config.sip.bind.len(), 3);
    assert_eq!(config.sip.bind[2].address.port(), 5060);
    assert_eq!(config.sip.advertise, Some("203.0.113.7".parse().unwrap()));
    assert_eq!(config.media.ports, 20_000..=20_999);
    assert_eq!(config.media.codecs, [CodecChoice::Alaw]);
    assert_eq!(config.media.rtp_timeout, Duration::from_secs(300));
    assert_eq!(config.dialplan.files, [PathBuf::from("etc/a.conf"), PathBuf::from("/abs/b.conf")]);
    assert_eq!(config.dialplan.env, ["COMPANY", "SITE"]);
    assert_eq!(config.dialplan.system, SystemChoice::Argv);
    assert_eq!(config.dialplan.programs, [PathBuf::from("/usr/bin/logger")]);
    assert!(config.guests.unwrap().from[1].covers("192.0.2.1:5080".parse().unwrap()));
    let user = &config.users["1001"];
    assert_eq!(user.password.expose(), "correct horse battery");
    assert_eq!(user.caller_id, Some(CallerIdText { name: "Alice".into(), number: "1001".into() }));
    assert_eq!((user.may_spy, user.may_be_spied), (SpyRight::Whisper, false));
    assert_eq!(user.spy_groups.as_deref(), Some(&[][..]));
    assert_eq!(user.spy_params, "ESb");
    let codes = &config.supervision.codes;
    assert_eq!((codes.listen.as_str(), codes.whisper.as_str(), codes.barge.as_str()), ("*81", "*92", ""));
    assert_eq!(codes.eavesdrop, ["77"]);
    let trunk = &config.trunks["icall"];
    assert_eq!((trunk.host.as_str(), trunk.port), ("sip.icall.example", Some(5062)));
    assert_eq!(trunk.context.as_deref(), Some("from-icall"));
    assert_eq!(config.supervision.shell_users, BTreeMap::from([("alice".to_owned(), "1001".to_owned())]));
    assert_eq!(config.control.group.as_deref(), Some("operators"));
    assert_eq!(config.records.file, Path::new("cdr.jsonl"));
    assert_eq!((config.log.level, config.log.format), (LogLevel::Debug, LogFormat::Json));
    assert_eq!(config.astdb.file, Path::new("db.sqlite3"));
    assert_eq!(config.astdb.key_file, Path::new("secrets/db.key"));
    assert_eq!(config.astdb.key, KeyChoice::Held);
    assert!(config.astdb.hide_names);
    assert_eq!((config.limits.calls, config.limits.bad_logins), (100, 3));
    assert_eq!(config.limits.ban_time, Duration::from_secs(3_600));
}

#[test]
fn an_error_names_file_line_column_and_what_to_write() {
    let cases = [
        ("[sip]\nbnid = []", "etc/pbx.toml:2:1: unknown key `bnid` in [sip], did you mean `bind`?"),
        ("[spi]", "etc/pbx.toml:1:2: unknown key `spi`, did you mean `sip`?"),
        ("[media]\nzebra_crossing = 1", "etc/pbx.toml:2:1: unknown key `zebra_crossing` in [media]"),
        ("[sip]\n  realm = 5", "etc/pbx.toml:2:11: `realm` must be a string, not a whole number"),
        ("sip = 1", "etc/pbx.toml:1:7: `sip` must be a table, not a whole number"),
        ("[limits]\ncalls = -1", "etc/pbx.toml:2:9: `calls`: -1 is not from 0 to 4294967295"),
        (
            "[log]\nlevel = \"inof\"",
            "etc/pbx.toml:2:9: `level`: `inof` is none of error, warn, info, debug, trace, did you mean `info`?",
        ),
        (
            "[media]\ncodecs = [\"ulaw\",\n  \"mp3\"]",
            "etc/pbx.toml:3:3: `codecs`: `mp3` is none of ulaw, alaw, g722, g723, g729, gsm, ilbc, opus",
        ),
        (
            "[media]\ncodecs = [\"opus\"]",
            "etc/pbx.toml:2:10: `codecs`: needs ulaw or alaw: the others are only passed on, no prompt could be played",
        ),
        ("[media]\nports = \"20-10\"", "etc/pbx.toml:2:9: `ports`: `20-10` holds no pair of ports (write 10000-19999)"),
        ("[users.1001]\ncontext = \"x\"", "etc/pbx.toml:1:1: [users.1001] needs `password_file`"),
        ("[users.1001]\npassword = \"x\"", "etc/pbx.toml:1:1: [users.1001] needs `context`"),
        ("[guests]\nfrom = []", "etc/pbx.toml:1:1: [guests] needs `context`"),
        ("[trunks.a]\ncontext = \"x\"", "etc/pbx.toml:1:1: [trunks.a] needs `host`"),
        (
            "[guests]\ncontext = \"x\"\nfrom = [\"10.0.0.0/99\"]",
            "etc/pbx.toml:3:9: `from`: `/99` is no prefix length from 0 to 32",
        ),
        (
            "[sip]\nbind = [\"tls://1.2.3.4:5061\"]",
            "etc/pbx.toml:2:9: `bind`: `tls` is none of the transports udp, tcp",
        ),
        ("[users.\"a b\"]", "etc/pbx.toml:1:1: `a b`: a name is made of letters, digits and . _ + -"),
    ];
    for (text, expected) in cases {
        assert_eq!(error(text), expected);
    }
    assert!(error("[sip\nrealm=1").starts_with("etc/pbx.toml:1:"), "{}", error("[sip\nrealm=1"));
}

#[test]
fn a_password_file_that_is_absent_or_empty_is_an_error_at_its_key() {
    let absent = error("[users.1]\npassword_file = \"secrets/1\"\ncontext = \"c\"");
    assert!(absent.starts_with("etc/pbx.toml:2:17: `password_file`: cannot read etc/secrets/1: "), "{absent}");
    let main = "[users.1]\npassword_file = \"p\"\ncontext = \"c\"";
    let empty = load_files(&[("pbx.toml", main), ("p", "\n")]).unwrap_err().to_string();
    assert_eq!(empty, "pbx.toml:2:17: `password_file`: p is empty");
    let absent = load(&["none.toml".into()], &|_| Err(io::ErrorKind::NotFound.into())).unwrap_err();
    assert!(matches!(absent, ConfigError::Unreadable { .. }));
}

#[test]
fn a_later_file_changes_single_keys_of_an_earlier_one() {
    let main = "[sip]\nrealm = \"one\"\n[users.1]\npassword = \"pppp\"\ncontext = \"a\"\ngroups = [\"g\"]";
    let overlay = "[media]\nports = \"4000-5000\"\n[users.1]\ncontext = \"b\"";
    let config = load_files(&[("pbx.toml", main), ("conf.d/x.toml", overlay)]).unwrap();
    assert_eq!((config.sip.realm.as_str(), config.media.ports), ("one", 4000..=5000));
    let user = &config.users["1"];
    assert_eq!((user.context.as_str(), user.password.expose(), user.groups.len()), ("b", "pppp", 1));
}

#[test]
fn s071_s072_s073_the_old_name_disable_spy_means_both_settings_and_is_off_at_first() {
    let user = |extra: &str| {
        let text = format!("[users.1]\npassword = \"p\"\ncontext = \"c\"\nmay_spy = \"barge\"\n{extra}");
        load_text(&text).unwrap().users["1"].clone()
    };
    assert_eq!((user("").may_spy, user("").may_be_spied), (SpyRight::Barge, true));
    for yes in ["DISABLE_SPY = \"yes\"", "DISABLE_SPY = true"] {
        assert_eq!((user(yes).may_spy, user(yes).may_be_spied), (SpyRight::None, false));
    }
    assert_eq!(user("DISABLE_SPY = \"no\"").may_spy, SpyRight::Barge);
}

#[test]
fn s066_s075_a_new_user_may_supervise_nobody_and_has_the_letters_of_the_document() {
    let user = load_text("[users.1]\npassword = \"p\"\ncontext = \"c\"").unwrap().users["1"].clone();
    assert_eq!((user.may_spy, user.spy_params.as_str()), (SpyRight::None, "ESsb"));
}

#[test]
fn the_masked_view_shows_every_section_and_no_secret() {
    let config = builtin(&passwords()).unwrap();
    let shown = config.masked();
    assert_eq!(shown["users"]["1001"]["password"], "***");
    assert_eq!(shown["sip"]["bind"][0], "udp://127.0.0.1:5060");
    assert_eq!(shown["media"]["rtp_timeout"], "60s");
    let text = shown.to_string() + &format!("{config:?}");
    assert!(passwords().iter().all(|password| !text.contains(password.expose())));
}

#[test]
fn the_init_files_say_the_defaults_and_three_users() {
    let config = builtin(&passwords()).unwrap();
    let users = config.users.iter().map(|(name, user)| (name.as_str(), user.password.expose()));
    let expected = [("1001", "first-password"), ("1002", "second-password"), ("1003", "third-password")];
    assert!(users.eq(expected));
    assert!(config.users.values().all(|user| user.context == "internal" && user.may_spy == SpyRight::None));
    assert_eq!(Config { users: BTreeMap::new(), ..config }, Config::default());
    let private = init_files(&passwords()).into_iter().filter(|file| file.private).map(|file| file.path);
    assert!(private.eq(["secrets/1001", "secrets/1002", "secrets/1003"].map(PathBuf::from)));
}

#[test]
fn short_passwords_are_warned_about_by_name_of_the_user() {
    let config = load_text("[users.7]\npassword = \"1234\"\ncontext = \"c\"").unwrap();
    assert_eq!(config.warnings(), ["the password of user 7 has fewer than 12 characters"]);
    assert!(builtin(&passwords()).unwrap().warnings().is_empty());
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "(?s).{0,200}") {
        let _ = load_text(&text);
    }

    #[test]
    fn no_value_makes_the_reader_panic(
        key in "(bind|ports|from|host|caller_id|ban_time|match|context)",
        value in "[0-9a-z:/\\[\\]<>.\\-éX ]{0,24}",
    ) {
        for section in ["sip", "media", "guests", "users.1", "trunks.1", "limits"] {
            let _ = load_text(&format!("[{section}]\npassword='x'\ncontext='x'\n{key} = '{value}'"));
            let _ = load_text(&format!("[{section}]\n{key} = ['{value}']"));
        }
    }
}

#[test]
fn s080_s085_wrong_letters_and_codes_are_named_with_their_place() {
    let user = "[users.1001]\npassword_file = \"secrets/1001\"\ncontext = \"internal\"\n";
    let letters = error(&format!("{user}spy_params = \"ESz\"\n"));
    assert!(letters.starts_with("etc/pbx.toml:4:14") && letters.contains("`z`"), "{letters}");
    assert!(error("[supervision]\ncodes = { listen = \"x1\" }\n").contains("digits, * and #"));
    assert!(error("[supervision]\ncodes = { listen = \"*92\" }\n").contains("`*92` cannot mean two things"));
    assert!(error("[supervision]\ncodes = { lisen = \"*92\" }\n").contains("listen"));
    assert!(load_text("[supervision]\ncodes = { eavesdrop = [] }\n").is_ok());
}
