//! `Set(name=value)`: sets one variable, or what a function stands for.

use super::{App, BoxFuture, CheckError, Next, Outcome};
use crate::call::Channel;
use crate::config::nearest;
use crate::dialplan::args::Args;
use crate::dialplan::func::{self, Func};
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
        match split(args)?.0 {
            Target::Func(func, args) => func.check(&args),
            Target::Variable(_) => Ok(()),
        }
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let (target, value) = split(args.piece())?;
            let value = args.value(chan, &value);
            match target {
                Target::Variable(name) => {
                    let name = args.value(chan, &name);
                    args.scope(chan).set_variable(&name, value);
                }
                Target::Func(func, func_args) => {
                    let mut scope = args.scope(chan);
                    if let Err(error) = func.write(&mut scope, func_args, value) {
                        scope.warn(ValueWarning::Func { func: func.name(), error });
                    }
                }
            }
            Ok(Next::Continue)
        })
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
