//! What the tests of functions share.

use crate::dialplan::template::Template;
use crate::dialplan::vars::tests::Variables;

/// The value of a text in which functions stand, and the warnings on the way.
pub(super) fn evaluate(text: &str, variables: &[(&str, &str)]) -> (String, Vec<String>) {
    let mut scope = Variables::with(variables);
    let value = value_in(&mut scope, text);
    (value, scope.warnings.iter().map(ToString::to_string).collect())
}

/// The value alone.
pub(super) fn value(text: &str, variables: &[(&str, &str)]) -> String {
    evaluate(text, variables).0
}

/// The value in a scope that is looked at afterwards.
pub(super) fn value_in(scope: &mut Variables, text: &str) -> String {
    let template = Template::compile(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    template.piece().value(scope)
}

/// Sets `NAME(args)`.
pub(super) fn set(scope: &mut Variables, func: &str, args: &str, value: &str) -> Result<(), super::FuncError> {
    let template = Template::compile(args).unwrap_or_else(|error| panic!("{args}: {error}"));
    super::find(func).unwrap_or_else(|| panic!("{func}")).write(scope, template.piece(), value.to_owned())
}

/// Why a text is refused when the file is read.
pub(super) fn refusal(text: &str) -> String {
    Template::compile(text).map(|_| ()).expect_err(text).to_string()
}
