//! Why a dialled text means what it means: every extension in the order of trying, and where it does not fit.
//! Above: `pbx match`. Below: `search`, `pattern`.

use std::fmt;

use serde::Serialize;

use super::context::{Context, Dialplan, Extension, Include};
use super::name::{Key, Name, without_dashes};
use super::pattern::Expected;
use super::search::{MAX_DEPTH, Query};

/// What a dialled text means, and why.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// The dialled text.
    pub number: String,
    /// Where it was looked up.
    pub context: String,
    /// The extension that a call would begin at.
    pub extension: Option<Matched>,
    /// All others, in the order of trying.
    pub tried: Vec<Tried>,
}

/// The extension that a call would begin at.
#[derive(Clone, Debug, Serialize)]
pub struct Matched {
    /// The context that has it; an included one, perhaps.
    pub context: String,
    /// As written.
    pub name: String,
    /// What is written after its `/`.
    pub caller: Option<String>,
    /// Where its first priority is.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// Its own; priorities it lacks can be those of extensions tried later.
    pub priorities: Vec<Priority>,
}

/// One priority.
#[derive(Clone, Debug, Serialize)]
pub struct Priority {
    /// From 1.
    pub priority: u32,
    /// Its label.
    pub label: Option<String>,
    /// `App(arguments)` as written.
    pub application: String,
    /// Where it is.
    pub file: String,
    /// From 1.
    pub line: u32,
}

/// What was tried, and why it is not the one.
#[derive(Clone, Debug, Serialize)]
pub struct Tried {
    /// The context that has it.
    pub context: String,
    /// The extension as written, or an `include => …` or `switch => …`.
    pub name: String,
    /// A sentence.
    pub reason: String,
}

/// Why an extension is not the one.
enum Reason<'a> {
    Differs { expected: Expected, dialled: &'a str },
    Caller(&'a str),
    NoBeginning,
    Later { context: &'a str, name: &'a str },
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Differs { expected: Expected { position, what }, dialled } => {
                let bytes = dialled.as_bytes().get(position.saturating_sub(1)..).unwrap_or_default();
                match bytes.first() {
                    Some(byte) => write!(f, "position {position} is `{}`, not {what}", byte.escape_ascii()),
                    None => write!(f, "position {position} is the end, not {what}"),
                }
            }
            Self::Caller("") => f.write_str("only for callers without a number"),
            Self::Caller(caller) => write!(f, "only for the caller {caller}"),
            Self::NoBeginning => f.write_str("has no priority 1"),
            Self::Later { context, name } => write!(f, "fits too, but {name} of [{context}] comes first"),
        }
    }
}

impl Dialplan {
    /// Looks a text up as a call does, and tells of everything on the way.
    pub fn explain(&self, query: &Query<'_>) -> Explanation {
        let plain = without_dashes(query.dialled);
        let mut tour = Tour { plan: self, query, plain: &plain, seen: Vec::new(), matched: None, tried: Vec::new() };
        if let Some(index) = self.index(query.context) {
            tour.context(index);
        }
        let Tour { matched, tried, .. } = tour;
        Explanation {
            number: query.dialled.to_owned(),
            context: query.context.to_owned(),
            extension: matched.map(|(context, extension)| Matched::new(context, extension)),
            tried,
        }
    }
}

struct Tour<'a> {
    plan: &'a Dialplan,
    query: &'a Query<'a>,
    plain: &'a str,
    seen: Vec<usize>,
    matched: Option<(&'a Context, &'a Extension)>,
    tried: Vec<Tried>,
}

impl<'a> Tour<'a> {
    fn context(&mut self, index: usize) {
        let Some(context) = self.plan.contexts.get(index) else { return };
        self.seen.push(index);
        for extension in &context.extensions {
            match self.reason(extension) {
                Some(reason) => {
                    let reason = reason.to_string();
                    self.note(context, &extension.written_name(), reason);
                }
                None => self.matched = Some((context, extension)),
            }
        }
        for switch in &context.switches {
            self.note(context, &format!("switch => {switch}"), "is not supported, so it is not searched".to_owned());
        }
        context.includes.iter().for_each(|include| self.include(context, include));
    }

    /// `None`: it is the one.
    fn reason(&self, extension: &'a Extension) -> Option<Reason<'a>> {
        if let Err(expected) = fit(&extension.key, self.plain) {
            return Some(Reason::Differs { expected, dialled: self.plain });
        }
        if !extension.key.admits(self.query.caller) {
            return Some(Reason::Caller(extension.caller.as_deref().unwrap_or_default()));
        }
        if extension.step(1).is_none() {
            return Some(Reason::NoBeginning);
        }
        self.matched.map(|(context, first)| Reason::Later { context: &context.name, name: &first.name })
    }

    fn include(&mut self, context: &Context, include: &Include) {
        let name = format!("include => {}", include.written);
        match include.target {
            None => self.note(context, &name, "there is no such context".to_owned()),
            Some(_) if !include.holds(self.query.at) => self.note(context, &name, "not at this time".to_owned()),
            Some(target) if self.seen.contains(&target) => self.note(context, &name, "was already searched".to_owned()),
            Some(target) if self.seen.len() < MAX_DEPTH => self.context(target),
            Some(_) => self.note(context, &name, "is one include too many".to_owned()),
        }
    }

    fn note(&mut self, context: &Context, name: &str, reason: String) {
        self.tried.push(Tried { context: context.name.clone(), name: name.to_owned(), reason });
    }
}

/// Where a name does not fit.
fn fit(key: &Key, dialled: &str) -> Result<(), Expected> {
    let literal = match &key.name {
        Name::Pattern(pattern) => return pattern.fit(dialled.as_bytes()),
        Name::Literal(literal) if literal == dialled => return Ok(()),
        Name::Literal(literal) => literal.as_bytes(),
    };
    let same = literal.iter().zip(dialled.as_bytes()).take_while(|(ours, theirs)| ours == theirs).count();
    let what = literal.get(same).map_or_else(|| "the end".to_owned(), |byte| format!("`{}`", byte.escape_ascii()));
    Err(Expected { position: same + 1, what })
}

impl Matched {
    fn new(context: &Context, extension: &Extension) -> Self {
        let priorities: Vec<Priority> = extension
            .steps
            .iter()
            .map(|(priority, step)| {
                let (file, line) =
                    step.span.as_ref().map(|span| (span.file.display().to_string(), span.line)).unwrap_or_default();
                let label = extension.labels.iter().find(|(_, at)| at == priority).map(|(label, _)| label.clone());
                Priority { priority: *priority, label, application: step.written.to_string(), file, line }
            })
            .collect();
        let (file, line) = priorities.first().map(|first| (first.file.clone(), first.line)).unwrap_or_default();
        let (name, caller) = (extension.name.clone(), extension.caller.clone());
        Self { context: context.name.clone(), name, caller, file, line, priorities }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explain(text: &str, query: &Query<'_>) -> Explanation {
        let plan = Dialplan::parse(&[("extensions.conf".into(), text.to_owned())]);
        plan.unwrap_or_else(|errors| panic!("{errors:?}")).explain(query)
    }

    fn reasons(explanation: &Explanation) -> Vec<String> {
        explanation.tried.iter().map(|tried| format!("{} {}: {}", tried.context, tried.name, tried.reason)).collect()
    }

    #[test]
    fn each_extension_says_where_it_does_not_fit() {
        let text = "[main]\nexten => 2001,1,NoOp()\nexten => 20,1,NoOp()\nexten => 203/77,1,NoOp()\nexten => 203/,2,NoOp()\nexten => _N0[0-2],1,NoOp()\n\
            exten => _2XX,1(begin),NoOp(here)\n same => n,Hangup()\nexten => _[a-c]X,1,NoOp()\nexten => _XXNX,1,NoOp()\nexten => _2.,1,NoOp()\nswitch => Realtime\n\
            include => none\ninclude => more\n[more]\nexten => _X!,1,NoOp()\ninclude => main\n";
        let explanation = explain(text, &Query::new("main", "2-03"));
        let matched = explanation.extension.as_ref().unwrap();
        assert_eq!((matched.name.as_str(), matched.context.as_str(), matched.line), ("_2XX", "main", 7));
        assert_eq!(matched.priorities[0].label.as_deref(), Some("begin"));
        assert_eq!(
            reasons(&explanation),
            [
                "main 20: position 3 is `3`, not the end",
                "main 2001: position 3 is `3`, not `0`",
                "main 203/: has no priority 1",
                "main 203/77: only for the caller 77",
                "main _2.: fits too, but _2XX of [main] comes first",
                "main _[a-c]X: position 1 is `2`, not [a-c]",
                "main _N0[0-2]: position 3 is `3`, not [0-2]",
                "main _XXNX: position 4 is the end, not X (0-9)",
                "main switch => Realtime: is not supported, so it is not searched",
                "main include => none: there is no such context",
                "more _X!: fits too, but _2XX of [main] comes first",
                "more include => main: was already searched",
            ]
        );
    }

    #[test]
    fn nothing_found_is_told_too() {
        let explanation = explain(
            "[main]\ninclude => night,0:00-0:00,*,31,feb\nexten => _.,1,NoOp()\n[night]\nexten => 1,1,NoOp()\n",
            &Query::new("main", ""),
        );
        assert!(explanation.extension.is_none());
        assert_eq!(
            reasons(&explanation),
            [
                "main _.: position 1 is the end, not anything",
                "main include => night,0:00-0:00,*,31,feb: not at this time"
            ]
        );
    }
}
