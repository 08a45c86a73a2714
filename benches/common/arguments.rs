//! Arguments of a benchmark: `--name value`.

/// The word after `name`.
pub(crate) fn text<'a>(arguments: &'a [String], name: &str) -> Option<&'a str> {
    let at = arguments.iter().position(|argument| argument == name)?;
    arguments.get(at + 1).map(String::as_str)
}

/// The number after `name`.
pub(crate) fn number<T: std::str::FromStr>(arguments: &[String], name: &str) -> Option<T> {
    text(arguments, name)?.parse().ok()
}
