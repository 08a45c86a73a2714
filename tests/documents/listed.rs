//! Every example is one that `pbx check` finds nothing wrong with, and README.md lists it.

use std::path::Path;
use std::process::Command;

use crate::harness::example_folder;

const README: &str = include_str!("../../README.md");

/// The names of all examples.
fn examples() -> Vec<String> {
    let folder = std::fs::read_dir(example_folder("")).expect("the examples");
    let names = folder.flatten().filter(|entry| entry.path().is_dir());
    let mut names: Vec<String> = names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Copies an example, with ports that are free.
fn copied(name: &str, to: &Path) {
    for entry in std::fs::read_dir(example_folder(name)).expect("an example").flatten() {
        let text = std::fs::read_to_string(entry.path()).expect("a text");
        std::fs::write(to.join(entry.file_name()), text.replace("127.0.0.1:5060", "127.0.0.1:0")).expect("a copy");
    }
}

/// What the authors' own lines are warned of.
const WARNED: &[(&str, &[&str])] = &[(
    "recording-transport",
    &["extensions_custom.conf:10:28: Macro: the blank before `OUT` belongs to the argument, as in Asterisk"],
)];

#[test]
fn s104_every_example_is_checked_without_errors_and_with_no_other_warnings_than_are_known() {
    // Remotes alone are parts of settings; their own tests read them.
    for name in examples().into_iter().filter(|name| name != "remotes") {
        let folder = tempfile::tempdir().expect("a folder");
        copied(&name, folder.path());
        let settings = folder.path().join("pbx.toml");
        let mut pbx = Command::new(env!("CARGO_BIN_EXE_pbx"));
        pbx.env_clear().env("HOME", folder.path()).env("XDG_RUNTIME_DIR", folder.path());
        let output = pbx.arg("--config").arg(settings).arg("check").output().expect("pbx");
        assert!(output.status.success() && output.stdout.is_empty(), "{name}: {output:?}");
        let notes = String::from_utf8(output.stderr).expect("text");
        let mut notes: Vec<&str> = notes.lines().collect();
        let last = notes.pop().unwrap_or_default();
        assert!(last.starts_with("no errors in "), "{name}: {last}");
        let known = WARNED.iter().find(|(example, _)| *example == name).map_or(&[][..], |(_, known)| known);
        assert_eq!(notes.len(), known.len(), "{name}: {notes:?}");
        assert!(notes.iter().zip(known).all(|(note, known)| note.ends_with(known)), "{name}: {notes:?}");
    }
}

#[test]
fn the_readme_lists_every_example_and_no_other() {
    let mut listed: Vec<&str> = README.lines().filter_map(|line| line.strip_prefix("| `examples/")).collect();
    listed.iter_mut().for_each(|line| *line = line.split('`').next().unwrap_or_default());
    listed.sort_unstable();
    assert_eq!(listed, examples());
}
