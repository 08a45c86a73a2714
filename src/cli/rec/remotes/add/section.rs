//! The text of one `[remotes.NAME]`, key by key. Above: `add`.

use std::path::{Path, PathBuf};

use crate::config::RemoteKind;

/// The section as it grows: its own keys, and after them one table below it.
pub(super) struct Section {
    name: String,
    keys: String,
    /// The table's name and its keys.
    table: Option<(&'static str, String)>,
}

impl Section {
    /// A section with nothing but its kind.
    pub(super) fn new(name: &str, kind: RemoteKind) -> Self {
        let mut section = Self { name: name.to_owned(), keys: String::new(), table: None };
        section.text_key("kind", kind.as_str());
        section
    }

    /// Adds a key of the section, or of the table where that has begun.
    pub(super) fn text_key(&mut self, key: &str, text: &str) {
        self.line(key, &quoted(text));
    }

    /// Adds a key that is on.
    pub(super) fn flag(&mut self, key: &str) {
        self.line(key, "true");
    }

    /// Adds a key for a secret that is to lie in `secrets` beside the settings; returns where.
    pub(super) fn secret(&mut self, key: &'static str, name: &str, base: &Path) -> PathBuf {
        let file = format!("secrets/remote-{name}");
        self.text_key(key, &file);
        base.join(file)
    }

    fn line(&mut self, key: &str, value: &str) {
        // What belongs to all kinds stands before the table.
        let of_all = ["kind", "url", "token_file", "basic_user", "password_file", "ca_file", "receipt", "when"];
        let keys = match &mut self.table {
            Some((_, keys)) if !of_all.contains(&key) => keys,
            _ => &mut self.keys,
        };
        keys.push_str(&format!("{key} = {value}\n"));
    }

    /// Begins the table of its kind.
    pub(super) fn table(&mut self, name: &'static str, keys: &[(&str, String)]) {
        self.table = Some((name, String::new()));
        for (key, value) in keys {
            self.text_key(key, value);
        }
    }

    /// All of it.
    pub(super) fn text(&self) -> String {
        let Self { name, keys, table } = self;
        let table = table.as_ref().map(|(table, keys)| format!("\n[remotes.{name}.{table}]\n{keys}"));
        format!(
            "# Written by `rec remotes add {name}`; wirechief-remotes(7) tells what else can stand here.\n[remotes.{name}]\n{keys}{}",
            table.unwrap_or_default()
        )
    }
}

/// A string of TOML (v1.0.0, basic strings).
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_read_as_it_was_meant() {
        let mut section = Section::new("store", RemoteKind::S3);
        section.table("s3", &[("bucket", "calls \"of\" \\ us\u{7f}\n".to_owned())]);
        section.flag("path_style");
        section.text_key("when", "manual");
        let secret = section.secret("secret_file", "store", Path::new("/etc/wirechief"));
        assert_eq!(secret, Path::new("/etc/wirechief/secrets/remote-store"));
        let text = section.text();
        let read: toml::Table = toml::from_str(&text).unwrap();
        let remote = &read["remotes"]["store"];
        assert_eq!((remote["kind"].as_str(), remote["when"].as_str()), (Some("s3"), Some("manual")));
        assert_eq!(remote["s3"]["bucket"].as_str(), Some("calls \"of\" \\ us\u{7f}\n"));
        assert_eq!(
            (remote["s3"]["path_style"].as_bool(), remote["s3"]["secret_file"].as_str()),
            (Some(true), Some("secrets/remote-store"))
        );
    }
}
