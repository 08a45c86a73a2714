//! Functions whose reading changes the store, such as `DB_DELETE` and `PIN_CHECK`, are read before the step that names them: the
//! step waits for the disk, and the thread that all calls share does not.
//! Above: `exec` and `Args`. Below: `func`. Where nobody can wait, as in `[globals]`, they are read on the spot.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::context::Dialplan;
use super::env::{ChannelScope, Env};
use super::expr::Node;
use super::func::{Func, Later, ReadLater, Setting};
use super::piece::{Bit, Piece};
use super::template::{Part, Template, Variable, What};
use super::vars::{Scope, ValueWarning};
use crate::call::Channel;

/// Names one place in the dialplan where such a function is written; copies of the place have the same.
#[derive(Clone, Copy, Debug)]
pub struct Ticket(u64);

impl Ticket {
    /// For a function that takes its time; `None` for all others.
    pub(super) fn of(func: &dyn Func) -> Option<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        (func.reading() == Setting::TakesTime).then(|| Self(NEXT.fetch_add(1, Ordering::Relaxed)))
    }
}

/// Two places with the same text are the same text.
impl PartialEq for Ticket {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

/// What was read before a step.
#[derive(Clone, Default)]
pub(super) struct Settled(Vec<(u64, String, Secrecy)>);

/// Whether a value may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secrecy {
    Open,
    Secret,
}

impl Settled {
    pub(super) fn find(&self, ticket: Ticket) -> Option<(&str, Secrecy)> {
        self.0.iter().find(|(number, ..)| *number == ticket.0).map(|(_, value, secrecy)| (value.as_str(), *secrecy))
    }
}

/// Reads what in a piece takes its time, from the inside out, each once.
pub(super) async fn settle(
    chan: &mut Channel,
    (plan, env): (&Arc<Dialplan>, &Arc<Env>),
    (piece, known): (&Piece<'_>, Option<&Settled>),
) -> Arc<Settled> {
    let mut settled = Arc::new(known.cloned().unwrap_or_default());
    loop {
        let wanted = {
            let mut scope = ChannelScope::new(chan, plan, env).with_settled(Some(Arc::clone(&settled)));
            next(piece, &settled, &mut scope).and_then(|variable| begun(variable, &mut scope))
        };
        let Some((ticket, func, work)) = wanted else { return settled };
        let outcome = work.await;
        let mut scope = ChannelScope::new(chan, plan, env);
        let (value, secrecy) = match outcome {
            Ok(read) => {
                if read.secrecy == Secrecy::Secret {
                    scope.note_secret();
                }
                for (name, value) in read.variables {
                    scope.set_variable(name, value);
                }
                (read.value, read.secrecy)
            }
            Err(error) => {
                func.read_failed(&mut scope);
                scope.warn(ValueWarning::Func { func: func.name(), error });
                (String::new(), Secrecy::Open)
            }
        };
        let mut all = Arc::unwrap_or_clone(settled);
        all.0.push((ticket.0, value, secrecy));
        settled = Arc::new(all);
    }
}

type Begun = (Ticket, &'static dyn Func, Later<ReadLater>);

fn begun(variable: &Variable, scope: &mut dyn Scope) -> Option<Begun> {
    match (&variable.what, variable.ticket) {
        (What::Call(func, args), Some(ticket)) => Some((ticket, *func, func.read_later(scope, args.piece()))),
        _ => None,
    }
}

/// The first function that has not been read, and has nothing such within its own arguments.
fn next<'t>(piece: &Piece<'t>, settled: &Settled, scope: &mut dyn Scope) -> Option<&'t Variable> {
    piece.bits().iter().find_map(|bit| if let Bit::Code(part) = *bit { of_part(part, settled, scope) } else { None })
}

fn of_part<'t>(part: &'t Part, settled: &Settled, scope: &mut dyn Scope) -> Option<&'t Variable> {
    match part {
        Part::Variable(variable) => of_variable(variable, settled, scope),
        Part::Expression(expression) => of_node(&expression.node, settled, scope),
        Part::Text(_) | Part::Value(_) => None,
    }
}

fn of_variable<'t>(variable: &'t Variable, settled: &Settled, scope: &mut dyn Scope) -> Option<&'t Variable> {
    let within = match &variable.what {
        What::Named(name) => of_template(name, settled, scope),
        What::Call(func, args) if args.waits() => of_arguments(*func, &args.piece(), settled, scope),
        What::Call(..) => None,
    };
    let of_slice = |scope: &mut dyn Scope| {
        let slice = variable.slice.as_ref()?;
        let length = |scope: &mut dyn Scope| of_template(slice.length.as_ref()?, settled, scope);
        of_template(&slice.offset, settled, scope).or_else(|| length(scope))
    };
    let itself = || variable.ticket.filter(|ticket| settled.find(*ticket).is_none()).map(|_| variable);
    within.or_else(|| of_slice(scope)).or_else(itself)
}

/// A function that chooses among its arguments: first its condition, then only what it chooses.
fn of_arguments<'t>(
    func: &'static dyn Func,
    args: &Piece<'t>,
    settled: &Settled,
    scope: &mut dyn Scope,
) -> Option<&'t Variable> {
    if !func.chooses() {
        return next(args, settled, scope);
    }
    let condition = args.split_once('?').map(|(condition, _)| condition).unwrap_or_default();
    next(&condition, settled, scope).or_else(|| next(&func.chosen(scope, args)?, settled, scope))
}

fn of_template<'t>(template: &'t Template, settled: &Settled, scope: &mut dyn Scope) -> Option<&'t Variable> {
    if template.waits() { next(&template.piece(), settled, scope) } else { None }
}

/// In an expression every operand is read, as in its evaluation.
fn of_node<'t>(node: &'t Node, settled: &Settled, scope: &mut dyn Scope) -> Option<&'t Variable> {
    match node {
        Node::Value(template) => of_template(template, settled, scope),
        Node::Call(part) => of_part(part, settled, scope),
        node => node.children().into_iter().find_map(|child| of_node(child, settled, scope)),
    }
}

/// Whether anything in an expression takes its time.
pub(super) fn node_waits(node: &Node) -> bool {
    match node {
        Node::Value(template) => template.waits(),
        Node::Call(part) => part.waits(),
        node => node.children().into_iter().any(node_waits),
    }
}
