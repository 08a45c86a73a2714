//! `man/` and `completions/` are what the code prints; `BLESS=1` rewrites them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files_there() -> BTreeSet<PathBuf> {
    let folders = ["man", "completions"].map(|folder| fs::read_dir(root().join(folder)));
    folders.into_iter().flatten().flatten().flatten().map(|entry| entry.path()).collect()
}

#[test]
fn manual_and_completions_are_those_of_the_code() {
    let bless = std::env::var_os("BLESS").is_some_and(|value| value == "1");
    let mut wrong = Vec::new();
    let mut superfluous = files_there();
    for (path, text) in wirechief::cli::generated_files() {
        let file = root().join(&path);
        superfluous.remove(&file);
        if fs::read_to_string(&file).is_ok_and(|there| there == text) {
            continue;
        }
        if bless {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, text).unwrap();
        } else {
            wrong.push(path);
        }
    }
    for file in superfluous {
        if bless {
            fs::remove_file(&file).unwrap();
        } else {
            wrong.push(file.display().to_string());
        }
    }
    assert!(wrong.is_empty(), "out of date, run the tests once with BLESS=1: {wrong:?}");
}
