//! What a dialled text means in a context: its own extensions in their order, then its includes, depth first.
//! Above: `exec`, applications, `explain`. Below: `context`, `pattern`. Asterisk's `pbx_find_extension` gives the order.

use jiff::Timestamp;

use super::context::{Context, Dialplan, Extension, Hint, Include};
use super::name::without_dashes;
use super::pattern::Pattern;

/// Includes within includes.
pub(super) const MAX_DEPTH: usize = 128;

/// What is looked up.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    pub(super) context: &'a str,
    pub(super) dialled: &'a str,
    pub(super) caller: &'a str,
    pub(super) at: Option<Timestamp>,
}

impl<'a> Query<'a> {
    /// A dialled text in a context, by a caller without number, now.
    pub fn new(context: &'a str, dialled: &'a str) -> Self {
        Self { context, dialled, caller: "", at: None }
    }

    /// With this caller's number; empty for none.
    pub fn caller(self, caller: &'a str) -> Self {
        Self { caller, ..self }
    }

    /// With the includes that hold at this moment.
    pub fn at(self, moment: Timestamp) -> Self {
        Self { at: Some(moment), ..self }
    }
}

/// An extension that has what was looked for.
#[derive(Clone, Copy, Debug)]
pub struct Found<'p> {
    /// The extension.
    pub extension: &'p Extension,
    /// Whether it is the first that accepts the dialled text: then whatever priority it has is this one's.
    pub first: bool,
    /// Whether it is an extension of the context itself: what is included may depend on the time.
    pub own: bool,
}

impl Dialplan {
    /// The first extension with steps that a dialled text means, for a caller without number.
    pub fn find(&self, context: &str, dialled: &str) -> Option<&Extension> {
        self.search(&Query::new(context, dialled))
    }

    /// The first extension with steps that a dialled text means.
    pub fn search(&self, query: &Query<'_>) -> Option<&Extension> {
        self.each(query, &mut |extension| (!extension.steps.is_empty()).then_some(extension))
    }

    /// The extension whose priority this is: a priority that the first one lacks is that of the next one that has it.
    pub fn at_priority(&self, query: &Query<'_>, priority: u32) -> Option<Found<'_>> {
        let plain = without_dashes(query.dialled);
        let (mut first, mut own) = (true, true);
        let mut within = |context| {
            let found = Context::own(context, query, &plain, &mut |extension| {
                let found = extension.step(priority).map(|_| Found { extension, first, own });
                first = false;
                found
            });
            own = false;
            found
        };
        self.walk(query, (self.index(query.context)?, 0), &mut Vec::new(), &mut within)
    }

    /// The priority of a label: that of the first extension that has it.
    pub fn labelled(&self, query: &Query<'_>, label: &str) -> Option<u32> {
        self.each(query, &mut |extension| extension.labelled(label))
    }

    /// The hint of the first extension that has one.
    pub fn hint(&self, query: &Query<'_>) -> Option<&Hint> {
        self.each(query, &mut |extension| extension.hint())
    }

    /// Whether the extension is there and has a priority 1.
    pub fn begins(&self, query: &Query<'_>) -> bool {
        self.at_priority(query, 1).is_some()
    }

    /// The same for a caller without number.
    pub fn begins_at(&self, context: &str, dialled: &str) -> bool {
        self.begins(&Query::new(context, dialled))
    }

    /// What `take` makes of the first extension that the text means and of which it makes anything.
    fn each<'p, R>(&'p self, query: &Query<'_>, take: &mut dyn FnMut(&'p Extension) -> Option<R>) -> Option<R> {
        let plain = without_dashes(query.dialled);
        let mut own = |context: &'p Context| context.own(query, &plain, take);
        self.walk(query, (self.index(query.context)?, 0), &mut Vec::new(), &mut own)
    }

    fn walk<'p, R>(
        &'p self,
        query: &Query<'_>,
        (index, depth): (usize, usize),
        seen: &mut Vec<usize>,
        own: &mut dyn FnMut(&'p Context) -> Option<R>,
    ) -> Option<R> {
        let context = self.contexts.get(index).filter(|_| depth < MAX_DEPTH && !seen.contains(&index))?;
        if let Some(found) = own(context) {
            return Some(found);
        }
        if context.includes.is_empty() {
            return None;
        }
        // each context once: an include that leads back here ends
        seen.push(index);
        let held = context.includes.iter().filter(|include| include.holds(query.at));
        let mut targets = held.filter_map(|include: &Include| include.target);
        targets.find_map(|target| self.walk(query, (target, depth + 1), seen, own))
    }

    pub(super) fn index(&self, context: &str) -> Option<usize> {
        self.by_name.get(context).copied()
    }
}

impl Context {
    fn own<'p, R>(
        &'p self,
        query: &Query<'_>,
        plain: &str,
        take: &mut dyn FnMut(&'p Extension) -> Option<R>,
    ) -> Option<R> {
        let mut admitted = |group: &super::context::Group| {
            let mut admitted = self.group(*group).iter().filter(|extension| extension.key.admits(query.caller));
            admitted.find_map(&mut *take)
        };
        if let Some(found) = self.literals.get(plain).and_then(&mut admitted) {
            return Some(found);
        }
        // `Goto(_X.,1)` names a pattern itself
        if query.dialled.starts_with('_')
            && let Ok(pattern) = Pattern::parse(query.dialled)
            && let Some(found) = self.patterns.get(&pattern).and_then(&mut admitted)
        {
            return Some(found);
        }
        self.patterns.find_map(plain.as_bytes(), &mut admitted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str) -> Dialplan {
        Dialplan::parse(&[("extensions.conf".into(), text.to_owned())]).unwrap_or_else(|errors| panic!("{errors:?}"))
    }

    fn found(plan: &Dialplan, dialled: &str) -> Option<String> {
        plan.find("main", dialled).map(|extension| extension.name().to_owned())
    }

    fn text_at(plan: &Dialplan, dialled: &str, priority: u32) -> Option<String> {
        let found = plan.at_priority(&Query::new("main", dialled), priority)?;
        found.extension.step(priority).map(|step| step.written.to_string())
    }

    #[test]
    fn dialled_texts_find_what_asterisk_finds() {
        let names = include_str!("../../tests/data/dialplan/search-order.txt");
        let lines: String = names.lines().rev().map(|name| format!("exten => {name},1,NoOp()\n")).collect();
        let plan = plan(&format!("[main]\n{lines}"));
        let dialled = include_str!("../../tests/data/dialplan/dialled.txt");
        for (dialled, name) in dialled.lines().filter_map(|line| line.split_once(' ')) {
            assert_eq!(found(&plan, dialled).as_deref(), Some(name), "{dialled}");
        }
    }

    #[test]
    fn s154_own_patterns_come_before_included_literals_and_includes_go_depth_first() {
        let plan = plan(
            "[main]\ninclude => a\ninclude => b\nexten => _1X,1,NoOp()\n[a]\ninclude => deep\nexten => 12,1,NoOp()\n\
             [deep]\ninclude => main\nexten => 20,1,NoOp(deep)\nexten => _3X,1,NoOp()\n[b]\nexten => 20,1,NoOp(b)\nexten => 30,1,NoOp()\n",
        );
        assert_eq!(found(&plan, "12").as_deref(), Some("_1X"));
        assert_eq!(found(&plan, "30").as_deref(), Some("_3X"));
        assert_eq!(found(&plan, "99"), None, "an include loop ends");
        assert_eq!(plan.find("nowhere", "12").map(|_| ()), None);
    }

    #[test]
    fn a_priority_that_the_first_extension_lacks_is_that_of_the_next_one() {
        let plan = plan(
            "[main]\nexten => 100,1,NoOp(a)\nexten => 100,4,NoOp(d)\nexten => _X.,1,NoOp(w)\n same => n(l),NoOp(x)\n\
             include => b\n[b]\nexten => _1.,3,NoOp(c)\n",
        );
        let steps: Vec<_> = (1..=5).map(|priority| text_at(&plan, "100", priority)).collect();
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(steps, [text("NoOp(a)"), text("NoOp(x)"), text("NoOp(c)"), text("NoOp(d)"), None]);
        assert_eq!(plan.labelled(&Query::new("main", "100"), "l"), Some(2));
        let first = |priority| plan.at_priority(&Query::new("main", "100"), priority).unwrap().first;
        assert!(first(1) && !first(2) && !first(3) && first(4));
    }

    #[test]
    fn callers_choose_among_extensions_of_one_name() {
        let plan = plan(
            "[main]\nexten => 100,1,NoOp(all)\nexten => 100/,1,NoOp(none)\nexten => 100/2001,1,NoOp(one)\n\
             exten => _1XX/_20XX,1,NoOp(some)\nexten => 100/2001,n,NoOp(two)\n",
        );
        let step = |caller: &str, dialled: &str| {
            let found = plan.at_priority(&Query::new("main", dialled).caller(caller), 1)?;
            found.extension.step(1).map(|step| step.written.to_string())
        };
        assert_eq!(step("", "100").as_deref(), Some("NoOp(none)"));
        assert_eq!(step("2001", "100").as_deref(), Some("NoOp(one)"));
        assert_eq!(step("2002", "100").as_deref(), Some("NoOp(all)"));
        assert_eq!(step("2002", "101").as_deref(), Some("NoOp(some)"));
        assert_eq!(step("3002", "101"), None);
    }

    #[test]
    fn timed_includes_hold_at_their_times_only() {
        let plan = plan(
            "[main]\ninclude => day,9:00-17:00,mon-fri,*,*,UTC\ninclude => night\n[day]\nexten => 1,1,NoOp(day)\n[night]\nexten => 1,1,NoOp(night)\n",
        );
        let at = |moment: &str| {
            let query = Query::new("main", "1").at(moment.parse().unwrap());
            plan.at_priority(&query, 1).unwrap().extension.step(1).unwrap().written.to_string()
        };
        assert_eq!(at("2026-11-20T10:00:00Z"), "NoOp(day)");
        assert_eq!(at("2026-11-20T20:00:00Z"), "NoOp(night)");
        assert_eq!(at("2026-11-21T10:00:00Z"), "NoOp(night)");
    }

    #[test]
    fn hints_are_found_by_pattern_and_do_not_hide_steps() {
        let plan = plan(
            "[main]\nexten => 100,hint,SIP/100&SIP/101\nexten => _1XX,1,NoOp(dial)\nexten => _2XX,hint,SIP/${EXTEN}\n",
        );
        assert_eq!(found(&plan, "100").as_deref(), Some("_1XX"));
        let hint = |dialled| plan.hint(&Query::new("main", dialled)).map(|hint| hint.written.to_string());
        assert_eq!(hint("100").as_deref(), Some("SIP/100&SIP/101"));
        assert_eq!(hint("201").as_deref(), Some("SIP/${EXTEN}"));
        assert_eq!(hint("101"), None);
        assert!(!plan.begins(&Query::new("main", "201")));
    }

    #[test]
    fn a_pattern_can_be_named_itself() {
        let plan = plan("[main]\nexten => _X.,1,NoOp()\nexten => _NX,1,NoOp()\n");
        assert_eq!(found(&plan, "_X.").as_deref(), Some("_X."));
        assert_eq!(found(&plan, "_ZX").as_deref(), None);
    }
}
