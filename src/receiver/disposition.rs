//! `Content-Disposition` of a download: the name quoted, whatever it is (RFC 6266, RFC 8187). Above: `download`. Pure.

use super::page::encoded;

/// `attachment` with the last part of `name`: quoted and in ASCII for old programs, whole in UTF-8 for the others.
pub(super) fn attachment(name: &str) -> String {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || " +._-()".contains(c) { c } else { '_' }).collect();
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{}", encoded(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn s133_the_name_is_quoted() {
        assert_eq!(attachment("2026/a b.wav"), "attachment; filename=\"a b.wav\"; filename*=UTF-8''a%20b.wav");
        assert_eq!(attachment("é\".wav"), "attachment; filename=\"__.wav\"; filename*=UTF-8''%C3%A9%22.wav");
    }

    proptest! {
        #[test]
        fn no_name_leaves_its_quotes_or_its_line(name: String) {
            let header = attachment(&name);
            prop_assert_eq!(header.matches('"').count(), 2);
            prop_assert!(header.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
        }
    }
}
