//! The house's own rules, checked on its source text: arrows point down, files stay small, pure rooms stay pure.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The rooms from the top layer down, and the rooms each may use. `src/lib.rs` draws the same picture.
const ROOMS: &[(&str, u8, &[&str])] = &[
    (
        "cli",
        4,
        &[
            "astdb",
            "audio",
            "call",
            "config",
            "control",
            "dialplan",
            "evidence",
            "media",
            "outbox",
            "pbx",
            "receiver",
            "rtp",
            "sdp",
            "sip",
            "spy",
            "transport",
        ],
    ),
    (
        "pbx",
        4,
        &[
            "astdb",
            "audio",
            "call",
            "config",
            "control",
            "dialplan",
            "evidence",
            "media",
            "outbox",
            "rtp",
            "sdp",
            "sip",
            "transport",
        ],
    ),
    ("spy", 4, &["audio", "config", "control"]),
    ("receiver", 3, &["audio", "config", "outbox"]),
    ("control", 3, &["audio", "call", "config", "evidence"]),
    ("dialplan", 3, &["astdb", "audio", "call", "config", "media"]),
    ("call", 2, &["audio", "config", "evidence", "media", "outbox", "recorder", "rtp", "sdp", "sip", "transport"]),
    ("astdb", 1, &["config", "sqlite"]),
    ("evidence", 1, &[]),
    ("media", 1, &["audio", "rtp", "sdp"]),
    ("outbox", 1, &["audio", "config", "sqlite"]),
    ("recorder", 1, &["audio", "media", "rtp"]),
    ("sqlite", 1, &[]),
    ("transport", 1, &["config", "sip"]),
    ("audio", 0, &[]),
    ("config", 0, &[]),
    ("rtp", 0, &["audio"]),
    ("sdp", 0, &["audio"]),
    ("sip", 0, &["config"]),
];

/// Arrows that stay on their layer: the shell's one entry, a codec's name, a secret.
const SIDEWAYS: &[(&str, &str)] = &[
    ("cli", "pbx"),
    ("cli", "spy"),
    ("recorder", "media"),
    ("rtp", "audio"),
    ("sdp", "audio"),
    ("sip", "config"),
    ("astdb", "sqlite"),
    ("outbox", "sqlite"),
];

/// What a pure room never touches: time, threads, sockets and the runtime come in as arguments or not at all.
const IMPURE: &[&str] =
    &["Instant::now", "SystemTime", "tokio", "std::thread", "UdpSocket", "TcpStream", "TcpListener", "UnixStream"];

const LINES_PER_FILE: usize = 500;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder of sources").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The room a source file belongs to: `src/sip/uri.rs` and `src/sip.rs` to `sip`.
fn room_of(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("src")).expect("a file below src");
    let first = inside.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// The lines that are compiled into the product: no comments, nothing from the first `#[cfg(test)]` on.
fn product_lines(path: &Path) -> Vec<String> {
    if path.file_name().is_some_and(|name| name == "tests.rs")
        || path.components().any(|part| part.as_os_str() == "tests")
    {
        return Vec::new();
    }
    let text = std::fs::read_to_string(path).expect("a source file");
    let mut lines = text.lines().take_while(|line| !line.trim_start().starts_with("#[cfg(test)]"));
    let lines = lines.by_ref().map(|line| line.split("//").next().unwrap_or("").to_owned());
    lines.filter(|line| !line.trim().is_empty()).collect()
}

/// The rooms named as `crate::room` or in `crate::{room, …}`.
fn rooms_used(text: &str) -> BTreeSet<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>();
    let mut used = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        let Some(group) = rest.strip_prefix('{') else {
            used.insert(word(rest));
            continue;
        };
        let mut depth = 0;
        let mut start = true;
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => start = true,
                c if start && c.is_ascii_alphabetic() => {
                    used.insert(word(&group[at..]));
                    start = false;
                }
                _ => {}
            }
        }
    }
    used
}

#[test]
fn rooms_are_found_in_every_way_of_writing_them() {
    let used = rooms_used("use crate::{sip::{uri, wire}, rtp}; fn f(a: crate::audio::Frame) { crate::media::x() }");
    assert_eq!(used.into_iter().collect::<Vec<_>>(), ["audio", "media", "rtp", "sip"]);
}

#[test]
fn the_table_of_rooms_points_down() {
    let layer = |name: &str| ROOMS.iter().find(|(room, ..)| *room == name).map(|(_, layer, _)| *layer);
    for (room, own, below) in ROOMS {
        assert!(below.is_sorted(), "the rooms below {room} are sorted");
        for used in *below {
            let other = layer(used).unwrap_or_else(|| panic!("{used} is no room"));
            let sideways = SIDEWAYS.contains(&(room, used));
            assert!(other < *own || (other == *own && sideways), "{room} → {used} does not point down");
        }
    }
}

#[test]
fn every_room_uses_only_what_is_below_it() {
    let mut wrong = Vec::new();
    for path in rust_files(&root().join("src")) {
        let room = room_of(&path);
        if room == "bin" || room == "lib" {
            continue;
        }
        let Some((_, _, below)) = ROOMS.iter().find(|(name, ..)| *name == room) else {
            wrong.push(format!("{room} is not in the table of rooms"));
            continue;
        };
        for used in rooms_used(&product_lines(&path).join("\n")) {
            if used != room && ROOMS.iter().any(|(name, ..)| *name == used) && !below.contains(&used.as_str()) {
                wrong.push(format!("{} uses crate::{used}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn pure_rooms_touch_no_clock_no_thread_no_socket() {
    let pure: Vec<&str> = ROOMS.iter().filter(|(_, layer, _)| *layer == 0).map(|(room, ..)| *room).collect();
    let mut wrong = Vec::new();
    for path in rust_files(&root().join("src")) {
        if !pure.contains(&room_of(&path).as_str()) {
            continue;
        }
        for line in product_lines(&path) {
            wrong.extend(
                IMPURE.iter().filter(|word| line.contains(**word)).map(|word| format!("{}: {word}", path.display())),
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn files_are_small_and_say_what_they_are() {
    let mut wrong = Vec::new();
    for folder in ["src", "tests", "benches"] {
        for path in rust_files(&root().join(folder)) {
            let text = std::fs::read_to_string(&path).expect("a source file");
            let (lines, name) = (text.lines().count(), path.display());
            let limit = if path.parent().is_some_and(|folder| folder.ends_with("bin")) { 60 } else { LINES_PER_FILE };
            if lines > limit {
                wrong.push(format!("{name} has {lines} lines, more than {limit}"));
            }
            if !text.starts_with("//!") {
                wrong.push(format!("{name} does not open with its place in the house"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn nothing_unfinished_lands() {
    let words =
        [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("#[ig", "nore"), concat!("/wo", "rk/")];
    let mut wrong = Vec::new();
    for folder in ["src", "tests", "benches"] {
        for path in rust_files(&root().join(folder)) {
            let text = std::fs::read_to_string(&path).expect("a source file");
            wrong.extend(
                words.iter().filter(|word| text.contains(**word)).map(|word| format!("{}: {word}", path.display())),
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_room_is_declared_and_drawn_in_the_map() {
    let map = std::fs::read_to_string(root().join("src/lib.rs")).expect("src/lib.rs");
    for (room, ..) in ROOMS {
        assert!(map.contains(&format!("pub mod {room};")), "src/lib.rs declares {room}");
        assert!(map.contains(&format!("[`{room}`]")), "src/lib.rs draws {room}");
    }
}
