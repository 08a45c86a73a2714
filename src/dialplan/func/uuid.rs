//! `UUID()`: a name nobody else has.

use super::{Func, FuncError};
use crate::dialplan::piece::Piece;
use crate::dialplan::vars::Scope;

pub(super) struct Uuid;

impl Func for Uuid {
    fn name(&self) -> &'static str {
        "UUID"
    }

    fn syntax(&self) -> &'static str {
        ""
    }

    fn synopsis(&self) -> &'static str {
        "A new random UUID (RFC 9562, version 4), 36 characters in small letters."
    }

    fn read(&self, _scope: &mut dyn Scope, _args: Piece<'_>) -> Result<String, FuncError> {
        Ok(uuid::Uuid::new_v4().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::value;

    #[test]
    fn each_is_another() {
        let [a, b] = [value("${UUID()}", &[]), value("${UUID()}", &[])];
        assert_eq!((a.len(), a.to_ascii_lowercase() == a, a == b), (36, true, false));
    }
}
