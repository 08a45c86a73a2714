//! The feature codes of a plan: what is dialled as `*` or `#` and digits. Above: `pbx codes`. Below: `context`.

use super::context::{Dialplan, Extension};
use super::name::Name;

/// Applications that only prepare, so that they do not say what a code is for.
const PREPARING: [&str; 3] = ["Answer", "NoOp", "Verbose"];

/// One feature code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureCode<'a> {
    /// As written, `_` and `/caller` included: `_*88X.`.
    pub code: String,
    /// The context it is dialled in.
    pub context: &'a str,
    /// Its first application that does more than prepare, as written; the first of all where there is none.
    pub application: &'a str,
    /// The file of its first priority.
    pub file: String,
    /// The line there.
    pub line: u32,
}

impl Dialplan {
    /// The extensions whose name or pattern begins with `*` or `#` and a digit, by context, in the order in which they are
    /// tried.
    pub fn feature_codes(&self) -> Vec<FeatureCode<'_>> {
        let all = self.contexts.iter().flat_map(|context| context.extensions.iter().map(move |own| (context, own)));
        let codes = all.filter(|(_, extension)| is_code(extension));
        codes.filter_map(|(context, extension)| FeatureCode::new(&context.name, extension)).collect()
    }
}

impl<'a> FeatureCode<'a> {
    /// `None` for an extension that is only a hint.
    fn new(context: &'a str, extension: &'a Extension) -> Option<Self> {
        let (_, first) = extension.steps.first()?;
        let prepares = |name: &str| PREPARING.iter().any(|preparing| preparing.eq_ignore_ascii_case(name));
        let telling = extension.steps.iter().map(|(_, step)| step).find(|step| !prepares(step.app.name()));
        let span = first.span.as_ref();
        Some(Self {
            code: extension.written_name(),
            context,
            application: &telling.unwrap_or(first).written,
            file: span.map(|span| span.file.display().to_string()).unwrap_or_default(),
            line: span.map_or(0, |span| span.line),
        })
    }
}

/// Whether a name begins with a star or a hash and a digit; in a pattern a class of digits will do.
fn is_code(extension: &Extension) -> bool {
    let pattern = matches!(extension.key.name, Name::Pattern(_));
    let name = if pattern { extension.name.trim_start_matches('_') } else { &extension.name };
    let mut characters = name.chars().filter(|c| *c != '-');
    let first = characters.next();
    let digit = |c: char| c.is_ascii_digit() || pattern && matches!(c, 'X' | 'x' | 'Z' | 'z' | 'N' | 'n' | '[');
    matches!(first, Some('*' | '#')) && characters.next().is_some_and(digit)
}

#[cfg(test)]
mod tests {
    use crate::config::BUILTIN_EXTENSIONS;
    use crate::dialplan::Dialplan;

    fn codes(text: &str) -> Vec<(String, String, u32)> {
        let plan = Dialplan::parse(&[("extensions.conf".into(), text.to_owned())]);
        let plan = plan.unwrap_or_else(|errors| panic!("{errors:?}"));
        let told = plan.feature_codes().into_iter();
        told.map(|code| (format!("{} {}", code.context, code.code), code.application.to_owned(), code.line)).collect()
    }

    #[test]
    fn a_code_is_told_by_the_first_application_that_does_something() {
        let text = "[main]\nexten => *88,1,NoOp(set)\n same => n,answer()\n same => n,Playback(a&b)\n same => n,Hangup()\n\
            exten => _*0X.,1,Goto(eavesdrop,${EXTEN:2},1)\n[night]\nexten => #5/1001,1,Verbose(1,x)\nexten => #5/1001,3,NoOp()\n";
        let expected = [
            ("main *88", "Playback(a&b)", 2),
            ("main _*0X.", "Goto(eavesdrop,${EXTEN:2},1)", 6),
            ("night #5/1001", "Verbose(1,x)", 8),
        ];
        assert_eq!(codes(text), expected.map(|(code, app, line)| (code.to_owned(), app.to_owned(), line)));
    }

    #[test]
    fn what_is_no_star_or_hash_with_a_digit_is_no_code() {
        let text = "[main]\nexten => 1*8,1,NoOp()\nexten => *,1,NoOp()\nexten => *x,1,NoOp()\nexten => _*.,1,NoOp()\n\
            exten => _X*1,1,NoOp()\nexten => *9,hint,SIP/1\n";
        assert_eq!(codes(text), []);
        assert!(codes(BUILTIN_EXTENSIONS).iter().all(|(code, ..)| code.contains(['*', '#'])));
    }
}
