//! `SHARED(name[,channel])`: a variable of a channel that other channels can read and set.

use std::sync::Arc;

use super::{Func, FuncError, channel};
use crate::call::live::LegFacts;
use crate::dialplan::piece::Piece;
use crate::dialplan::vars::Scope;

/// Bytes of names and values that one channel may share.
const MAX_BYTES: usize = 64 * 1024;

pub(super) struct Shared;

impl Func for Shared {
    fn name(&self) -> &'static str {
        "SHARED"
    }

    fn syntax(&self) -> &'static str {
        "name[,channel]"
    }

    fn synopsis(&self) -> &'static str {
        "A variable that a channel shares with others, who name it by its channel name; can be set. It lives as long as the \
         channel."
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let (name, leg) = which(scope, &args)?;
        Ok(leg.shared().get(&name).unwrap_or_default().to_owned())
    }

    fn write(&self, scope: &mut dyn Scope, args: Piece<'_>, value: String) -> Result<(), FuncError> {
        let (name, leg) = which(scope, &args)?;
        let mut shared = leg.shared();
        if shared.bytes() + name.len() + value.len() > MAX_BYTES {
            return Err(FuncError::Wrong(format!("{} shares too much already", leg.name)));
        }
        shared.set(&name, value);
        Ok(())
    }
}

fn which(scope: &mut dyn Scope, args: &Piece<'_>) -> Result<(String, Arc<LegFacts>), FuncError> {
    let mut values = args.arguments(2).into_iter().map(|piece| piece.value(scope).trim().to_owned());
    let name = values.next().filter(|name| !name.is_empty()).ok_or(FuncError::Missing("the name"))?;
    let other = values.next().filter(|other| !other.is_empty());
    let chan = channel(scope)?;
    let leg = match other {
        None => chan.facts().clone(),
        Some(other) => {
            let found = chan.exchange().live.named(&other);
            found.ok_or_else(|| FuncError::Wrong(format!("there is no channel `{other}`")))?
        }
    };
    Ok((name, leg))
}
