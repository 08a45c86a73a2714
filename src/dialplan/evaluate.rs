//! Evaluates expressions `$[ ]` and conditions with the values of the moment. Below: `expr` built the tree, `number`.
//!
//! As in Asterisk a value is a number just computed, digits as they were written, or text; only the first two count.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use super::expr::{Expression, Literal, Node, Operator, unquote};
use super::number::Number;
use super::posix::{Found, Regex};
use super::posix_syntax::RegexError;
use super::template::{Part, Template};
use super::vars::{self, Scope, ValueWarning};

/// What Asterisk gives for a division by zero, and by what is no number.
const NOT_DIVIDED: Number = Number::Int(2_147_483_647);
const ZERO: Number = Number::Int(0);
/// So many characters of a condition are looked at for a number.
const CONDITION_CHARS: usize = 30;

impl Expression {
    /// Appends its value; every operand is evaluated, also those that do not matter for the result.
    pub(super) fn append(&self, scope: &mut dyn Scope, out: &mut String) {
        if let Some(kind) = &self.broken {
            scope.warn(ValueWarning::Expression(kind.clone()));
        }
        match evaluate(&self.node, scope) {
            Operand::Text(text) | Operand::Digits(text, _) => out.push_str(&text),
            Operand::Number(number) => drop(write!(out, "{number}")),
        }
    }
}

/// Whether a condition holds: nothing does not, nor what begins with a number that is zero when taken for a whole one;
/// everything else does.
pub(super) fn is_true(condition: &str) -> bool {
    let end = condition.char_indices().nth(CONDITION_CHARS).map_or(condition.len(), |(at, _)| at);
    !condition.is_empty() && whole(condition.get(..end).unwrap_or_default()) != Some(0)
}

/// The whole number with which a text begins, after blanks, as C fits it into 32 bits.
fn whole(text: &str) -> Option<u32> {
    let text = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let sign = usize::from(text.starts_with(['-', '+']));
    let digits = text.bytes().skip(sign).take_while(u8::is_ascii_digit).count();
    let number = text.get(..sign + digits).filter(|_| digits > 0)?;
    let saturated = if number.starts_with('-') { i64::MIN } else { i64::MAX };
    let low = number.parse().unwrap_or(saturated) & i64::from(u32::MAX);
    u32::try_from(low).ok()
}

enum Operand<'a> {
    /// Text, also of a number in quotes.
    Text(Cow<'a, str>),
    /// A number as it was written.
    Digits(Cow<'a, str>, Number),
    /// A number just computed.
    Number(Number),
}

impl<'a> Operand<'a> {
    fn truth(value: bool) -> Self {
        Self::Number(Number::Int(value.into()))
    }

    fn literal(literal: &'a Literal) -> Self {
        match literal.number {
            Some(number) => Self::Digits(Cow::Borrowed(&literal.text), number),
            None => Self::Text(Cow::Borrowed(&literal.text)),
        }
    }

    /// A value put in: blanks around it do not count, and a minus before it makes it a number just computed.
    fn value(value: Cow<'a, str>) -> Self {
        const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];
        let trimmed = value.trim_matches(BLANKS);
        if let Some(number) = Number::parse(trimmed) {
            let text = if trimmed.len() == value.len() { value } else { trimmed.to_owned().into() };
            return Self::Digits(text, number);
        }
        match trimmed.strip_prefix('-').and_then(Number::parse) {
            Some(number) => Self::Number(number.negative()),
            None if trimmed.len() == value.len() => Self::Text(value),
            None => Self::Text(trimmed.to_owned().into()),
        }
    }

    /// What an operator made of texts; it takes digits with any number of points for a number.
    fn made(text: String) -> Self {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        if is_number {
            let number = Number::leading(&text);
            Self::Digits(text.into(), number)
        } else {
            Self::Text(text.into())
        }
    }

    fn into_text(self) -> Cow<'a, str> {
        match self {
            Self::Text(text) | Self::Digits(text, _) => text,
            Self::Number(number) => number.to_string().into(),
        }
    }

    fn number(&self) -> Option<Number> {
        match self {
            Self::Text(_) => None,
            Self::Digits(_, number) | Self::Number(number) => Some(*number),
        }
    }

    /// Neither empty nor a zero; a quoted text is two quote characters and more, hence true.
    fn is_true(&self) -> bool {
        match self {
            Self::Text(text) => !text.is_empty(),
            Self::Digits(_, number) | Self::Number(number) => !number.is_zero(),
        }
    }

    /// Asking a number whether it is zero makes digits a number just computed.
    fn asked(self) -> Self {
        match self {
            Self::Digits(_, number) => Self::Number(number),
            operand => operand,
        }
    }

    /// Its number; text that is not empty is warned of.
    fn counted(&self, scope: &mut dyn Scope) -> Option<Number> {
        if let Self::Text(text) = self
            && !text.is_empty()
        {
            scope.warn(ValueWarning::NotANumber(text.clone().into_owned()));
        }
        self.number()
    }
}

fn evaluate<'a>(node: &'a Node, scope: &mut dyn Scope) -> Operand<'a> {
    match node {
        Node::Literal(literal) | Node::Pattern(literal, _) => Operand::literal(literal),
        Node::Value(template) => Operand::value(value(template, scope)),
        Node::Not(operand) => Operand::truth(not(&evaluate(operand, scope))),
        Node::Negative(operand) => {
            let operand = evaluate(operand, scope);
            Operand::Number(operand.counted(scope).map_or(ZERO, Number::negative))
        }
        Node::Chain(first, more) => more.iter().fold(evaluate(first, scope), |left, (operator, node)| {
            if let Node::Pattern(literal, pattern) = node {
                let known = pattern.as_ref().map(Arc::as_ref).map_err(RegexError::clone);
                return matched(
                    *operator,
                    &left.into_text(),
                    known.map_err(|error| (literal.text.clone(), error)),
                    scope,
                );
            }
            let right = evaluate(node, scope);
            binary(*operator, (left, right), scope)
        }),
        Node::Conditional(first, more) => more.iter().fold(evaluate(first, scope), |condition, nodes| {
            let [yes, no] = nodes.each_ref().map(|node| evaluate(node, scope));
            // here, and only here, an empty text in quotes is false
            let quoted_empty = matches!(&condition, Operand::Text(text) if text == "\"\"");
            if condition.is_true() && !quoted_empty { yes } else { no }
        }),
        Node::Math(math, args) => {
            let numbers: Vec<Number> =
                args.iter().map(|arg| evaluate(arg, scope).counted(scope).unwrap_or(ZERO)).collect();
            Operand::Number(math.value(&numbers).unwrap_or(ZERO))
        }
        Node::Call(call) => called(call, scope),
        Node::NoFunction(name) => {
            scope.warn(ValueWarning::NoFunction(name.clone()));
            Operand::Number(ZERO)
        }
    }
}

fn value<'a>(template: &'a Template, scope: &mut dyn Scope) -> Cow<'a, str> {
    let value = match template.parts() {
        [Part::Variable(variable)] => vars::variable_value(variable, scope),
        parts => {
            let mut value = String::new();
            for part in parts {
                vars::append(part, scope, &mut value);
            }
            value
        }
    };
    vars::limit(value, scope).into()
}

/// The value of a function: a number when it has only the characters of numbers, also when it has none.
fn called(call: &Part, scope: &mut dyn Scope) -> Operand<'static> {
    let mut value = String::new();
    vars::append(call, scope, &mut value);
    if value.bytes().all(|byte| byte.is_ascii_digit() || b"-. \t".contains(&byte)) {
        Operand::Number(Number::leading(&value))
    } else {
        Operand::Text(vars::limit(value, scope).into())
    }
}

/// Only a number just computed is looked at as a whole; of everything else it is the whole number with which it begins.
fn not(operand: &Operand) -> bool {
    match operand {
        Operand::Number(number) => number.is_zero(),
        Operand::Text(text) | Operand::Digits(text, _) => text.is_empty() || whole(text).unwrap_or(0) == 0,
    }
}

fn binary<'a>(operator: Operator, (left, right): (Operand<'a>, Operand<'a>), scope: &mut dyn Scope) -> Operand<'a> {
    match operator {
        Operator::Or if left.is_true() => left.asked(),
        Operator::Or => right,
        Operator::And if left.is_true() && right.is_true() => left.asked(),
        Operator::And => Operand::truth(false),
        Operator::Join => Operand::made(unquote(&left.into_text()).into_owned() + &unquote(&right.into_text())),
        Operator::MatchAtStart | Operator::MatchAnywhere => {
            let right = right.into_text();
            let pattern = unquote(&right);
            let compiled = Regex::cached(&pattern).map_err(|error| (pattern.into_owned(), error));
            matched(operator, &left.into_text(), compiled.as_deref().map_err(Clone::clone), scope)
        }
        Operator::Add | Operator::Subtract | Operator::Multiply | Operator::Divide | Operator::Remainder => {
            let numbers = (left.counted(scope), right.counted(scope));
            Operand::Number(arithmetic(operator, numbers, scope))
        }
        comparison => Operand::truth(compared(comparison, left, right)),
    }
}

fn compared(comparison: Operator, left: Operand, right: Operand) -> bool {
    let order = match (left.number(), right.number()) {
        (Some(a), Some(b)) => a.order(b),
        _ => Some(left.into_text().cmp(&right.into_text())),
    };
    match (comparison, order) {
        (Operator::NotEqual, order) => order.is_none_or(|order| order.is_ne()),
        (_, None) => false,
        (Operator::Equal, Some(order)) => order.is_eq(),
        (Operator::Less, Some(order)) => order.is_lt(),
        (Operator::LessOrEqual, Some(order)) => order.is_le(),
        (Operator::Greater, Some(order)) => order.is_gt(),
        (_, Some(order)) => order.is_ge(),
    }
}

/// What is no number counts as 0 in sums, and makes products 0.
fn arithmetic(operator: Operator, numbers: (Option<Number>, Option<Number>), scope: &mut dyn Scope) -> Number {
    match (operator, numbers) {
        (Operator::Add, (Some(a), Some(b))) => a.plus(b),
        (Operator::Add, (a, b)) => a.or(b).unwrap_or(ZERO),
        (Operator::Subtract, (Some(a), None)) => a,
        (Operator::Subtract, (a, b)) => a.unwrap_or(ZERO).minus(b.unwrap_or(ZERO)),
        (Operator::Multiply, (Some(a), Some(b))) => a.times(b),
        (Operator::Divide | Operator::Remainder, (Some(_), Some(b))) if b.is_zero() => {
            scope.warn(ValueWarning::DivisionByZero);
            if operator == Operator::Divide { NOT_DIVIDED } else { b }
        }
        (Operator::Divide, (Some(a), Some(b))) => a.over(b),
        (Operator::Divide, (Some(_), None)) => NOT_DIVIDED,
        (Operator::Remainder, (Some(a), Some(b))) => a.remainder(b),
        _ => ZERO,
    }
}

/// The text of the first group, else how many characters matched; nothing when the pattern is none.
fn matched(
    operator: Operator,
    text: &str,
    pattern: Result<&Regex, (String, RegexError)>,
    scope: &mut dyn Scope,
) -> Operand<'static> {
    let pattern = match pattern {
        Ok(pattern) => pattern,
        Err((pattern, error)) => {
            scope.warn(ValueWarning::Pattern { pattern, error });
            return Operand::made(String::new());
        }
    };
    let text = unquote(text);
    let found = if operator == Operator::MatchAtStart { pattern.at_start(&text) } else { pattern.anywhere(&text) };
    match found {
        Some(Found { group: Some(group), .. }) => Operand::made(group.to_owned()),
        Some(Found { whole, group: None }) => {
            let count = whole.chars().count();
            Operand::Number(Number::Int(i64::try_from(count).unwrap_or(i64::MAX)))
        }
        None if pattern.has_group() => Operand::made(String::new()),
        None => Operand::Number(ZERO),
    }
}

#[cfg(test)]
mod tests;
