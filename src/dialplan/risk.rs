//! What in an application's arguments is right and worth a second look when the file is read: in a command, characters that
//! mean something to a shell and values that a caller chooses; blanks before arguments. Above: `app/*`, `parse`. Below: `piece`.

use super::piece::{Bit, Piece};
use super::template::{Part, Template, What};

/// Functions whose value is what the other side says.
const FROM_OUTSIDE: &[&str] = &["CALLERID", "CONNECTEDLINE", "PJSIP_HEADER", "SIP_HEADER"];

/// Functions that leave nothing of what was said: a number, a digest, or what the dialplan lets through.
const HARMLESS: &[&str] = &["BASE64_ENCODE", "EXISTS", "FILTER", "ISNULL", "LEN", "MD5", "REGEX", "SHA1", "URIENCODE"];

/// Signs that end a command, begin another one or run one inside, where a shell reads them.
const SIGNS: &[char] = &['&', ';', '`'];

/// Something worth a second look.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Risk {
    /// A sign that is not quoted.
    #[error("`{0}` outside quotes means something to a shell: write the argument in \"quotes\"")]
    Sign(String),
    /// A value that the caller chooses.
    #[error("`{0}` is what the other side says of itself: FILTER() leaves only what it may hold")]
    FromOutside(String),
    /// An argument that begins with a blank.
    #[error("the blank before `{0}` belongs to the argument, as in Asterisk")]
    Blank(String),
}

/// Arguments that are written with a blank before them.
pub(super) fn of_blanks(arguments: &[Piece<'_>]) -> Vec<Risk> {
    let written = arguments.iter().filter_map(|argument| match argument.bits().first() {
        Some(Bit::Text(text)) if text.starts_with(' ') && !text.trim().is_empty() => Some(text.trim().to_owned()),
        _ => None,
    });
    written.map(Risk::Blank).collect()
}

/// What is risky about a command as it is written, each once.
pub(super) fn of_command(command: &Piece<'_>) -> Vec<Risk> {
    let mut found = Vec::new();
    let mut quote = None;
    for bit in command.bits() {
        match *bit {
            Bit::Text(text) => signs(text, &mut quote, &mut found),
            Bit::Code(part) => said(part, &mut found),
        }
    }
    let mut once: Vec<Risk> = Vec::new();
    for risk in found {
        if !once.contains(&risk) {
            once.push(risk);
        }
    }
    once
}

/// Looks at a written stretch; `quote` is the one that is open.
fn signs(text: &str, quote: &mut Option<char>, found: &mut Vec<Risk>) {
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (*quote, c) {
            (Some(open), c) if c == open => *quote = None,
            (None, '"' | '\'') => *quote = Some(c),
            (None | Some('"'), '\\') => {
                chars.next();
            }
            (None | Some('"'), '$') if chars.peek() == Some(&'(') => found.push(Risk::Sign("$(".to_owned())),
            (Some('"'), '`') => found.push(Risk::Sign(c.to_string())),
            (None, c) if SIGNS.contains(&c) => found.push(Risk::Sign(c.to_string())),
            _ => {}
        }
    }
}

/// Looks for values from outside in a substitution.
fn said(part: &Part, found: &mut Vec<Risk>) {
    let Part::Variable(variable) = part else { return };
    match &variable.what {
        What::Call(func, _) if HARMLESS.contains(&func.name()) => {}
        What::Call(func, args) if FROM_OUTSIDE.contains(&func.name()) => {
            let args = args.piece().literal().unwrap_or_default();
            found.push(Risk::FromOutside(format!("{}({args})", func.name())));
        }
        What::Call(_, within) | What::Named(within) => inside(within, found),
    }
}

fn inside(template: &Template, found: &mut Vec<Risk>) {
    template.parts().iter().for_each(|part| said(part, found));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(command: &str) -> Vec<String> {
        let template = Template::compile(command).unwrap();
        of_command(&template.piece()).into_iter().map(|risk| risk.to_string()).collect()
    }

    #[test]
    fn s115_signs_of_a_shell_are_told_unless_they_are_quoted() {
        for command in ["curl https://crm/?a=1&b=2", "a ; b", "a `id`", "a \"`id`\"", "a $(id)", "a \"$(id)\""] {
            assert_eq!(told(command).len(), 1, "{command}");
        }
        for command in
            ["curl \"https://crm/?a=1&b=2\"", "a '`id` $(id) ;'", "a \\& b", "curl ${EXTEN:4}~${CALLFILENAME}"]
        {
            assert_eq!(told(command), Vec::<String>::new(), "{command}");
        }
        assert_eq!(told("a && b && c").len(), 1, "each is told once");
    }

    #[test]
    fn s115_values_that_a_caller_chooses_are_told_unless_they_are_filtered() {
        let caller = "`CALLERID(num)` is what the other side says of itself: FILTER() leaves only what it may hold";
        assert_eq!(told("notify ${CALLERID(num)}"), [caller]);
        assert_eq!(told("notify \"${CALLERID(num):1}\" ${TOUPPER(${CALLERID(num)})}"), [caller]);
        assert_eq!(
            told("notify ${FILTER(0-9,${CALLERID(num)})} ${URIENCODE(${CALLERID(name)})}"),
            Vec::<String>::new()
        );
        assert_eq!(told("notify ${PJSIP_HEADER(read,X-Id)} ${CALLERID(name)}").len(), 2);
    }
}
