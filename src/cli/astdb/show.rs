//! `astdb show` and `astdb find`: lists in the form that Asterisk prints, streamed.

use std::ops::ControlFlow;

use clap::Args as ClapArgs;
use serde::Serialize;

use super::desk::Desk;
use super::input;
use super::read::JsonValue;
use crate::astdb::{Detail, Entry, Select, StoreError, asterisk};
use crate::cli::common::Context;
use crate::cli::complete;
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::output::shown;
use crate::cli::rows::Rows;

/// List keys, with --reveal their values
#[derive(ClapArgs, Debug)]
pub(super) struct ShowArgs {
    /// A family, or a key of it with all keys below
    #[arg(value_name = "FAMILY[/KEY]", add = complete::families())]
    tree: Option<String>,
    /// The key, where it is a word of its own
    #[arg(add = complete::keys())]
    key: Option<String>,
    /// Print the values too
    #[arg(long)]
    reveal: bool,
}

/// List the keys that begin so, or whose value is this
#[derive(ClapArgs, Debug)]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(true)))]
pub(super) struct FindArgs {
    /// What the name begins with: /pin/1
    #[arg(long, value_name = "/FAMILY/KEY", group = "what")]
    prefix: Option<String>,
    /// Whose value is standard input: `-`
    #[arg(long, value_name = "-", value_parser = ["-"], allow_hyphen_values = true, group = "what")]
    value_of: Option<String>,
    /// Print the values too
    #[arg(long)]
    reveal: bool,
}

#[derive(Serialize)]
struct JsonEntry<'a> {
    family: &'a str,
    key: &'a str,
    sealed_bytes: usize,
    version: i64,
    #[serde(flatten)]
    value: Option<JsonValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub(super) fn show(args: &ShowArgs, desk: &Desk, context: &Context) -> Done {
    let select = select(args.tree.as_deref(), args.key.as_deref());
    let detail = if args.reveal { Detail::Values } else { Detail::Names };
    listed(desk, (&select, detail), context, |_| true).map(|(exit, _)| exit)
}

pub(super) fn find(args: &FindArgs, desk: &Desk, context: &Context) -> Done {
    let value = args.value_of.as_deref().map(|_| input::from_stdin()).transpose()?;
    let detail = if value.is_some() || args.reveal { Detail::Values } else { Detail::Names };
    let prefix = args.prefix.as_deref().map(|prefix| prefix.trim_start_matches('/'));
    let wanted = |entry: &Entry| {
        let begins = prefix.is_none_or(|prefix| format!("{}/{}", entry.family, entry.key).starts_with(prefix));
        let is_same = value.as_ref().is_none_or(|value| {
            entry.value.as_ref().is_some_and(|found| found.as_ref().is_ok_and(|found| found.is_same(value.expose())))
        });
        begins && is_same
    };
    let mut shown_entry = |mut entry: Entry| {
        if !args.reveal {
            entry.value = None;
        }
        entry
    };
    let (exit, count) = listed_as(desk, (&Select::All, detail), context, (&wanted, &mut shown_entry))?;
    if count == 0 && exit == Exit::Ok { Err(Failure::Silent(Exit::NotFound)) } else { Ok(exit) }
}

/// `pin`, `pin/sub`, `/pin/sub`, or two words; nothing selects all.
pub(super) fn select(tree: Option<&str>, key: Option<&str>) -> Select {
    let Some(tree) = tree.map(|tree| tree.strip_prefix('/').unwrap_or(tree)).filter(|tree| !tree.is_empty()) else {
        return Select::All;
    };
    let tree = tree.strip_suffix('/').unwrap_or(tree);
    match (tree.split_once('/'), key) {
        (_, Some(key)) => Select::Tree(tree.to_owned(), key.to_owned()),
        (Some((family, key)), None) => Select::Tree(family.to_owned(), key.to_owned()),
        (None, None) => Select::Family(tree.to_owned()),
    }
}

/// Prints what is selected and `wanted`: the exit code, and how many entries.
pub(super) fn listed(
    desk: &Desk,
    (select, detail): (&Select, Detail),
    context: &Context,
    wanted: impl Fn(&Entry) -> bool,
) -> Result<(Exit, u64), Failure> {
    listed_as(desk, (select, detail), context, (&wanted, &mut |entry| entry))
}

type Filter<'a> = (&'a dyn Fn(&Entry) -> bool, &'a mut dyn FnMut(Entry) -> Entry);

fn listed_as(
    desk: &Desk,
    (select, detail): (&Select, Detail),
    context: &Context,
    (wanted, shown_entry): Filter<'_>,
) -> Result<(Exit, u64), Failure> {
    let mut rows = Rows::begin(&context.output, "astdb.entries/1", "entries");
    let mut damaged: Option<StoreError> = None;
    desk.list(select, detail, &mut |entry| {
        if !wanted(&entry) {
            return ControlFlow::Continue(());
        }
        let entry = shown_entry(entry);
        let added = if context.output.is_json() { rows.json(&json(&entry)) } else { rows.line(&line(&entry)) };
        if let Some(Err(error)) = entry.value {
            damaged.get_or_insert(error);
        }
        added
    })?;
    let count = rows.end(|count| asterisk::found(count) + "\n")?;
    damaged.map_or(Ok((Exit::Ok, count)), |error| Err(error.into()))
}

fn line(entry: &Entry) -> String {
    row(&asterisk::full_name(&entry.family, &entry.key), &asterisk::value_in_list(entry))
}

fn json(entry: &Entry) -> JsonEntry<'_> {
    JsonEntry {
        family: &entry.family,
        key: &entry.key,
        sealed_bytes: entry.sealed,
        version: entry.version,
        value: entry.value.as_ref().and_then(|value| value.as_ref().ok()).map(JsonValue::of),
        error: entry.value.as_ref().and_then(|value| value.as_ref().err()).map(ToString::to_string),
    }
}

/// One line of the list, safe for a terminal.
fn row(name: &str, value: &str) -> String {
    asterisk::row(&shown(name), &shown(value)) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s185_a_row_is_filled_as_asterisk_fills_it() {
        let expected = "/pin/100                                          : 1234                     \n";
        assert_eq!(row("/pin/100", "1234"), expected);
        assert_eq!(row("/a/b", "x\x1b[2J").trim_end(), format!("/a/b{}: x\\x1b[2J", " ".repeat(46)));
    }

    #[test]
    fn a_tree_is_written_in_one_word_or_two() {
        assert_eq!(select(None, None), Select::All);
        assert_eq!(select(Some("/"), None), Select::All);
        assert_eq!(select(Some("pin"), None), Select::Family("pin".into()));
        assert_eq!(select(Some("pin/"), None), Select::Family("pin".into()));
        assert_eq!(select(Some("/pin/sub/7"), None), Select::Tree("pin".into(), "sub/7".into()));
        assert_eq!(select(Some("pin"), Some("sub")), Select::Tree("pin".into(), "sub".into()));
    }
}
