//! Every command line of README.md and of the examples in rec's manual names programs, commands and flags that exist.

use std::path::Path;

use wirechief::cli::Tool;

const README: &str = include_str!("../README.md");
const MANIFEST: &str = include_str!("../Cargo.toml");

#[test]
fn every_command_of_the_readme_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut checked, mut wrong) = (0, Vec::new());
    for line in fenced_lines(README).chain(inline_commands(README)) {
        for command in commands(line) {
            match check(&command, root) {
                Ok(ours) => checked += usize::from(ours),
                Err(why) => wrong.push(format!("{line}: {}", why.lines().next().unwrap_or_default())),
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(checked > 40, "only {checked} commands were found");
}

#[test]
fn every_example_of_recs_manual_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut checked, mut wrong) = (0, Vec::new());
    let mut texts = Vec::new();
    helps(&Tool::Rec.command(), &mut texts);
    for line in texts.iter().flat_map(|text| text.lines()).map(str::trim_start) {
        for command in commands(line) {
            match check(&command, root) {
                Ok(ours) => checked += usize::from(ours),
                Err(why) => wrong.push(format!("{line}: {}", why.lines().next().unwrap_or_default())),
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(checked > 30, "only {checked} commands were found");
}

/// What stands under `--help` of a command and of those below it.
fn helps(command: &clap::Command, texts: &mut Vec<String>) {
    texts.extend(command.get_after_help().map(ToString::to_string));
    command.get_subcommands().for_each(|sub| helps(sub, texts));
}

#[test]
fn the_check_finds_what_does_not_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for wrong in [
        "pbx fly",
        "pbx -ry 'core show channels'",
        "astdb fly",
        "spy --loud \"$U\"",
        "ssh box spy --loud \"$U\" | aplay",
        "kill -HUP $(pbx status --pids)",
        "0 4 * * *  pbx stop --gracefully && true",
        "cargo run --bin nothing",
        "cargo bench --bench nothing",
        "sounds/nothing.sh",
    ] {
        assert!(commands(wrong).iter().any(|command| check(command, root).is_err()), "{wrong}");
    }
}

fn fenced_lines(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines().filter(move |line| {
        let fence = line.starts_with("```");
        fenced ^= fence;
        fenced && !fence
    })
}

/// `pbx …`, `spy …`, `astdb …` and `rec …` within sentences.
fn inline_commands(text: &str) -> impl Iterator<Item = &str> {
    let outside = text.split("```").step_by(2);
    outside
        .flat_map(|text| text.split('`').skip(1).step_by(2))
        .filter(|code| ["pbx ", "spy ", "astdb ", "rec "].iter().any(|tool| code.starts_with(tool)))
}

/// The commands of a line, each as its words: split at pipes, lists, redirections and command substitutions.
fn commands(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut word = String::new();
    let mut quote = None;
    let mut characters = line.chars().peekable();
    let end_word = |word: &mut String, commands: &mut Vec<Vec<String>>| {
        if !word.is_empty() {
            commands.last_mut().expect("never empty").push(std::mem::take(word));
        }
    };
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '#') if word.is_empty() => break,
            (None, ' ') => end_word(&mut word, &mut commands),
            (None, '|' | '&' | ';' | '>' | '<' | ')') => {
                end_word(&mut word, &mut commands);
                commands.push(Vec::new());
            }
            (None, '$') if characters.next_if_eq(&'(').is_some() => {
                end_word(&mut word, &mut commands);
                commands.push(Vec::new());
            }
            (_, c) => word.push(c),
        }
    }
    end_word(&mut word, &mut commands);
    commands.retain(|command| !command.is_empty());
    commands
}

/// Whether it was a command of ours; an error when it is one that does not exist.
fn check(words: &[String], root: &Path) -> Result<bool, String> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["ssh", _, rest @ ..] => known(rest),
        ["cargo", rest @ ..] => cargo(rest),
        [_, _, "*", "*", "*", rest @ ..] => known(rest),
        [path, ..] if path.contains('/') && !path.contains(['<', '=', '$', '~']) => {
            if root.join(path).exists() {
                Ok(true)
            } else {
                Err(format!("there is no {path}"))
            }
        }
        words => known(words),
    }
}

fn known(words: &[&str]) -> Result<bool, String> {
    let Some(tool) = words.first().and_then(|name| Tool::ALL.into_iter().find(|tool| tool.name() == *name)) else {
        return Ok(false);
    };
    // as the program itself does with Asterisk's flag
    let words = words.iter().enumerate().map(|(at, word)| if at == 1 && *word == "-rx" { "rx" } else { word });
    tool.command().try_get_matches_from(words).map(|_| true).map_err(|error| error.to_string())
}

fn cargo(words: &[&str]) -> Result<bool, String> {
    let after = |flag: &str| words.iter().position(|word| *word == flag).and_then(|at| words.get(at + 1));
    if let Some(bench) = after("--bench") {
        let declared =
            MANIFEST.split("[[bench]]").skip(1).any(|bench_text| bench_text.contains(&format!("name = \"{bench}\"")));
        return if declared { Ok(true) } else { Err(format!("there is no benchmark {bench}")) };
    }
    if let Some(bin) = after("--bin") {
        let arguments = words.iter().position(|word| *word == "--").map_or(&[][..], |at| &words[at + 1..]);
        let called: Vec<&str> = std::iter::once(*bin).chain(arguments.iter().copied()).collect();
        return if known(&called)? { Ok(true) } else { Err(format!("there is no program {bin}")) };
    }
    match words.first() {
        Some(&("build" | "test" | "doc")) => Ok(true),
        other => Err(format!("cargo {other:?}")),
    }
}
