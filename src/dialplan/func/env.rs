//! `ENV(name)`: a variable of the environment in which the server was started, if scripts may read it.

use super::{Func, FuncError};
use crate::dialplan::piece::Piece;
use crate::dialplan::vars::Scope;

pub(super) struct EnvVar;

impl Func for EnvVar {
    fn name(&self) -> &'static str {
        "ENV"
    }

    fn syntax(&self) -> &'static str {
        "name"
    }

    fn synopsis(&self) -> &'static str {
        "A variable of the server's environment that [dialplan] env lists."
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let name = args.value(scope);
        scope.environment(&name)
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::dialplan::{Dialplan, Env};

    #[test]
    fn only_listed_names_are_read_and_globals_may_use_them() {
        let mut config = Config::default();
        config.dialplan.env = vec!["PATH".to_owned(), "NOT_SET_BY_ANYBODY".to_owned()];
        let text = "[globals]\nA=${ENV(PATH)}\nB=${ENV(HOME)}\nC=${ENV(NOT_SET_BY_ANYBODY)}\n";
        let plan = Dialplan::parse(&[("extensions.conf".into(), text.to_owned())]).unwrap();
        let env = Env::new(&config, &plan);
        assert_eq!(env.global("A"), std::env::var("PATH").ok());
        assert_eq!(env.global("B").as_deref(), Some(""));
        assert_eq!(env.global("C").as_deref(), Some(""));
        let refusals = ["HOME", "NOT_SET_BY_ANYBODY"].map(|name| env.environment(name).unwrap_err().to_string());
        assert_eq!(refusals, ["`HOME` is not in [dialplan] env", "`NOT_SET_BY_ANYBODY` is not set"]);
    }
}
