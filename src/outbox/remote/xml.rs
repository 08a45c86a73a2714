//! As much of XML as a store's answers have: texts between tags. Above: `s3`, `multipart`. Pure.

/// The text inside the first `<tag>`.
pub(super) fn inside<'a>(text: &'a str, tag: &str) -> Option<&'a str> {
    all(text, tag).next()
}

/// The texts inside each `<tag>`.
pub(super) fn all<'a>(text: &'a str, tag: &str) -> impl Iterator<Item = &'a str> {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    let mut rest = text;
    std::iter::from_fn(move || {
        let (inside, after) = rest.split_once(&open)?.1.split_once(&close)?;
        rest = after;
        Some(inside)
    })
}

/// A text with its five named characters, and quotes by number, as themselves.
pub(super) fn plain(text: &str) -> String {
    let mut text = text.trim().to_owned();
    for (coded, c) in [("&quot;", "\""), ("&#34;", "\""), ("&apos;", "'"), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")]
    {
        text = text.replace(coded, c);
    }
    text
}

/// A text that may stand between tags.
pub(super) fn coded(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_between_tags_are_found() {
        let answer = "<R><P><N>1</N><E>&quot;a&amp;b&quot;</E></P><P><N>2</N></P><Broken>";
        let parts: Vec<_> = all(answer, "P").collect();
        assert_eq!(parts.len(), 2);
        assert_eq!(inside(parts[0], "E").map(plain).as_deref(), Some("\"a&b\""));
        assert_eq!((inside(parts[1], "N"), inside(parts[1], "E"), inside(answer, "Broken")), (Some("2"), None, None));
        assert_eq!(plain(&coded("\"<&>\"")), "\"<&>\"");
    }
}
