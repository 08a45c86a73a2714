//! `Set(name=value)`: sets one variable, or what a function stands for.

use super::{App, CheckError, Doing, Next, eavesdrop};
use crate::call::Channel;
use crate::config::nearest;
use crate::dialplan::args::Args;
use crate::dialplan::func::{self, Func, Later, Setting};
use crate::dialplan::piece::Piece;
use crate::dialplan::vars::{Scope, ValueWarning};

pub(super) struct Set;

/// What is set.
enum Target<'a> {
    Variable(Piece<'a>),
    Func(&'static dyn Func, Piece<'a>),
}

impl App for Set {
    fn name(&self) -> &'static str {
        "Set"
    }

    fn syntax(&self) -> &'static str {
        "name=value"
    }

    fn synopsis(&self) -> &'static str {
        "Sets one variable or function; _name is also set in channels it calls, __name in theirs too."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        check(args)
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        let (target, value) = match split(args.piece()) {
            Ok(assignment) => assignment,
            Err(error) => return Err(error.into()).into(),
        };
        match later(chan, &args, (&target, &value)) {
            Some((func, work)) => Doing::waits(async move {
                if let Err(error) = work.await {
                    args.scope(chan).warn(ValueWarning::Func { func: func.name(), error });
                }
                Ok(Next::Continue)
            }),
            None => {
                put(chan, &args, (target, &value));
                Ok(Next::Continue).into()
            }
        }
    }
}

/// The work, if what is set takes time.
fn later(
    chan: &mut Channel,
    args: &Args<'_>,
    (target, value): (&Target<'_>, &Piece<'_>),
) -> Option<(&'static dyn Func, Later)> {
    let Target::Func(func, func_args) = target else { return None };
    if func.setting() == Setting::AtOnce {
        return None;
    }
    let hide = func.is_secret(&mut args.scope(chan), func_args);
    let value = if hide { args.hidden(chan, value) } else { args.value(chan, value) };
    Some((*func, func.write_later(&mut args.scope(chan), func_args.clone(), value)))
}

/// Whether an assignment is one to be waited for.
pub(super) fn takes_time(assignment: &Piece<'_>) -> bool {
    split(assignment)
        .is_ok_and(|(target, _)| matches!(target, Target::Func(func, _) if func.setting() != Setting::AtOnce))
}

/// Does one assignment, and waits for the disk where it writes to one.
pub(super) async fn assign_later(
    chan: &mut Channel,
    args: &Args<'_>,
    assignment: &Piece<'_>,
) -> Result<(), CheckError> {
    let (target, value) = split(assignment)?;
    match later(chan, args, (&target, &value)) {
        Some((func, work)) => {
            if let Err(error) = work.await {
                args.scope(chan).warn(ValueWarning::Func { func: func.name(), error });
            }
        }
        None => put(chan, args, (target, &value)),
    }
    Ok(())
}

/// Does one assignment.
pub(super) fn assign(chan: &mut Channel, args: &Args<'_>, assignment: &Piece<'_>) -> Result<(), CheckError> {
    let (target, value) = split(assignment)?;
    put(chan, args, (target, &value));
    Ok(())
}

fn put(chan: &mut Channel, args: &Args<'_>, (target, value): (Target<'_>, &Piece<'_>)) {
    let written = args.is_written(chan, value);
    let (value, secret) = args.read(chan, value);
    match target {
        Target::Variable(name) => {
            let name = args.value(chan, &name);
            let variables = chan.variables_mut();
            // what is made of a secret is one
            if secret {
                variables.keep_secret(&name);
            }
            if written { variables.set_written(&name, value) } else { variables.set(&name, value) }
        }
        Target::Func(func, func_args) => {
            let mut scope = args.scope(chan);
            let outcome = if written {
                func.write_text(&mut scope, func_args, value)
            } else {
                func.write(&mut scope, func_args, value)
            };
            if let Err(error) = outcome {
                scope.warn(ValueWarning::Func { func: func.name(), error });
            }
        }
    }
}

/// What can be known to be wrong with one assignment.
pub(super) fn check(assignment: &Piece<'_>) -> Result<(), CheckError> {
    match split(assignment)?.0 {
        Target::Func(func, args) => func.check(&args),
        Target::Variable(name) => name.literal().map_or(Ok(()), |name| eavesdrop::check_name(&name)),
    }
}

/// What to set and to what: at the first `=`, everything after it kept as it is.
fn split<'a>(args: &Piece<'a>) -> Result<(Target<'a>, Piece<'a>), CheckError> {
    let (name, value) = args.split_once('=').ok_or(CheckError::Missing("`=`"))?;
    let name = name.trim();
    if name.is_empty() {
        return Err(CheckError::Missing("the name before `=`"));
    }
    let Some((func_name, rest)) = name.split_once('(') else { return Ok((Target::Variable(name), value)) };
    let func_name = func_name.literal().unwrap_or_default();
    let func = func::find(&func_name).ok_or_else(|| {
        let hint = nearest(&func_name, func::TABLE.iter().map(|func| func.name())).map(str::to_owned);
        CheckError::UnknownFunc { name: func_name, hint }
    })?;
    let args = rest.strip_suffix(')').ok_or(CheckError::Missing("`)` before `=`"))?;
    Ok((Target::Func(func, args), value))
}
