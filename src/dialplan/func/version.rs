//! `VERSION(what)`: which software this is.

use super::{Func, FuncError};
use crate::dialplan::piece::Piece;
use crate::dialplan::vars::Scope;

/// The Asterisk whose behaviour this dialplan has, 22.10.1, as its own VERSION(ASTERISK_VERSION_NUM) gives it: what
/// scripts compare to know which functions there are.
const ASTERISK_VERSION_NUM: &str = "221001";

pub(super) struct Version;

impl Func for Version {
    fn name(&self) -> &'static str {
        "VERSION"
    }

    fn syntax(&self) -> &'static str {
        "[ASTERISK_VERSION_NUM|BUILD_OS|BUILD_MACHINE]"
    }

    fn synopsis(&self) -> &'static str {
        "The version of wirechief, the number of the Asterisk that it behaves like, or what it was built for."
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let version = match args.value(scope).to_ascii_uppercase().as_str() {
            "ASTERISK_VERSION_NUM" => ASTERISK_VERSION_NUM,
            "BUILD_OS" => std::env::consts::OS,
            "BUILD_MACHINE" => std::env::consts::ARCH,
            // nobody's name, host or hour of building is kept in the program
            "BUILD_USER" | "BUILD_HOSTNAME" | "BUILD_DATE" | "BUILD_KERNEL" => "",
            _ => env!("CARGO_PKG_VERSION"),
        };
        Ok(version.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::value;

    #[test]
    fn scripts_that_compare_numbers_see_the_asterisk_it_behaves_like() {
        assert_eq!(value("$[${VERSION(ASTERISK_VERSION_NUM)} >= 180000]", &[]), "1");
        assert_eq!(value("${VERSION()}", &[]), env!("CARGO_PKG_VERSION"));
        assert_eq!(value("${VERSION(build_os)}", &[]), std::env::consts::OS);
        assert_eq!(value("${VERSION(BUILD_USER)}", &[]), "");
    }
}
