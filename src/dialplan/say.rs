//! Texts as the names of the sounds that say them, in English. Pure. Above: the `Say…` applications.

/// The digits one by one, with star, pound and minus; other characters are passed over.
pub(super) fn digits(text: &str) -> Vec<String> {
    text.chars().filter_map(digit).collect()
}

fn digit(c: char) -> Option<String> {
    match c {
        '0'..='9' => Some(format!("digits/{c}")),
        '*' => Some("digits/star".to_owned()),
        '#' => Some("digits/pound".to_owned()),
        '-' => Some("digits/minus".to_owned()),
        _ => None,
    }
}

/// Letters, digits and marks by their names.
pub(super) fn letters(text: &str) -> Vec<String> {
    text.chars().filter_map(|c| mark(c).or_else(|| character(c))).collect()
}

/// Letters by the words of the telephone alphabet.
pub(super) fn phonetic(text: &str) -> Vec<String> {
    let word = |c: char| match c.to_ascii_lowercase() {
        letter @ ('a'..='z' | '9') => Some(format!("phonetic/{letter}_p")),
        other => mark(other).or_else(|| character(other)),
    };
    text.chars().filter_map(word).collect()
}

fn mark(c: char) -> Option<String> {
    let name = match c {
        '!' => "exclaimation-point", // so misspelt wherever prompts are sold
        '@' => "at",
        '$' => "dollar",
        '-' => "dash",
        '.' => "dot",
        '=' => "equals",
        '+' => "plus",
        '/' => "slash",
        ' ' => "space",
        _ => return None,
    };
    Some(format!("letters/{name}"))
}

fn character(c: char) -> Option<String> {
    match c {
        '0'..='9' | '*' | '#' => digit(c),
        'a'..='z' | 'A'..='Z' => Some(format!("letters/{}", c.to_ascii_lowercase())),
        '!'..='~' => Some(format!("letters/ascii{}", u32::from(c))),
        _ => None,
    }
}

/// A whole number in words, below a milliard.
pub(super) fn number(number: i64) -> Option<Vec<String>> {
    let mut words = Vec::new();
    if number < 0 {
        words.push("minus".to_owned());
    }
    let rest = number.checked_abs().filter(|number| *number < 1_000_000_000)?;
    if rest == 0 {
        words.push("0".to_owned());
    }
    for (unit, name) in [(1_000_000, "million"), (1_000, "thousand")] {
        let count = rest / unit % 1_000;
        if count > 0 {
            hundreds(count, &mut words);
            words.push(name.to_owned());
        }
    }
    hundreds(rest % 1_000, &mut words);
    Some(words.into_iter().map(|word| format!("digits/{word}")).collect())
}

/// Below a thousand; nothing for zero.
fn hundreds(number: i64, words: &mut Vec<String>) {
    if number >= 100 {
        words.push((number / 100).to_string());
        words.push("hundred".to_owned());
    }
    let rest = number % 100;
    let (tens, ones) = if rest < 20 { (0, rest) } else { (rest / 10 * 10, rest % 10) };
    words.extend([tens, ones].into_iter().filter(|part| *part > 0).map(|part| part.to_string()));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::audio::prompts;

    fn words(value: i64) -> String {
        number(value).unwrap_or_default().join(" ").replace("digits/", "")
    }

    #[test]
    fn numbers_are_said_in_words() {
        assert_eq!(words(0), "0");
        assert_eq!(words(7), "7");
        assert_eq!(words(19), "19");
        assert_eq!(words(20), "20");
        assert_eq!(words(345), "3 hundred 40 5");
        assert_eq!(words(-1_000), "minus 1 thousand");
        assert_eq!(words(12_007), "12 thousand 7");
        assert_eq!(words(999_999_999), "9 hundred 90 9 million 9 hundred 90 9 thousand 9 hundred 90 9");
        assert_eq!(words(1_000_100), "1 million 1 hundred");
        assert_eq!(number(1_000_000_000), None);
        assert_eq!(number(i64::MIN), None);
    }

    #[test]
    fn s171_digits_are_said_one_by_one() {
        assert_eq!(digits("12#*-x"), ["digits/1", "digits/2", "digits/pound", "digits/star", "digits/minus"]);
    }

    #[test]
    fn letters_and_their_words() {
        assert_eq!(letters("aZ 7-"), ["letters/a", "letters/z", "letters/space", "digits/7", "letters/dash"]);
        assert_eq!(phonetic("Ab9"), ["phonetic/a_p", "phonetic/b_p", "phonetic/9_p"]);
        assert_eq!(letters("é"), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn whatever_is_said_is_built_in(text in "[ -~]{0,20}", value in any::<i64>()) {
            let all = [letters(&text), phonetic(&text), digits(&text), number(value).unwrap_or_default(),
                number(value % 1_000_000_000).unwrap_or_default()];
            for name in all.concat() {
                prop_assert!(prompts::find(&name).is_some(), "{}", name);
            }
        }
    }
}
