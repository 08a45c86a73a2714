//! `DBdel(family/key)` and `DBdeltree(family[/key])`: remove from the store.

use super::{App, CheckError, Doing, Next};
use crate::call::Channel;
use crate::dialplan::args::Args;
use crate::dialplan::func::FuncError;
use crate::dialplan::func::db::{check_names, failed, forget, names, store};
use crate::dialplan::piece::Piece;
use crate::dialplan::vars::{Scope, ValueWarning};

pub(super) struct DbDel;
pub(super) struct DbDelTree;

impl App for DbDel {
    fn name(&self) -> &'static str {
        "DBdel"
    }

    fn syntax(&self) -> &'static str {
        "family/key"
    }

    fn synopsis(&self) -> &'static str {
        "Removes a key from the store."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        check_names(args)
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        Doing::waits(async move {
            let wanted = {
                let mut scope = args.scope(chan);
                names(&mut scope, args.piece()).and_then(|names| {
                    forget(&mut scope, &names);
                    Ok((names, store(&scope)?))
                })
            };
            let done = match wanted {
                Ok((names, store)) => store.del(&names.family, &names.key).await.map(|_| ()).map_err(|e| failed(&e)),
                Err(error) => Err(error),
            };
            Ok(said(chan, &args, ("DBdel", done)))
        })
    }
}

impl App for DbDelTree {
    fn name(&self) -> &'static str {
        "DBdeltree"
    }

    fn syntax(&self) -> &'static str {
        "family[/key]"
    }

    fn synopsis(&self) -> &'static str {
        "Removes a family from the store, or a key of it and all keys below."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        if args.is_empty() { Err(CheckError::Missing("the family")) } else { Ok(()) }
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        Doing::waits(async move {
            let (tree, store) = {
                let mut scope = args.scope(chan);
                let tree = names(&mut scope, args.piece()).map(|names| (names.family, Some(names.key)));
                // Without a key it is the whole family.
                let tree = tree.unwrap_or_else(|_| (args.piece().value(&mut scope), None));
                (tree, store(&scope))
            };
            let (family, key) = tree;
            let key = key.filter(|key| !key.is_empty());
            let done = match store {
                Ok(store) => store.deltree(&family, key.as_deref()).await.map(|_| ()).map_err(|error| failed(&error)),
                Err(error) => Err(error),
            };
            Ok(said(chan, &args, ("DBdeltree", done)))
        })
    }
}

/// Says what went wrong; the script goes on, as Asterisk's does.
fn said(chan: &mut Channel, args: &Args<'_>, (func, done): (&'static str, Result<(), FuncError>)) -> Next {
    if let Err(error) = done {
        args.scope(chan).warn(ValueWarning::Func { func, error });
    }
    Next::Continue
}
