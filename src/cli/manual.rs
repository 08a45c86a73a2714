//! The manual of the dialplan, wirechief-dialplan(7): the language in words, applications and functions from their tables.
//! Above: `man dialplan` prints it, `generate` keeps the repository's copy. Below: `dialplan`.

mod language;
pub(super) mod remotes;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use self::language::Block;
use super::generate::literal;
use crate::dialplan::{absent, app, func};

/// The page, for `man -l -`.
pub(super) fn page() -> String {
    let mut text = format!(
        ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n.TH WIRECHIEF\\-DIALPLAN 7 \"\" \"wirechief {}\" \"Wirechief\"\n\
         .SH NAME\nwirechief\\-dialplan \\- the language of extensions.conf, its applications and functions\n",
        env!("CARGO_PKG_VERSION")
    );
    for (heading, blocks) in language::sections() {
        section(&mut text, heading);
        blocks.iter().for_each(|block| put(&mut text, block));
    }
    applications(&mut text);
    functions(&mut text);
    section(&mut text, "WHAT IS NOT HERE");
    put(&mut text, &Block::Words(language::ABSENT.to_owned()));
    absentees(&mut text, "Applications", absent::apps());
    absentees(&mut text, "Functions", absent::functions());
    section(&mut text, "SEE ALSO");
    text.push_str("\\fBpbx\\fR(1), \\fBpbx\\-check\\fR(1), \\fBpbx\\-codes\\fR(1), \\fBpbx\\-eval\\fR(1), ");
    text.push_str("\\fBpbx\\-match\\fR(1), \\fBpbx\\-trace\\fR(1), \\fBastdb\\fR(1)\n");
    text
}

fn section(text: &mut String, heading: &str) {
    let _ = writeln!(text, ".SH \"{heading}\"");
}

fn put(text: &mut String, block: &Block) {
    let _ = match block {
        Block::Words(words) => writeln!(text, ".PP\n{}", literal(words)),
        Block::Point(head, words) => writeln!(text, ".TP\n\\fB{}\\fR\n{}", literal(head), literal(words)),
        Block::Lines(lines) => {
            let lines: Vec<String> = lines.iter().map(|line| literal(line)).collect();
            writeln!(text, ".PP\n.nf\n.RS 4\n{}\n.RE\n.fi", lines.join("\n"))
        }
    };
}

fn applications(text: &mut String) {
    section(text, "APPLICATIONS");
    put(text, &Block::Words(language::APPLICATIONS.to_owned()));
    for app in app::TABLE {
        put(text, &Block::Point(format!("{}({})", app.name(), app.syntax()), app.synopsis().to_owned()));
        if app.options().is_empty() {
            continue;
        }
        text.push_str(".RS\n");
        for option in app.options() {
            put(text, &Block::Point(option.name.to_owned(), option.help.to_owned()));
        }
        text.push_str(".RE\n");
    }
}

fn functions(text: &mut String) {
    section(text, "FUNCTIONS");
    put(text, &Block::Words(language::FUNCTIONS.to_owned()));
    for func in func::TABLE {
        put(text, &Block::Point(format!("{}({})", func.name(), func.syntax()), func.synopsis().to_owned()));
    }
}

/// Names that are not here, by the reason why.
fn absentees(text: &mut String, kind: &str, names: impl Iterator<Item = (&'static str, &'static str)>) {
    let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, why) in names {
        by_reason.entry(why).or_default().push(name);
    }
    let _ = writeln!(text, ".SS {kind}");
    for (why, names) in by_reason {
        put(text, &Block::Point(why.to_owned(), names.join(", ")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialplan::Template;

    #[test]
    fn every_application_option_function_and_absentee_is_on_the_page() {
        let page = page();
        let heads: Vec<&str> = page.lines().collect();
        let has = |head: String| assert!(heads.contains(&format!("\\fB{}\\fR", literal(&head)).as_str()), "{head}");
        for app in app::TABLE {
            has(format!("{}({})", app.name(), app.syntax()));
            app.options().iter().for_each(|option| has(option.name.to_owned()));
        }
        func::TABLE.iter().for_each(|func| has(format!("{}({})", func.name(), func.syntax())));
        let words: Vec<&str> = page.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).collect();
        for (name, _) in absent::apps().chain(absent::functions()) {
            assert!(words.contains(&name), "{name}");
        }
    }

    #[test]
    fn the_formatter_takes_no_line_of_text_for_a_request() {
        let requests = ["PP", "TP", "SH", "SS", "TH", "RS", "RE", "nf", "fi", "ie", "el"];
        for line in page().lines() {
            let request = line.strip_prefix('.').map(|line| line.split(' ').next().unwrap_or_default());
            assert!(request.is_none_or(|request| requests.contains(&request)), "{line}");
            assert!(!line.starts_with('\''), "{line}");
        }
    }

    #[test]
    fn the_expressions_of_the_page_have_the_values_it_says() {
        let mut scope = crate::dialplan::Alone::with(vec![("V".to_owned(), "0123456789".to_owned())]);
        for (text, value) in language::VALUES {
            let template = Template::compile(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(template.piece().value(&mut scope), *value, "{text}");
        }
    }

    #[test]
    fn the_dialplans_of_the_page_are_read_without_a_word() {
        for lines in [language::EXAMPLE, language::CHECKED_PIN, language::RECORDED] {
            let text = lines.join("\n") + "\n";
            let plan = crate::dialplan::Dialplan::parse(&[("extensions.conf".into(), text)]);
            let plan = plan.unwrap_or_else(|errors| panic!("{errors:?}"));
            assert_eq!(plan.warnings(), []);
        }
    }
}
