//! The words of a command in the dialplan: split where it was written, so that a value never becomes two words or an operator.
//! Above: `app/system`. Below: `piece`.

use super::piece::{Bit, Piece};

/// Words that only a shell understands.
const OPERATORS: &[&str] = &["|", "||", "&", "&&", ";", ">", ">>", "<", "<<", "2>", "2>>", "2>&1", "2>/dev/null"];

/// Why a text is no list of words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CommandError {
    /// There is nothing.
    #[error("there is no command")]
    Nothing,
    /// A quote without its partner.
    #[error("a quote is never closed")]
    Quote,
    /// Something a shell would have to do.
    #[error("`{0}` needs a shell")]
    NeedsShell(String),
    /// The program would be chosen by a value.
    #[error("the program must be written in the dialplan")]
    ComputedProgram,
    /// A program that is not listed.
    #[error("`{0}` is not among [dialplan] programs")]
    NotListed(String),
}

/// The words of `program,argument,argument`, where the program holds no blank, else those between blanks; `' '`, `" "` and
/// a backslash quote what was written.
pub(super) fn words<'a>(line: &Piece<'a>) -> Result<Vec<Piece<'a>>, CommandError> {
    let by_comma = line.arguments(usize::MAX);
    let program = by_comma.first().and_then(Piece::literal).unwrap_or_default();
    if by_comma.len() > 1 && !program.trim().contains(char::is_whitespace) && !program.is_empty() {
        return Ok(by_comma.into_iter().map(Piece::trim).collect());
    }
    let mut splitter = Splitter::default();
    for bit in line.bits() {
        match *bit {
            Bit::Text(text) => splitter.text(text)?,
            Bit::Code(_) => splitter.put(*bit, Plain::No),
        }
    }
    splitter.finish()
}

/// Whether a bit stands outside quotes and means what it says.
#[derive(Clone, Copy, PartialEq)]
enum Plain {
    Yes,
    No,
}

#[derive(Default)]
struct Splitter<'a> {
    words: Vec<Piece<'a>>,
    word: Option<Vec<Bit<'a>>>,
    /// Some of the word was quoted or substituted.
    special: bool,
    quote: Option<char>,
}

impl<'a> Splitter<'a> {
    fn text(&mut self, text: &'a str) -> Result<(), CommandError> {
        let mut chars = text.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            let here = text.get(at..at + c.len_utf8()).unwrap_or_default();
            match (self.quote, c) {
                (Some(quote), c) if c == quote => self.quote = None,
                (None, '"' | '\'') => {
                    self.quote = Some(c);
                    self.special = true;
                    self.word.get_or_insert_default();
                }
                (None | Some('"'), '\\') => {
                    if let Some((at, c)) = chars.next() {
                        self.put(Bit::Text(text.get(at..at + c.len_utf8()).unwrap_or_default()), Plain::No);
                    }
                }
                (None | Some('"'), '`') => return Err(CommandError::NeedsShell("`".into())),
                (None | Some('"'), '$') if matches!(chars.peek(), Some((_, '('))) => {
                    return Err(CommandError::NeedsShell("$(".into()));
                }
                (None, c) if c.is_whitespace() => self.next_word()?,
                (Some(_), _) => self.put(Bit::Text(here), Plain::No),
                (None, _) => self.put(Bit::Text(here), Plain::Yes),
            }
        }
        Ok(())
    }

    fn put(&mut self, bit: Bit<'a>, plain: Plain) {
        self.special |= plain == Plain::No;
        self.word.get_or_insert_default().push(bit);
    }

    fn next_word(&mut self) -> Result<(), CommandError> {
        let Some(bits) = self.word.take() else { return Ok(()) };
        let word = Piece::new(bits);
        let special = std::mem::take(&mut self.special);
        match word.literal().filter(|text| !special && OPERATORS.contains(&text.as_str())) {
            Some(operator) => Err(CommandError::NeedsShell(operator)),
            None => {
                self.words.push(word);
                Ok(())
            }
        }
    }

    fn finish(mut self) -> Result<Vec<Piece<'a>>, CommandError> {
        if self.quote.is_some() {
            return Err(CommandError::Quote);
        }
        self.next_word()?;
        if self.words.is_empty() { Err(CommandError::Nothing) } else { Ok(self.words) }
    }
}

/// A line of shell and the values it uses: each stands in it as `$1`, `$2` and so on, which a shell puts in without reading them
/// again, whatever is in them.
pub(super) fn script<'a>(line: &Piece<'a>) -> Result<(String, Vec<Piece<'a>>), CommandError> {
    if line.is_empty() {
        return Err(CommandError::Nothing);
    }
    let first = |bit: &Bit<'_>| matches!(bit, Bit::Text(text) if text.contains(char::is_whitespace));
    if !line.is_text() && !line.bits().first().is_some_and(first) {
        return Err(CommandError::ComputedProgram);
    }
    let (mut script, mut values, mut quote) = (String::new(), Vec::new(), None);
    for bit in line.bits() {
        let Bit::Text(text) = *bit else {
            values.push(Piece::new(vec![*bit]));
            let number = values.len();
            script.push_str(&match quote {
                Some('"') => format!("${{{number}}}"),
                Some(_) => format!("'\"${{{number}}}\"'"),
                None => format!("\"${{{number}}}\""),
            });
            continue;
        };
        let mut escaped = false;
        for c in text.chars() {
            match (quote, c) {
                _ if escaped => escaped = false,
                (None | Some('"'), '\\') => escaped = true,
                (None, '"' | '\'') => quote = Some(c),
                (Some(open), c) if open == c => quote = None,
                _ => {}
            }
        }
        script.push_str(text);
    }
    Ok((script, values))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialplan::template::Template;
    use crate::dialplan::vars::tests::Variables;

    fn split(text: &str) -> Result<Vec<String>, CommandError> {
        let template = Template::compile(text).unwrap();
        let mut scope = Variables::with(&[("V", "a b;c'\"$(d)&")]);
        Ok(words(&template.piece())?.iter().map(|word| word.value(&mut scope)).collect())
    }

    #[test]
    fn words_are_split_where_they_were_written_only() {
        assert_eq!(split("rec push  --to crm").unwrap(), ["rec", "push", "--to", "crm"]);
        assert_eq!(split("rec,push,--to, crm").unwrap(), ["rec", "push", "--to", "crm"]);
        assert_eq!(split("curl \"https://x/?a=1&b=2\" ''").unwrap(), ["curl", "https://x/?a=1&b=2", ""]);
        assert_eq!(split("curl https://x/?a=1&b=${V}").unwrap(), ["curl", "https://x/?a=1&b=a b;c'\"$(d)&"]);
        assert_eq!(split("echo ${V},x 'a\\b'").unwrap(), ["echo", "a b;c'\"$(d)&,x", "a\\b"]);
        assert_eq!(split("echo a\\ b").unwrap(), ["echo", "a b"]);
        assert_eq!(split("rec,${V},a b").unwrap(), ["rec", "a b;c'\"$(d)&", "a b"]);
    }

    #[test]
    fn what_only_a_shell_could_do_is_refused() {
        for text in ["cat a | sort", "a && b", "a > /tmp/x", "echo `id`", "echo \"$(id)\"", "a & "] {
            assert!(matches!(split(text), Err(CommandError::NeedsShell(_))), "{text}");
        }
        assert_eq!(split("echo '| $(x)' \"&\"").unwrap(), ["echo", "| $(x)", "&"]);
        assert_eq!(split("echo \"a"), Err(CommandError::Quote));
        assert_eq!(split(" "), Err(CommandError::Nothing));
    }

    #[test]
    fn a_line_of_shell_holds_no_value() {
        let line = |text: &str| {
            let template = Template::compile(text).unwrap();
            script(&template.piece()).map(|(script, values)| (script, values.len()))
        };
        assert_eq!(line("echo ${V} | sort").unwrap(), ("echo \"${1}\" | sort".into(), 1));
        assert_eq!(line("echo \"a ${V} ${V}\" '${V}'").unwrap(), ("echo \"a ${1} ${2}\" ''\"${3}\"''".into(), 3));
        assert_eq!(line("${V} x"), Err(CommandError::ComputedProgram));
        assert_eq!(line("/bin/${V} x"), Err(CommandError::ComputedProgram));
    }
}
