//! The lines of a dialplan file without their comments, each character knowing its column. Above: `parse`.

/// One line with something on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// From 1.
    pub(super) number: u32,
    /// The text, comments and blanks around it taken off, `\;` turned into `;`.
    pub(super) text: String,
    /// The column of each byte of `text`, from 1; one more for its end.
    columns: Vec<u32>,
}

impl Line {
    /// The column of the byte at `offset` of the text.
    pub(super) fn column(&self, offset: usize) -> u32 {
        self.columns.get(offset).or(self.columns.last()).copied().unwrap_or(1)
    }

    fn push(&mut self, c: char, column: u32) {
        self.text.push(c);
        self.columns.extend(std::iter::repeat_n(column, c.len_utf8()));
    }

    /// Takes blanks off both ends; `None` when nothing is left.
    fn trimmed(mut self, end_column: u32) -> Option<Self> {
        let start = self.text.len() - self.text.trim_start().len();
        self.text.truncate(self.text.trim_end().len());
        if self.text.is_empty() {
            return None;
        }
        self.columns.push(end_column);
        self.columns.drain(..start);
        self.text.drain(..start);
        Some(self)
    }
}

/// All lines of a file, and where block comments are opened that never close (line, column).
pub(super) fn lines(text: &str) -> (Vec<Line>, Option<(u32, u32)>) {
    let mut lines = Vec::new();
    let mut open_comments: Vec<(u32, u32)> = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (number, written) in (1..).zip(text.split('\n')) {
        let mut line = Line { number, ..Line::default() };
        let mut rest = written.strip_suffix('\r').unwrap_or(written);
        let mut column = 1;
        while let Some(c) = rest.chars().next() {
            let mut taken = c.len_utf8();
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
                line.push(';', column);
                taken = 2;
            } else {
                line.push(c, column);
            }
            // a multi-byte character is one column; the markers are as many as they have bytes
            column += u32::try_from(taken).ok().filter(|_| taken > c.len_utf8()).unwrap_or(1);
            rest = rest.get(taken..).unwrap_or_default();
        }
        lines.extend(line.trimmed(column));
    }
    (lines, open_comments.first().copied())
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
    }
}
