//! The manual pages and completion scripts, from the same source as `--help`.
//! Above: `man` and `completion` print them; a test compares the files of the repository with them.

use clap::Command;
use clap_mangen::Man;

use super::complete;
use super::entry::Tool;
use super::exit::Exit;
use super::manual;

/// Shells with a completion script, and how their files are named.
pub(super) const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

/// Path (from the repository's root) and text of every generated file.
pub fn generated_files() -> Vec<(String, String)> {
    let mut files = vec![
        ("man/wirechief-dialplan.7".to_owned(), manual::page()),
        ("man/wirechief-remotes.7".to_owned(), manual::remotes::page()),
    ];
    for tool in Tool::ALL {
        for (name, page) in pages(tool) {
            files.push((format!("man/{name}.1"), page));
        }
        for shell in SHELLS {
            let name = match shell {
                "zsh" => format!("_{}", tool.name()),
                other => format!("{}.{other}", tool.name()),
            };
            files.push((format!("completions/{name}"), complete::script(tool, shell).unwrap_or_default()));
        }
    }
    files
}

/// The pages of a tool by name: the tool's own, then one a command, `pbx-calls-show` for the nested.
pub(super) fn pages(tool: Tool) -> Vec<(String, String)> {
    let mut root = tool.command().disable_help_subcommand(true);
    root.build();
    let mut pages = Vec::new();
    collect(&root, &mut pages);
    pages
}

fn collect(command: &Command, pages: &mut Vec<(String, String)>) {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    pages.push((name.clone(), page(command, &name)));
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        collect(sub, pages);
    }
}

fn page(command: &Command, name: &str) -> String {
    let version = command.get_version().unwrap_or(env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone())
        .title(name.to_uppercase())
        .section("1")
        .source(format!("wirechief {version}"))
        .manual("Wirechief");
    let mut text = Vec::new();
    // Writing into memory does not fail.
    let _ = man.render_title(&mut text);
    let _ = man.render_name_section(&mut text);
    let _ = man.render_synopsis_section(&mut text);
    let _ = man.render_description_section(&mut text);
    let _ = man.render_options_section(&mut text);
    if command.has_subcommands() {
        let _ = man.render_subcommands_section(&mut text);
    }
    let mut text = String::from_utf8_lossy(&text).into_owned();
    text.push_str(&examples(command));
    text.push_str(&exit_status());
    text.push_str(&environment(name));
    text
}

/// The examples under `--help`, line for line.
fn examples(command: &Command) -> String {
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let Some(lines) = after.strip_prefix("Examples:\n") else { return String::new() };
    let lines: Vec<String> = lines.lines().map(|line| literal(line.trim_start())).collect();
    format!(".SH EXAMPLES\n.nf\n{}\n.fi\n", lines.join("\n"))
}

/// A line that the formatter leaves as it is.
pub(super) fn literal(line: &str) -> String {
    let line = line.replace('\\', r"\e").replace('-', r"\-").replace('\'', r"\(aq");
    if line.starts_with('.') { format!(r"\&{line}") } else { line }
}

fn exit_status() -> String {
    let mut text = String::from(".SH \"EXIT STATUS\"\n");
    for exit in Exit::ALL {
        text.push_str(&format!(".TP\n\\fB{}\\fR\n{}\n", exit.code(), literal(exit.meaning())));
    }
    text
}

fn environment(name: &str) -> String {
    let variables = [
        ("WIRECHIEF_CONFIG", "Settings file, where --config names none."),
        ("WIRECHIEF_SOCKET", "Control socket, where --socket names none."),
        ("WIRECHIEF_JSON", "1: as --json."),
        ("NO_COLOR", "Set: no colours, where --color does not say otherwise."),
    ];
    let astdb = [
        ("ASTDB_FILE", "The store, where --file names none."),
        ("ASTDB_KEY_FILE", "Its key file, where --key-file names none."),
    ];
    let rec = [("REC_SPOOL", "The folder of recordings, where --spool names none.")];
    let own = match name.split('-').next() {
        Some("astdb") => &astdb[..],
        Some("rec") => &rec[..],
        _ => &[],
    };
    let mut text = String::from(".SH ENVIRONMENT\n");
    for (name, meaning) in variables.iter().chain(own) {
        text.push_str(&format!(".TP\n\\fB{name}\\fR\n{}\n", literal(meaning)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_that_names_its_exit_codes() {
        let pages = pages(Tool::Pbx);
        for wanted in ["pbx", "pbx-calls", "pbx-calls-show", "pbx-hangup"] {
            let (_, page) =
                pages.iter().find(|(name, _)| name == wanted).unwrap_or_else(|| panic!("{wanted}: {pages:?}"));
            assert!(page.contains("EXIT STATUS") && page.contains(".TH"), "{page}");
        }
    }

    #[test]
    fn an_example_is_printed_as_it_is_typed() {
        assert_eq!(literal(r"jq -r '.a' \x"), r"jq \-r \(aq.a\(aq \ex");
        let pages = pages(Tool::Pbx);
        assert!(pages[0].1.contains("kill \\-HUP $(pbx status \\-\\-pid)"), "{}", pages[0].1);
    }
}
