//! Keys in INFO requests: `application/dtmf-relay` and `application/dtmf`, as phones send them.
//! Above: `leg`.

/// The form with a duration.
const DTMF_RELAY: &str = "application/dtmf-relay";
/// The longest key press taken from an INFO, ms.
const LONGEST_MS: u32 = 10_000;
/// How long a key counts where the INFO does not say, ms.
const USUAL_MS: u32 = 160;

/// The key and its duration in ms, if the body holds one.
pub(super) fn parse(content_type: &str, body: &[u8]) -> Option<(char, u32)> {
    let kind = content_type.split(';').next()?.trim();
    let text = std::str::from_utf8(body).ok()?;
    if kind.eq_ignore_ascii_case("application/dtmf") {
        return Some((key(text.trim())?, USUAL_MS));
    }
    if !kind.eq_ignore_ascii_case(DTMF_RELAY) {
        return None;
    }
    let field = |name: &str| {
        text.lines().filter_map(|line| line.split_once('=')).find(|(key, _)| key.trim().eq_ignore_ascii_case(name))
    };
    let digit = key(field("Signal")?.1.trim())?;
    let ms = field("Duration").and_then(|(_, ms)| ms.trim().parse().ok()).unwrap_or(USUAL_MS);
    Some((digit, ms.min(LONGEST_MS)))
}

/// One key; some phones write 10 and 11 for star and hash.
fn key(text: &str) -> Option<char> {
    let digit = match text {
        "10" => '*',
        "11" => '#',
        _ => {
            let mut chars = text.chars();
            let first = chars.next()?.to_ascii_uppercase();
            chars.next().is_none().then_some(first)?
        }
    };
    matches!(digit, '0'..='9' | '*' | '#' | 'A'..='D').then_some(digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_info_carry_a_key() {
        assert_eq!(parse("application/dtmf-relay", b"Signal=5\r\nDuration=250\r\n"), Some(('5', 250)));
        assert_eq!(parse("application/dtmf-relay; x=y", b"signal= *\nduration=x"), Some(('*', 160)));
        assert_eq!(parse("application/dtmf", b"#"), Some(('#', 160)));
        assert_eq!(parse("application/dtmf-relay", b"Signal=11\r\nDuration=99999999\r\n"), Some(('#', 10_000)));
    }

    #[test]
    fn anything_else_is_no_key() {
        assert_eq!(parse("application/dtmf", b"55"), None);
        assert_eq!(parse("application/dtmf", b"\xff"), None);
        assert_eq!(parse("text/plain", b"5"), None);
        assert_eq!(parse("application/dtmf-relay", b"Duration=5"), None);
    }
}
