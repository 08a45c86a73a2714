//! `DIALPLAN_EXISTS(context[,extension[,priority]])`: whether the plan has it.

use super::{Func, FuncError};
use crate::call::Position;
use crate::dialplan::app::Jump;
use crate::dialplan::piece::Piece;
use crate::dialplan::search::Query;
use crate::dialplan::vars::Scope;

pub(super) struct DialplanExists;

impl Func for DialplanExists {
    fn name(&self) -> &'static str {
        "DIALPLAN_EXISTS"
    }

    fn syntax(&self) -> &'static str {
        "context[,extension[,priority]]"
    }

    fn synopsis(&self) -> &'static str {
        "1 if the plan has the context, extension, or priority or label; else 0."
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let mut values =
            args.arguments(3).into_iter().map(|piece| piece.value(scope).trim().to_owned()).collect::<Vec<_>>();
        values.resize(3, String::new());
        let caller = scope.caller().number;
        let plan = scope.plan().ok_or(FuncError::NoCall)?;
        let [context, extension, priority] = values.as_slice() else { return Ok(String::new()) };
        let exists = match (extension.is_empty(), priority.is_empty()) {
            (true, _) => plan.has_context(context),
            (false, true) => plan.search(&Query::new(context, extension).caller(&caller)).is_some(),
            (false, false) => {
                let jump = Jump {
                    context: Some(context.clone()),
                    extension: Some(extension.clone()),
                    priority: priority.clone(),
                };
                plan.reach((&Position::default(), &caller), &jump).is_ok()
            }
        };
        Ok(u8::from(exists).to_string())
    }
}
