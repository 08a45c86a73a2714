//! What Asterisk's command line says of its database: the rows and sentences that scripts read (S185–S187).
//! Above: `astdb database` and the console words of `pbx -rx`, which say the same.

use super::list::Entry;

/// A value was written.
pub const UPDATED: &str = "Updated database successfully";
/// A key was removed.
pub const REMOVED: &str = "Database entry removed.";
/// There was no such key to be removed.
pub const NOT_REMOVED: &str = "Database entry could not be removed.";
/// There is no such key.
pub const NOT_FOUND: &str = "Database entry not found.";
/// There is nothing below that name.
pub const NONE_EXIST: &str = "Database entries do not exist.";

/// What `database get` says of a value.
pub fn value(text: &str) -> String {
    format!("Value: {text}")
}

/// What `database deltree` says of so many keys.
pub fn removed(count: u64) -> String {
    format!("{count} database entries removed.")
}

/// The last line of a list, in Asterisk's grammar whatever the count (S186).
pub fn found(count: u64) -> String {
    format!("{count} results found.")
}

/// A row of a list: the name in 50 columns, the value in 25.
pub fn row(name: &str, value: &str) -> String {
    let fill = |text: &str, width: usize| " ".repeat(width.saturating_sub(text.len()));
    format!("{name}{}: {value}{}", fill(name, 50), fill(value, 25))
}

/// The name of an entry in a list. A slash within a family is escaped: `/a/b/c` is the key `b/c` of the family `a`, and no other.
pub fn full_name(family: &str, key: &str) -> String {
    format!("/{}/{key}", family.replace('/', "\\x2f"))
}

/// The value of an entry in a list, as far as it was asked for and opens.
pub fn value_in_list(entry: &Entry) -> String {
    match &entry.value {
        Some(Ok(value)) => value.text().into_owned(),
        Some(Err(_)) => "(damaged)".to_owned(),
        None => format!("(sealed, {} bytes)", entry.sealed),
    }
}

/// Family and key. To Asterisk a name is one text: what stands behind the first slash of a family belongs to the key, as `DB()`
/// has it.
pub fn names(family: &str, key: &str) -> (String, String) {
    match family.split_once('/') {
        Some((family, begin)) => (family.to_owned(), format!("{begin}/{key}")),
        None => (family.to_owned(), key.to_owned()),
    }
}
