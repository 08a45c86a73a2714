//! RFC 4475 and RFC 5118: every message as the RFC says, against the table `data/torture.txt`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// One line of the table.
struct Row {
    name: String,
    wire: Vec<String>,
    udp: Vec<String>,
    tcp: Vec<String>,
}

impl Row {
    fn parse(line: &str) -> Self {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let list = |column: &str| column.split('|').map(str::to_owned).collect();
        Self { name: columns[0].to_owned(), wire: list(columns[1]), udp: list(columns[2]), tcp: list(columns[3]) }
    }
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

fn table() -> Vec<Row> {
    let text = std::fs::read_to_string(data().join("torture.txt")).expect("tests/data/torture.txt");
    text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()).map(Row::parse).collect()
}

#[test]
fn every_message_has_one_line_in_the_table_and_every_line_a_message() {
    let rows = table();
    let named: BTreeSet<String> = rows.iter().map(|row| row.name.clone()).collect();
    assert_eq!(named.len(), rows.len(), "a message is named twice");
    let mut stored = BTreeSet::new();
    for (folder, count) in [("rfc4475", 49), ("rfc5118", 12)] {
        let files: Vec<_> = std::fs::read_dir(data().join(folder)).expect(folder).flatten().collect();
        assert_eq!(files.len(), count, "{folder}");
        stored.extend(files.iter().map(|file| format!("{folder}/{}", file.path().file_stem().unwrap().display())));
    }
    assert_eq!(named, stored);
    for row in rows {
        let verdicts = row.wire.iter().chain(&row.udp).chain(&row.tcp);
        for verdict in verdicts {
            let status = verdict.trim_start_matches("no:").trim_start_matches("ok:");
            let known = ["drop", "served", "close", "wait"].contains(&status)
                || status.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
            assert!(known, "{}: {verdict}", row.name);
        }
    }
}
