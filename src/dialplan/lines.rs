//! The lines of a dialplan file without their comments, each character knowing its column. Above: `sections`.

/// One line with something on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// From 1.
    pub(super) number: u32,
    /// The text, comments and blanks around it taken off, `\;` turned into `;`.
    pub(super) text: String,
    columns: Columns,
}

/// Where the bytes of a line's text stand in the file, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Columns {
    /// In one stretch that starts here.
    From(u32),
    /// Each for itself, because something was taken out; one more for the end.
    Each(Vec<u32>),
}

impl Default for Columns {
    fn default() -> Self {
        Self::From(1)
    }
}

impl Line {
    /// The column of the byte at `offset` of the text.
    pub(super) fn column(&self, offset: usize) -> u32 {
        match &self.columns {
            Columns::From(start) => {
                let before = self.text.get(..offset).unwrap_or(&self.text);
                start.saturating_add(u32::try_from(before.chars().count()).unwrap_or(u32::MAX))
            }
            Columns::Each(columns) => columns.get(offset).or(columns.last()).copied().unwrap_or(1),
        }
    }
}

/// All lines of a file, and where block comments are opened that never close (line, column).
pub(super) fn lines(text: &str) -> (Vec<Line>, Option<(u32, u32)>) {
    let mut lines = Vec::new();
    let mut open_comments: Vec<(u32, u32)> = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (number, written) in (1..).zip(text.split('\n')) {
        if open_comments.is_empty() && !written.contains(';') {
            lines.extend(plain(number, written));
        } else {
            lines.extend(commented(number, written, &mut open_comments));
        }
    }
    (lines, open_comments.first().copied())
}

/// A line in which nothing is taken out.
fn plain(number: u32, written: &str) -> Option<Line> {
    let text = written.trim();
    let blanks = written.chars().take_while(|c| c.is_whitespace()).count();
    let start = u32::try_from(blanks).unwrap_or(u32::MAX).saturating_add(1);
    (!text.is_empty()).then(|| Line { number, text: text.to_owned(), columns: Columns::From(start) })
}

/// A line with comments, or within one.
fn commented(number: u32, written: &str, open_comments: &mut Vec<(u32, u32)>) -> Option<Line> {
    let (mut text, mut columns) = (String::new(), Vec::new());
    let mut rest = written.strip_suffix('\r').unwrap_or(written);
    let mut column = 1;
    while let Some(c) = rest.chars().next() {
        let mut taken = c.len_utf8();
        let mut push = |c: char| {
            text.push(c);
            columns.extend(std::iter::repeat_n(column, c.len_utf8()));
        };
        if rest.starts_with(";--") && !rest.starts_with(";---") {
            open_comments.push((number, column));
            taken = 3;
        } else if !open_comments.is_empty() {
            if rest.starts_with("--;") {
                open_comments.pop();
                taken = 3;
            }
        } else if c == ';' {
            break;
        } else if rest.starts_with("\\;") {
            push(';');
            taken = 2;
        } else {
            push(c);
        }
        // a multi-byte character is one column; the markers are as many as they have bytes
        column += u32::try_from(taken).ok().filter(|_| taken > c.len_utf8()).unwrap_or(1);
        rest = rest.get(taken..).unwrap_or_default();
    }
    let start = text.len() - text.trim_start().len();
    text.truncate(text.trim_end().len());
    if text.is_empty() {
        return None;
    }
    columns.push(column);
    columns.drain(..start);
    text.drain(..start);
    Some(Line { number, text, columns: Columns::Each(columns) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<(u32, String)> {
        lines(text).0.into_iter().map(|line| (line.number, line.text)).collect()
    }

    #[test]
    fn s152_comments_end_lines_unless_the_semicolon_is_escaped() {
        assert_eq!(texts("a ; b\n;c\nd\\;e;f"), [(1, "a".into()), (3, "d;e".into())]);
        assert_eq!(texts("a;-- x\ny --;b\n;--- line\nc"), [(1, "a".into()), (2, "b".into()), (4, "c".into())]);
        assert_eq!(texts(";-- a ;-- b --; c --; d"), [(1, "d".into())]);
        assert_eq!(lines("x\n ;-- never").1, Some((2, 2)));
    }

    #[test]
    fn s153_a_comment_after_blanks_takes_the_blanks_with_it() {
        assert_eq!(texts("\u{feff}exten => 1,1,NoOp()      ; why\r\n"), [(1, "exten => 1,1,NoOp()".into())]);
    }

    #[test]
    fn columns_survive_what_is_taken_out() {
        let line = lines("  é\\;x;-- c --;y ; z").0.remove(0);
        assert_eq!(line.text, "é;xy");
        assert_eq!([0, 2, 3, 4, 5].map(|offset| line.column(offset)), [3, 4, 6, 16, 17]);
        let line = lines("  éxy  \r").0.remove(0);
        assert_eq!([0, 2, 3, 4, 9].map(|offset| line.column(offset)), [3, 4, 5, 6, 6]);
    }
}
