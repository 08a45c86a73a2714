//! What a caller, a remote or a stranger with a text editor can put into names and manifests.

use jiff::tz::TimeZone;
use proptest::prelude::*;
use serde_json::Value;

use super::{Home, at, manifest};
use crate::outbox::Manifest;
use crate::outbox::manifest::{Audio, Consent, Direction, Gap, Listener, Part, Party, Side, Span, manifest_name};
use crate::outbox::name::{Template, TemplateError, clean_name};

const USUAL: &str = "{start}-{direction}-{caller}-{callee}-{uuid}";

fn fill(template: &str, manifest: &Manifest) -> String {
    Template::parse(template).unwrap().fill(manifest, &TimeZone::UTC)
}

/// What callers have been called.
fn hostile_texts() -> Vec<String> {
    let fixed = [
        "../../etc/passwd",
        "..",
        ".",
        "...",
        "/",
        "//",
        "/etc/cron.d/x",
        "a/../../b",
        "~root",
        "$(reboot)",
        "`id`",
        "; rm -rf /",
        "a\0b",
        "a\nb",
        "a\r\nX-Header: y",
        "\u{1b}[31m",
        "<script>alert(1)</script>",
        "\"><img src=x>",
        "%2e%2e%2f",
        "..%c0%af",
        "\u{202e}gnp.exe",
        "ａｂｃ",
        "ü",
        "🎺",
        "",
        " ",
        "\t",
        "-rf",
        "--help",
        ".hidden",
        "con",
        "nul",
        "a:b",
        "a*b?",
        "'",
        "\"",
        "\\",
        "..\\..\\x",
        "|sh",
        "&",
        "!",
        "#",
        "a b",
        "+41 78 575 309",
        "outbox.sqlite3",
        "push.lock",
        ".writers",
        "x.json",
        "x.wav",
    ];
    let mut texts: Vec<String> = fixed.map(str::to_owned).to_vec();
    texts.extend((0..30).map(|n| format!("{}{}", "../".repeat(n), "x".repeat(n * 40))));
    texts.extend((0..30).map(|n| format!("{}\u{0}{}", ".".repeat(n), "é".repeat(n * 20))));
    assert!(texts.len() >= 100);
    texts
}

fn is_harmless(name: &str) -> bool {
    let part_is = |part: &str| {
        !part.is_empty()
            && part.len() <= 200
            && !part.starts_with(['.', '-'])
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "+._-".contains(c))
    };
    name.len() <= 1000 && name.split('/').all(part_is)
}

#[test]
fn d5_a_hundred_hostile_names_stay_in_the_spool() {
    let home = Home::new();
    let outside = std::fs::read_dir(home.folder.path()).unwrap().count();
    for text in hostile_texts() {
        let of = Manifest {
            from: text.clone(),
            to: text.clone(),
            from_name: text.clone(),
            call: text.clone(),
            agent: Some(text.clone()),
            ..manifest("x")
        };
        for template in
            [USUAL, "{caller}", "{date}/{callerid}-{exten}-{uniqueid}", "{agent}/{trunk}/{uuid}", "a/{caller}/{callee}"]
        {
            let name = fill(template, &of);
            assert!(is_harmless(&name), "{template} of {text:?}: {name}");
            let begun = home.outbox.begin(&Manifest { file: format!("{name}.wav"), ..manifest("x") }).unwrap();
            assert!(home.spool().join(manifest_name(&begun.file)).is_file(), "{}", begun.file);
        }
        let wished = clean_name(&text);
        assert!(is_harmless(&wished), "{text:?}: {wished}");
    }
    assert_eq!(std::fs::read_dir(home.folder.path()).unwrap().count(), outside);
}

#[test]
fn s137_the_callers_id_can_be_in_the_name_and_s138_the_unique_id_is() {
    let of = Manifest {
        from: "+41 785".into(),
        from_name: "Ann O'Hara".into(),
        call: "the-call".into(),
        direction: Direction::Out,
        ..manifest("x")
    };
    assert_eq!(fill(USUAL, &of), "20260528-202640-out-+41_785-1002-the-call");
    let template = "{date}/{callerid}-{exten}-{uniqueid}";
    assert_eq!(fill(template, &of), "2026-05-28/Ann_OHara_+41_785-1002-the-call");
    let known = Manifest { uniqueid: "1780.7".into(), from_name: String::new(), ..of };
    assert_eq!(fill(template, &known), "2026-05-28/+41_785-1002-1780.7");
}

#[test]
fn a_template_that_cannot_work_is_refused_with_a_word() {
    assert_eq!(Template::parse("{callr}"), Err(TemplateError::Unknown("callr".into())));
    assert_eq!(Template::parse("{caller"), Err(TemplateError::Open));
    for text in ["", "/x", "x/", "a//b", "../x", "a/../b", ".x", "a/b/c/d/e/f/g/h/i"] {
        assert!(matches!(Template::parse(text), Err(TemplateError::Text(_))), "{text}");
    }
    let told = Template::parse("{x}").unwrap_err().to_string();
    assert!(told.contains("{uniqueid}"), "{told}");
}

#[test]
fn d5_a_link_that_was_planted_in_the_spool_leads_nowhere() {
    let home = Home::new();
    let away = home.folder.path().join("away");
    std::fs::create_dir(&away).unwrap();
    std::fs::write(away.join("secret.wav"), b"secret").unwrap();
    std::os::unix::fs::symlink(&away, home.spool().join("day")).unwrap();
    std::os::unix::fs::symlink(away.join("secret.wav"), home.spool().join("planted.wav")).unwrap();
    assert_eq!(home.outbox.begin(&manifest("day/x.wav")).unwrap().file, "day-2/x.wav", "not into a folder outside");
    assert_eq!(home.outbox.begin(&manifest("planted.wav")).unwrap().file, "planted-2.wav");
    for name in ["day/secret.wav", "planted.wav", "../away/secret.wav"] {
        assert!(home.outbox.spool().open_file(name).is_err(), "{name}");
        assert!(home.outbox.adopt(manifest(name)).is_err(), "{name}");
    }
    assert!(home.outbox.spool().write_whole("day/new.json", b"x").is_err());
    assert_eq!(std::fs::read_dir(away).unwrap().count(), 1);
}

#[test]
fn what_a_later_version_has_added_is_kept() {
    let home = Home::new();
    let done = home.finished("x.wav", b"abc");
    let mut text: Value = serde_json::from_slice(&done.print()).unwrap();
    text["score"] = serde_json::json!({"mos": 4.1, "by": ["a", null]});
    text["audio"]["loudness"] = serde_json::json!(-23);
    text["parties"] = serde_json::json!([{"side": "left", "number": "1", "city": "Bern"}]);
    let read = Manifest::parse(text.to_string().as_bytes()).unwrap();
    let again: Value = serde_json::from_slice(&read.print()).unwrap();
    for at in ["/score/mos", "/score/by/1", "/audio/loudness", "/parties/0/city"] {
        assert_eq!(again.pointer(at), text.pointer(at), "{at}");
    }
}

#[test]
fn what_is_no_manifest_is_refused() {
    let good: Value = serde_json::from_slice(&manifest("x.wav").print()).unwrap();
    assert!(Manifest::parse(good.to_string().as_bytes()).is_ok());
    for (field, value) in [
        ("schema", serde_json::json!("wirechief.recording/2")),
        ("id", serde_json::json!("../../x")),
        ("id", serde_json::json!(7)),
        ("state", serde_json::json!("done")),
        ("started", serde_json::json!("yesterday")),
        ("file", serde_json::json!(null)),
        ("audio", serde_json::json!({"rate_hz": -1})),
        ("parts", serde_json::json!("x")),
    ] {
        let mut bad = good.clone();
        bad[field] = value;
        assert!(Manifest::parse(bad.to_string().as_bytes()).is_err(), "{field}");
    }
    for text in ["", "{}", "[]", "null", "{\"schema\":"] {
        assert!(Manifest::parse(text.as_bytes()).is_err(), "{text}");
    }
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Left), Just(Side::Right), Just(Side::Whisper)]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), Just("\u{202e}\"\\\0\u{1b}</script>".to_owned())]
}

prop_compose! {
    fn audio()(format in text(), rate_hz: u32, channels: u16, frames: u64, ms in 0..u64::from(u32::MAX), bytes: u64, sha256 in text())
        -> Audio {
        #[expect(clippy::cast_precision_loss, reason = "32 bits fit")]
        let duration_s = ms as f64 / 1000.0;
        Audio { format, rate_hz, channels, frames, duration_s, bytes, sha256, ..Audio::default() }
    }
}

prop_compose! {
    fn any_manifest()(
        texts in prop::collection::vec(text(), 12),
        audio in audio(),
        side in side(),
        numbers in prop::collection::vec(any::<u64>(), 4),
        seconds in 0_i64..4_000_000_000,
        variables in prop::collection::btree_map(text(), text(), 0..4),
        some: bool,
    ) -> Manifest {
        let t = |at: usize| texts[at].clone();
        let when = at(seconds - 1_780_000_000);
        Manifest {
            from: t(0), from_name: t(1), to: t(2), call: t(3), leg: t(4), uniqueid: t(5), reason: t(6),
            agent: some.then(|| t(7)), room: some.then(|| t(8)), answered: some.then_some(when), ended: Some(when),
            parties: vec![Party { side, uuid: t(9), user: some.then(|| t(10)), number: t(11), name: t(0), extra: Default::default() }],
            audio,
            parts: vec![Part { file: t(3), frames: numbers[0], bytes: numbers[1], sha256: t(4), extra: Default::default() }],
            gaps: vec![Gap { side, from_ms: numbers[0], ms: numbers[1], why: t(5) }],
            pauses: vec![Span { from_ms: numbers[2], ms: numbers[3], by: t(6) }],
            consent: vec![Consent { announcement: t(7), at: when, to: some.then_some(side), extra: Default::default() }],
            listeners: vec![Listener { user: t(8), mode: t(9), from: when, until: some.then_some(when) }],
            variables,
            ..Manifest::new(&t(10), when)
        }
    }
}

proptest! {
    #[test]
    fn a_manifest_is_read_as_it_was_written(manifest in any_manifest()) {
        prop_assert_eq!(Manifest::parse(&manifest.print()).unwrap(), manifest);
    }

    #[test]
    fn every_value_gives_a_harmless_name(value in any::<String>(), template in 0_usize..4) {
        let of = Manifest { from: value.clone(), to: value.clone(), from_name: value.clone(), uniqueid: value.clone(), room: Some(value.clone()), ..manifest("x") };
        let templates = [USUAL, "{caller}{callee}", "{room}/{callerid}", "{uniqueid}"];
        let name = fill(templates[template], &of);
        prop_assert!(is_harmless(&name), "{}", name);
        prop_assert!(is_harmless(&clean_name(&value)));
    }
}
