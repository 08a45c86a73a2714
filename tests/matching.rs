//! What a number means: the order of Asterisk's list, `pbx match` and `dialplan show`, and a second opinion on the matcher.

#[path = "oracle/pattern.rs"]
mod oracle;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;
use wirechief::dialplan::{Dialplan, Given, PlanError, show};

/// One context in the order in which Asterisk 22 lists and tries it.
const SEARCH_ORDER: &str = include_str!("data/dialplan/search-order.txt");
/// Dialled texts and what Asterisk 22 finds for them there.
const DIALLED: &str = include_str!("data/dialplan/dialled.txt");

fn pbx(folder: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pbx"));
    command.env_clear().env("HOME", folder).env("XDG_RUNTIME_DIR", folder).current_dir(folder);
    command.args(words).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The names in the opposite order, so that the file does not give it away.
fn listing() -> String {
    let lines: String = SEARCH_ORDER.lines().rev().map(|name| format!("exten => {name},1,NoOp()\n")).collect();
    format!("[main]\n{lines}")
}

#[test]
fn s098_and_s099_pbx_match_finds_what_asterisk_finds_in_its_order() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("plan.conf"), listing()).unwrap();
    for (dialled, name) in DIALLED.lines().filter_map(|line| line.split_once(' ')) {
        let output = pbx(folder.path(), &["match", dialled, "--file", "plan.conf", "--json"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let document: Value = serde_json::from_str(text(&output.stdout)).unwrap();
        assert_eq!(document["schema"], "pbx.match/1");
        assert_eq!((&document["extension"]["name"], &document["context"]), (&name.into(), &"main".into()), "{dialled}");
        // what was tried, with the one that was found, is the whole list in its order
        let mut tried: Vec<&str> =
            document["tried"].as_array().unwrap().iter().map(|tried| tried["name"].as_str().unwrap()).collect();
        let at = SEARCH_ORDER.lines().position(|listed| listed == name).unwrap();
        tried.insert(at, name);
        assert_eq!(tried, SEARCH_ORDER.lines().collect::<Vec<_>>(), "{dialled}");
    }
}

#[test]
fn dialplan_show_lists_in_the_order_of_trying() {
    let plan = Dialplan::parse(&[("plan.conf".into(), listing())]).unwrap();
    let shown = show::text(&plan, None).unwrap();
    let names: Vec<&str> = shown
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix('\'')?.split_once('\''))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, SEARCH_ORDER.lines().collect::<Vec<_>>());
    assert!(shown.ends_with("\n\n-= 17 extensions (17 priorities) in 1 context. =-\n"), "{shown}");
}

#[test]
fn pbx_match_says_why_and_its_exit_codes_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("plan.conf", "[default]\n#include more.conf\nexten => 200,1,NoOp()\n same => n(end),Hangup()\n[other]\n");
    write("more.conf", "exten => 200/77,1,Busy()\n");
    let ask = |words: &[&str]| {
        let output = pbx(folder.path(), &[&["match"], words].concat());
        (output.status.code(), text(&output.stdout).to_owned(), text(&output.stderr).to_owned())
    };
    let (code, out, _) = ask(&["200", "--file", "plan.conf"]);
    assert_eq!(code, Some(0));
    assert_eq!(
        out,
        "200 in [default] is 200 of [default], plan.conf:3\n  1 NoOp()\n  2 (end) Hangup()\nnot 200/77 of [default]: only for the caller 77\n"
    );
    let (code, out, _) = ask(&["200", "--file", "plan.conf", "--caller", "77"]);
    assert_eq!((code, out.lines().next()), (Some(0), Some("200 in [default] is 200/77 of [default], more.conf:1")));
    let (code, out, _) = ask(&["201", "--file", "plan.conf"]);
    assert_eq!((code, out.lines().nth(1)), (Some(3), Some("not 200/77 of [default]: position 3 is `1`, not `0`")));
    assert_eq!(ask(&["200", "--file", "plan.conf", "--context", "defualt"]).0, Some(2));
    write("broken.conf", "[a]\nexten => 1,1,NoOp(\n");
    let (code, out, err) = ask(&["200", "--file", "broken.conf"]);
    assert_eq!((code, out.as_str()), (Some(5), ""));
    assert!(err.contains("broken.conf:2:18: `(` opened here is never closed"), "{err}");
    let (code, out, _) = ask(&["600"]);
    assert_eq!(code, Some(0), "the built-in plan");
    assert!(out.starts_with("600 in [internal] is 600 of [internal]"), "{out}");
}

/// Seeded: the same contexts every time.
fn runner() -> TestRunner {
    TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &[98; 32]))
}

#[test]
fn five_thousand_contexts_find_what_the_naive_matcher_finds() {
    let mut runner = runner();
    let name = "_?([0-3*XNZnz]|-|\\[[0-4]{1,3}\\]|\\[1-3\\]|\\[a-c0\\]){1,4}[.!]?";
    let names = prop::collection::vec(name, 0..25);
    let numbers = prop::collection::vec("[0-5a*-]{0,6}", 8);
    for _ in 0..5_000 {
        let names = names.new_tree(&mut runner).unwrap().current();
        let (mut lines, mut known) = (String::from("[main]\n"), Vec::new());
        for name in &names {
            let line = format!("exten => {name},1,NoOp()\n");
            // names that are the same, and names of nothing but dashes, are refused
            if Dialplan::parse(&[("x".into(), format!("{lines}{line}"))]).is_ok() {
                lines.push_str(&line);
                known.push(name.as_str());
            }
        }
        let plan = Dialplan::parse(&[("x".into(), lines)]).unwrap();
        for number in numbers.new_tree(&mut runner).unwrap().current() {
            let found = plan.find("main", &number).map(|extension| extension.name().to_owned());
            assert_eq!(found.as_deref(), oracle::find(&known, &number), "{number} in {known:?}");
        }
    }
}

const CORPUS: [&str; 3] = [
    "[general]\nstatic=yes\n[globals]\nA=1\nB=${A}2\n[t](!)\nexten => _NXX,1,NoOp(${EXTEN:1:2})\n[main](t)\n same => n(l),GotoIf($[${A} = 1]?l:x,1)\n\
     exten => h,1,Hangup()\ninclude => main,9:00-17:00,mon-fri,*,*\n#include \"b.conf\"\n",
    "[b]\nexten => s,1,Set(X=${IF($[1]?a:b)})\nexten => s,hint,SIP/1&SIP/2\nexten => 1/_2X.,s+3(q),Dial(SIP/${X}&SIP/2,30,g)\n;-- block\n--; same => n,Verbose(1,\"a\\;b\")\n#tryinclude *.conf\n",
    "[c](+)\n[d]\nexten => _[0-9a-f].!,n+101,Playback(beep&silence/1)\nswitch => Realtime/x\nignorepat => 9\n[e](d,t)\nexten += x\n",
];

#[test]
fn s177_whatever_byte_is_wrong_the_error_has_a_place_inside_its_file() {
    let mut runner = runner();
    for _ in 0..3_000 {
        let mut files: Vec<(PathBuf, String)> = Vec::new();
        for (name, text) in ["a.conf", "b.conf", "c.conf"].iter().zip(CORPUS) {
            let mut bytes = text.as_bytes().to_vec();
            for (at, byte, kind) in
                prop::collection::vec((0..text.len(), 0_u8..128, 0..3), 0..6).new_tree(&mut runner).unwrap().current()
            {
                let at = at.min(bytes.len() - 1);
                match kind {
                    0 => bytes[at] = byte,
                    1 => bytes.insert(at, byte),
                    _ => drop(bytes.remove(at)),
                }
            }
            files.push((PathBuf::from(name), String::from_utf8_lossy(&bytes).into_owned()));
        }
        let asked = [files[0].clone(), files[2].clone()];
        let found = Dialplan::load(&asked, &Given(&files));
        let told = found.as_ref().map_or_else(|errors| errors.as_slice(), Dialplan::warnings);
        told.iter().for_each(|error| assert_inside(error, &files));
        if let Ok(plan) = &found {
            show::text(plan, None).unwrap();
            plan.explain(&wirechief::dialplan::Query::new("main", "200"));
        }
    }
}

fn assert_inside(error: &PlanError, files: &[(PathBuf, String)]) {
    let (_, text) = files.iter().find(|(path, _)| **path == *error.span.file).unwrap_or_else(|| panic!("{error}"));
    let line = usize::try_from(error.span.line).unwrap().checked_sub(1).and_then(|line| text.split('\n').nth(line));
    let columns = line.unwrap_or_else(|| panic!("{error}\n{text}")).chars().count();
    let column = usize::try_from(error.span.column).unwrap();
    assert!((1..=columns + 1).contains(&column), "{error}\n{text}");
}
