//! The plan as `dialplan show` prints it in Asterisk 22, byte for byte: scripts read it. Above: `pbx -rx`. Below: `context`.

use std::fmt::Write;

use super::context::{Context, Dialplan, Extension};
use super::name::{Name, without_dashes};
use super::pattern::Pattern;
use super::problem::Span;

/// Contexts within contexts, and in all, that one question may lead to: includes of includes can be many.
const MAX_DEPTH: usize = 128;
const MAX_CONTEXTS: usize = 10_000;
/// Who made it all.
const REGISTRAR: &str = "pbx_config";

/// The text for `dialplan show`, `dialplan show context` or `dialplan show extension@context`.
///
/// # Errors
/// The sentence for a context or an extension that is not there.
pub fn text(plan: &Dialplan, what: Option<&str>) -> Result<String, String> {
    let (extension, context) = match what.map(|what| what.split_once('@').ok_or(what)) {
        None => (None, None),
        Some(Ok((extension, context))) => (Some(extension), Some(context)),
        Some(Err(context)) => (None, Some(context)),
    };
    let written = |part: Option<&str>| part.filter(|part| !part.is_empty()).map(str::to_owned);
    let (extension, context) = (written(extension), written(context));
    if let Some(context) = &context
        && !plan.has_context(context)
    {
        return Err(format!("There is no existence of '{context}' context\n"));
    }
    let mut show = Show { plan, wanted: extension.as_deref(), text: String::new(), counts: Counts::default() };
    // Asterisk puts a new context before the others
    for index in (0..plan.contexts.len()).rev() {
        if context.as_deref().is_none_or(|name| plan.index(name) == Some(index)) {
            show.context(index, &mut Vec::new());
        }
    }
    match (&extension, &context) {
        (Some(extension), Some(context)) if show.counts.extensions == 0 => {
            Err(format!("There is no existence of {extension}@{context} extension\n"))
        }
        (Some(extension), None) if show.counts.extensions == 0 => {
            Err(format!("There is no existence of '{extension}' extension in all contexts\n"))
        }
        _ => Ok(show.finished()),
    }
}

#[derive(Default)]
struct Counts {
    extensions: usize,
    priorities: usize,
    contexts: usize,
    visited: usize,
}

struct Show<'a> {
    plan: &'a Dialplan,
    wanted: Option<&'a str>,
    text: String,
    counts: Counts,
}

impl Show<'_> {
    /// One context, and when an extension is wanted those it includes. `within` are the includes that lead here.
    fn context(&mut self, index: usize, within: &mut Vec<usize>) {
        let plan = self.plan;
        let Some(context) = plan.contexts.get(index) else { return };
        self.counts.visited += 1;
        let matching: Vec<&Extension> = context
            .extensions
            .iter()
            .filter(|extension| self.wanted.is_none_or(|wanted| fits(extension, wanted)))
            .collect();
        let shown = self.wanted.is_none() || !matching.is_empty();
        if shown {
            self.counts.contexts += 1;
            let kind = if within.is_empty() { "Context" } else { "Included context" };
            self.line(&format!("[ {kind} '{}' created by '{REGISTRAR}' ]", context.name));
        }
        matching.into_iter().for_each(|extension| self.extension(extension));
        self.includes(context, within);
        for pattern in &context.ignored {
            let begins = || Pattern::parse(&format!("_{pattern}.")).ok();
            let fits = |wanted: &str| begins().is_some_and(|begins| begins.matches(without_dashes(wanted).as_bytes()));
            if self.wanted.is_none_or(fits) {
                self.line(&format!("  Ignore pattern => {:<45} [{REGISTRAR}]", format!("'{pattern}'")));
            }
        }
        for switch in context.switches.iter().filter(|_| within.is_empty()) {
            let (name, data) = switch.split_once('/').unwrap_or((switch, ""));
            self.line(&format!("  Alt. Switch =>    {:<45} [{REGISTRAR}]", format!("'{name}/{data}'")));
        }
        if shown {
            self.line("");
        }
    }

    fn includes(&mut self, context: &Context, within: &mut Vec<usize>) {
        for include in &context.includes {
            if self.wanted.is_none() {
                self.line(&format!("  Include =>        {:<45} [{REGISTRAR}]", format!("'{}'", include.written)));
                continue;
            }
            // Asterisk looks for the context by all of the text, times included
            let target = include.target.filter(|target| include.times.is_none() && !within.contains(target));
            let Some(target) = target else { continue };
            if within.len() < MAX_DEPTH && self.counts.visited < MAX_CONTEXTS {
                within.push(target);
                self.context(target, within);
                within.pop();
            }
        }
    }

    fn extension(&mut self, extension: &Extension) {
        self.counts.extensions += 1;
        let mut head = match &extension.caller {
            Some(caller) => format!("'{}' (CID match '{caller}') => ", extension.name),
            None => format!("'{}' =>", extension.name),
        };
        if let Some(hint) = &extension.hint {
            self.priority(&head, &format!("hint: {}", hint.written), Some(&hint.span));
            head.clear();
        }
        for (index, (priority, step)) in extension.steps.iter().enumerate() {
            let label = || extension.labels.iter().find(|(_, at)| at == priority).map(|(label, _)| label);
            if index > 0 || extension.hint.is_some() {
                head = label().map(|label| format!("   [{label}]")).unwrap_or_default();
            }
            self.priority(&head, &format!("{priority}. {}", step.written), step.span.as_ref());
        }
    }

    fn priority(&mut self, head: &str, what: &str, span: Option<&Span>) {
        self.counts.priorities += 1;
        let place = span.map_or_else(|| REGISTRAR.to_owned(), |span| format!("{}:{}", span.file_name(), span.line));
        self.line(&format!("  {head:<17} {what:<45} [{place}]"));
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn finished(mut self) -> String {
        let Counts { extensions, priorities, contexts, .. } = self.counts;
        let word = |count: usize, one: &'static str, many: &'static str| if count == 1 { one } else { many };
        let _ = writeln!(
            self.text,
            "-= {extensions} {} ({priorities} {}) in {contexts} {}. =-",
            word(extensions, "extension", "extensions"),
            word(priorities, "priority", "priorities"),
            word(contexts, "context", "contexts"),
        );
        self.text
    }
}

fn fits(extension: &Extension, wanted: &str) -> bool {
    let plain = without_dashes(wanted);
    match &extension.key.name {
        Name::Literal(name) => *name == *plain,
        Name::Pattern(pattern) => {
            let itself = wanted.starts_with('_') && Pattern::parse(wanted).is_ok_and(|wanted| wanted == *pattern);
            itself || pattern.matches(plain.as_bytes())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = "[main]\nexten => _X.,1,NoOp(any)\nexten => 100,1(start),NoOp(${CALLERID(num)})\n same => n(go-on),Verbose(1,hello)\n\
        same => n,Hangup\nexten => 100/200,1,Busy()\nexten => 100,hint,SIP/100\ninclude => day,9:00-17:00,mon-fri,*,*\ninclude => late\n\
        ignorepat => 9\nswitch => Realtime/x@y\n[late]\nexten => 1-00,1,Answer()\ninclude => main\n[day]\n";

    fn plan() -> Dialplan {
        Dialplan::parse(&[("etc/extensions.conf".into(), PLAN.to_owned())])
            .unwrap_or_else(|errors| panic!("{errors:?}"))
    }

    #[test]
    fn the_whole_plan_is_shown_as_asterisk_shows_it() {
        let expected = "\
[ Context 'day' created by 'pbx_config' ]

[ Context 'late' created by 'pbx_config' ]
  '1-00' =>         1. Answer()                                   [extensions.conf:13]
  Include =>        'main'                                        [pbx_config]

[ Context 'main' created by 'pbx_config' ]
  '100' (CID match '200') =>  1. Busy()                                     [extensions.conf:6]
  '100' =>          hint: SIP/100                                 [extensions.conf:7]
     [start]        1. NoOp(${CALLERID(num)})                     [extensions.conf:3]
     [go-on]        2. Verbose(1,hello)                           [extensions.conf:4]
                    3. Hangup()                                   [extensions.conf:5]
  '_X.' =>          1. NoOp(any)                                  [extensions.conf:2]
  Include =>        'day,9:00-17:00,mon-fri,*,*'                  [pbx_config]
  Include =>        'late'                                        [pbx_config]
  Ignore pattern => '9'                                           [pbx_config]
  Alt. Switch =>    'Realtime/x@y'                                [pbx_config]

-= 4 extensions (7 priorities) in 3 contexts. =-
";
        assert_eq!(text(&plan(), None).unwrap().lines().collect::<Vec<_>>(), expected.lines().collect::<Vec<_>>());
    }

    #[test]
    fn one_extension_is_shown_with_what_includes_add() {
        let shown = text(&plan(), Some("100@late")).unwrap();
        let expected = "\
[ Context 'late' created by 'pbx_config' ]
  '1-00' =>         1. Answer()                                   [extensions.conf:13]
[ Included context 'main' created by 'pbx_config' ]
";
        assert!(shown.starts_with(expected), "{shown}");
        assert!(shown.ends_with("\n\n\n-= 5 extensions (8 priorities) in 3 contexts. =-\n"), "{shown}");
    }

    #[test]
    fn what_is_not_there_is_said_so() {
        assert_eq!(text(&plan(), Some("nowhere")).unwrap_err(), "There is no existence of 'nowhere' context\n");
        assert_eq!(text(&plan(), Some("7@day")).unwrap_err(), "There is no existence of 7@day extension\n");
        let none = text(&plan(), Some("abc@")).unwrap_err();
        assert_eq!(none, "There is no existence of 'abc' extension in all contexts\n");
        assert_eq!(text(&Dialplan::default(), None).unwrap(), "-= 0 extensions (0 priorities) in 0 contexts. =-\n");
    }
}
