//! Evaluates expressions `$[ ]` and conditions with the values of the moment. Below: `expr` built the tree, `number`.

use super::expr::{Expression, Node, Operator};
use super::number::Number;
use super::vars::{Scope, ValueWarning};

/// What Asterisk gives for a division by zero.
const DIVIDED_BY_ZERO: i64 = 2_147_483_647;

impl Expression {
    /// Its value; every operand is evaluated, also those that do not matter for the result.
    pub(super) fn value(&self, scope: &mut dyn Scope) -> String {
        evaluate(&self.0, scope).into_text()
    }
}

/// Whether a condition holds: nothing does not, a number does unless it is zero, any other text does.
pub(super) fn is_true(condition: &str) -> bool {
    let condition = condition.trim();
    !condition.is_empty() && Number::parse(condition).is_none_or(|number| !number.is_zero())
}

/// A value: text as it was written, or a number just computed.
enum Operand {
    Text(String),
    Number(Number),
}

impl Operand {
    fn truth(value: bool) -> Self {
        Self::Number(Number::Int(value.into()))
    }

    fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
        }
    }

    fn number(&self) -> Option<Number> {
        match self {
            Self::Text(text) => Number::parse(text),
            Self::Number(number) => Some(*number),
        }
    }

    /// Neither empty nor a zero; a quoted text is two quote characters and more, hence true.
    fn is_true(&self) -> bool {
        match self {
            Self::Text(text) if text.is_empty() => false,
            operand => operand.number().is_none_or(|number| !number.is_zero()),
        }
    }

    /// The number for arithmetic; nothing counts as 0, other text makes the whole result 0.
    fn arithmetic(&self, scope: &mut dyn Scope) -> Option<Number> {
        match self {
            Self::Text(text) if text.is_empty() => Some(Number::Int(0)),
            operand => operand.number().or_else(|| {
                if let Self::Text(text) = operand {
                    scope.warn(ValueWarning::NotANumber(text.clone()));
                }
                None
            }),
        }
    }
}

fn evaluate(node: &Node, scope: &mut dyn Scope) -> Operand {
    match node {
        Node::Empty => Operand::Text(String::new()),
        Node::Word(word) => Operand::Text(word.piece().value(scope)),
        Node::Not(operand) => Operand::truth(!evaluate(operand, scope).is_true()),
        Node::Negative(operand) => {
            let operand = evaluate(operand, scope);
            Operand::Number(operand.arithmetic(scope).unwrap_or(Number::Int(0)).negative())
        }
        Node::Chain(first, more) => more.iter().fold(evaluate(first, scope), |left, (operator, right)| {
            let right = evaluate(right, scope);
            binary(*operator, (left, right), scope)
        }),
        Node::Conditional(nodes) => {
            let [condition, yes, no] = nodes.each_ref().map(|node| evaluate(node, scope));
            // here, and only here, an empty text in quotes is false
            let quoted_empty = matches!(&condition, Operand::Text(text) if text == "\"\"");
            if condition.is_true() && !quoted_empty { yes } else { no }
        }
    }
}

fn binary(operator: Operator, (left, right): (Operand, Operand), scope: &mut dyn Scope) -> Operand {
    match operator {
        Operator::Or => {
            if left.is_true() {
                left
            } else {
                right
            }
        }
        Operator::And => {
            if left.is_true() && right.is_true() {
                left
            } else {
                Operand::truth(false)
            }
        }
        Operator::Join => Operand::Text(unquote(&left.into_text()).to_owned() + unquote(&right.into_text())),
        Operator::Add | Operator::Subtract | Operator::Multiply | Operator::Divide | Operator::Remainder => {
            let (Some(a), Some(b)) = (left.arithmetic(scope), right.arithmetic(scope)) else {
                return Operand::Number(Number::Int(0));
            };
            Operand::Number(arithmetic(operator, (a, b), scope))
        }
        comparison => {
            let order = match (left.number(), right.number()) {
                (Some(a), Some(b)) => a.order(b),
                _ => left.into_text().cmp(&right.into_text()),
            };
            Operand::truth(match comparison {
                Operator::Equal => order.is_eq(),
                Operator::NotEqual => order.is_ne(),
                Operator::Less => order.is_lt(),
                Operator::LessOrEqual => order.is_le(),
                Operator::Greater => order.is_gt(),
                _ => order.is_ge(),
            })
        }
    }
}

fn arithmetic(operator: Operator, (a, b): (Number, Number), scope: &mut dyn Scope) -> Number {
    match operator {
        Operator::Add => a.plus(b),
        Operator::Subtract => a.plus(b.negative()),
        Operator::Multiply => a.times(b),
        _ if b.is_zero() => {
            scope.warn(ValueWarning::DivisionByZero);
            Number::Int(DIVIDED_BY_ZERO)
        }
        Operator::Divide => a.over(b),
        _ => a.remainder(b),
    }
}

fn unquote(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialplan::template::Template;
    use crate::dialplan::vars::tests::Variables;

    fn value(expression: &str) -> String {
        let template =
            Template::compile(&format!("$[{expression}]")).unwrap_or_else(|error| panic!("{expression}: {error}"));
        let variables =
            [("ONE", "1"), ("NEG", "-5"), ("EMPTY", ""), ("EVIL", "1 | 1"), ("NAME", "hello world"), ("CR", "9")];
        template.piece().value(&mut Variables::with(&variables))
    }

    #[test]
    fn numbers_come_out_as_asterisk_prints_them() {
        for (expression, expected) in [
            ("7/2", "3.5"),
            ("6/2", "3"),
            ("0.1+0.2", "0.3"),
            ("-7%3", "-1"),
            ("7%0", "2147483647"),
            ("7/0", "2147483647"),
            ("2-3-4", "-5"),
            ("-5+3", "-2"),
            ("2+3*4", "14"),
            ("(2+3)*4", "20"),
            ("1.5*2", "3"),
            ("007", "007"),
            ("007+0", "7"),
            ("99999999999999999999", "99999999999999999999"),
            ("9223372036854775807+1", "9.22337203685478e+18"),
            ("", ""),
            ("  ", ""),
            ("1/3", "0.333333333333333"),
            ("5.5%2", "1.5"),
            ("1-1.5", "-0.5"),
            ("${NEG}+3", "-2"),
            ("- -3", "3"),
        ] {
            assert_eq!(value(expression), expected, "{expression}");
        }
    }

    #[test]
    fn comparison_is_of_numbers_only_when_both_are_bare_numbers() {
        for (expression, expected) in [
            ("\"a\"=a", "0"),
            ("a=a", "1"),
            ("\"01\"=\"1\"", "0"),
            ("01=1", "1"),
            ("1.0=1", "1"),
            ("\"10\">\"9\"", "0"),
            ("10>9", "1"),
            ("a=A", "0"),
            ("1<2<3", "1"),
            ("3 != 4", "1"),
            ("3 <= 3", "1"),
            ("4 >= 5", "0"),
            ("1 == 1", "1"),
            ("\"${NAME}\" = \"hello world\"", "1"),
            ("${NAME} = ${NAME}", "1"),
            ("${EMPTY} = 1", "0"),
        ] {
            assert_eq!(value(expression), expected, "{expression}");
        }
    }

    #[test]
    fn logic_gives_back_its_operands() {
        for (expression, expected) in [
            ("\"\" | 3", "\"\""),
            ("\"0\" | 4", "\"0\""),
            ("0 | 4", "4"),
            ("5 | 4", "5"),
            ("5 & 4", "5"),
            ("5 & 0", "0"),
            ("0 || 2", "2"),
            ("1 && 3", "1"),
            ("!5", "0"),
            ("!0", "1"),
            ("!a=b", "0"),
            ("\"\"?yes::no", "no"),
            ("1?yes::no", "yes"),
            ("0?a::1?b::c", "b"),
            ("hello ~~ \" world\"", "hello world"),
        ] {
            assert_eq!(value(expression), expected, "{expression}");
        }
    }

    #[test]
    fn s158_a_leading_zero_makes_an_empty_value_a_number() {
        assert_eq!(value("0${EMPTY} < 1 & ${ONE} <= 1"), "1");
        assert_eq!(value("0${CR} < 1 & ${ONE} <= 1"), "0");
    }

    #[test]
    fn a_value_is_one_operand_whatever_it_holds() {
        assert_eq!(value("${EVIL} = 2"), "0");
        assert_eq!(value("${EVIL}"), "1 | 1");
        assert_eq!(value("${EMPTY} + 1"), "1");
        assert_eq!(value("abc + 1"), "0");
    }

    #[test]
    fn a_condition_is_false_when_empty_or_zero() {
        assert!(["", "0", "00", " 0", "0.0", "-0"].iter().all(|text| !is_true(text)));
        assert!(["1", "a", "00a", "-1", "0.1", "\"\""].iter().all(|text| is_true(text)));
    }

    proptest::proptest! {
        #[test]
        fn no_expression_makes_the_reader_or_evaluation_panic(text in "([-+*/%()!?:=<>|&~\" ]|[0-9.]{1,22}|a|\\$\\{ONE\\}){0,24}") {
            if let Ok(template) = Template::compile(&format!("$[{text}]")) {
                template.piece().value(&mut Variables::with(&[("ONE", "1")]));
            }
        }

        #[test]
        fn sums_of_whole_numbers_are_exact(a in -1_000_000_000_000_i64..1_000_000_000_000, b in 0..1_000_000_000_000_i64) {
            proptest::prop_assert_eq!(value(&format!("{a} + {b}")), (a + b).to_string());
            proptest::prop_assert_eq!(value(&format!("{a} < {b}")), i64::from(a < b).to_string());
        }
    }
}
