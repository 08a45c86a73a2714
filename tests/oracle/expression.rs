//! Expressions `$[ ]`, computed while they are read, token by token with a stack, the way the original does it.

use std::collections::HashMap;

use wirechief::config::CallerIdText;
use wirechief::dialplan::{Scope, Template, ValueWarning};

use super::random::Random;
use super::real::Real;
use super::regex::longest;
use super::written::{any, right};

/// Names and values that the expressions use.
const VARIABLES: [(&str, &str); 9] = [
    ("ONE", "1"),
    ("TEN", " 10 "),
    ("MINUS", "-3"),
    ("HALF", "0.5"),
    ("EMPTY", ""),
    ("NAME", "hello world"),
    ("EVIL", "1 | 1) + ("),
    ("QUOTED", "\"5\""),
    ("CLASS", "[a-z]+"),
];

#[derive(Clone, Debug)]
enum Value {
    Text(String),
    /// A number as written.
    Digits(String),
    Number(Real),
}

#[derive(Clone, Debug)]
enum Item {
    /// A value; whether it is a token of its own, so that `(` after it makes it a function.
    Value(Value, bool),
    /// An operator with something to its left.
    Binary(String),
    Unary(char),
    Open,
    Call(String),
}

// ---- values

fn number(text: &str) -> Option<Real> {
    let mut parts = text.split('.');
    let good = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
    let right = text.matches('.').count() <= 1 && parts.all(good);
    right.then(|| Real::read(text))
}

fn truth(is: bool) -> Value {
    Value::Number(Real::small(is.into()))
}

impl Value {
    /// What was put in by a substitution, or written.
    fn given(text: &str) -> Self {
        let text = text.trim_matches([' ', '\t']);
        match text.strip_prefix('-').and_then(number) {
            Some(real) => Self::Number(real.negated()),
            None if number(text).is_some() => Self::Digits(text.to_owned()),
            None => Self::Text(text.to_owned()),
        }
    }

    /// What came out of texts.
    fn made(text: String) -> Self {
        let numeric = text.chars().all(|c| c.is_ascii_digit() || c == '.') && !text.is_empty();
        if numeric { Self::Digits(text) } else { Self::Text(text) }
    }

    fn text(&self) -> String {
        match self {
            Self::Text(text) | Self::Digits(text) => text.clone(),
            Self::Number(real) => real.print(),
        }
    }

    fn real(&self) -> Option<Real> {
        match self {
            Self::Text(_) => None,
            Self::Number(real) => Some(real.clone()),
            // as much of it as is a number
            Self::Digits(text) => {
                let whole: String = text.chars().take_while(char::is_ascii_digit).collect();
                let rest = text[whole.len()..].strip_prefix('.').unwrap_or("");
                let decimals: String = rest.chars().take_while(char::is_ascii_digit).collect();
                Some(Real::read(&format!("0{whole}.{decimals}")))
            }
        }
    }

    fn holds(&self) -> bool {
        match self.real() {
            Some(real) => !real.is_zero(),
            None => !self.text().is_empty(),
        }
    }

    /// Asking whether digits hold makes them a number.
    fn asked(self) -> Self {
        self.real().map_or(self, Value::Number)
    }
}

fn bare(text: &str) -> String {
    let quoted = text.starts_with('"') && text.ends_with('"');
    if quoted { text.replace('"', "") } else { text.to_owned() }
}

// ---- operators

fn strength(operator: &str) -> u8 {
    match operator {
        "?" | "::" => 1,
        "|" | "||" => 2,
        "&" | "&&" => 3,
        "=" | "==" | "!=" | "<" | ">" | "<=" | ">=" => 4,
        "+" | "-" => 5,
        "*" | "/" | "%" => 6,
        ":" | "=~" | "~~" => 8,
        _ => 0,
    }
}

/// Between all two-place operators: `- a * b` is `(- a) * b`, `- a : b` is `- (a : b)`.
const UNARY_STRENGTH: u8 = 7;

fn unary(sign: char, value: &Value) -> Value {
    if sign == '-' {
        return Value::Number(value.real().map_or(Real::small(0), |real| real.negated()));
    }
    if let Value::Number(real) = value {
        return truth(real.is_zero());
    }
    // of texts and digits counts the whole number at the start
    let text = value.text();
    let text = text.strip_prefix('-').unwrap_or(&text);
    let whole: String = text.chars().take_while(char::is_ascii_digit).collect();
    truth(whole.chars().all(|c| c == '0'))
}

fn binary(left: &Value, operator: &str, right: &Value) -> Value {
    let (a, b) = (left.real(), right.real());
    let zero = || Real::small(0);
    match operator {
        "|" | "||" => return if left.holds() { left.clone().asked() } else { right.clone() },
        "&" | "&&" if left.holds() && right.holds() => return left.clone().asked(),
        "&" | "&&" => return truth(false),
        "~~" => return Value::made(bare(&left.text()) + &bare(&right.text())),
        ":" | "=~" => return search(&bare(&left.text()), &bare(&right.text()), operator == ":"),
        "=" | "==" | "!=" | "<" | ">" | "<=" | ">=" => {
            let order = match (a, b) {
                (Some(a), Some(b)) => a.order(&b),
                _ => left.text().cmp(&right.text()),
            };
            return truth(match operator {
                "=" | "==" => order.is_eq(),
                "!=" => order.is_ne(),
                "<" => order.is_lt(),
                ">" => order.is_gt(),
                "<=" => order.is_le(),
                _ => order.is_ge(),
            });
        }
        _ => {}
    }
    Value::Number(match (operator, a, b) {
        ("+", Some(a), Some(b)) => a.plus(&b),
        ("+", a, b) => a.or(b).unwrap_or_else(zero),
        ("-", Some(a), Some(b)) => a.plus(&b.negated()),
        ("-", Some(a), None) => a,
        ("-", None, b) => zero().plus(&b.unwrap_or_else(zero).negated()),
        ("*", Some(a), Some(b)) => a.times(&b),
        ("/", Some(a), Some(b)) if !b.is_zero() => a.over(&b),
        ("/", Some(_), _) => Real::small(2_147_483_647),
        ("%", Some(_), Some(b)) if b.is_zero() => b,
        ("%", Some(a), Some(b)) => a.rest(&b),
        _ => zero(),
    })
}

fn called(name: &str, args: &[Value]) -> Value {
    let [arg] = args else { return truth(false) };
    let real = arg.real().unwrap_or_else(|| Real::small(0));
    let away = |real: Real, negative: bool| {
        if negative { real.plus(&Real::small(1).negated()) } else { real.plus(&Real::small(1)) }
    };
    let cut = real.cut();
    let exact = cut.order(&real).is_eq();
    let sign = real.is_negative();
    Value::Number(match name {
        "ABS" if real.is_zero() => real,
        "ABS" => real.with_sign(false),
        "TRUNC" => cut,
        "FLOOR" if exact || !sign => cut,
        "FLOOR" => away(cut, true),
        "CEIL" if exact || sign => cut,
        "CEIL" => away(cut, false),
        _ => return truth(false),
    })
}

// ---- regular expressions

fn search(text: &str, pattern: &str, at_start: bool) -> Value {
    let last = if at_start { 0 } else { text.len() };
    match (0..=last).find_map(|start| Some((start, longest(pattern, text, start)?))) {
        Some((_, (_, Some((from, to))))) => Value::made(text[from..to].to_owned()),
        Some((start, (end, None))) => Value::Number(Real::small(u32::try_from(end - start).unwrap())),
        None if pattern.contains('(') => Value::Text(String::new()),
        None => truth(false),
    }
}

// ---- reading

/// The next token and whether it is a value; nothing at the end. Substitutes on the way.
fn token(rest: &mut &str) -> Option<(String, bool)> {
    const DOUBLE: [&str; 9] = ["||", "&&", "==", "!=", "<=", ">=", "=~", "~~", "::"];
    const PART_OF_WORD: &str = ".';\\_^#@";
    *rest = rest.trim_start_matches([' ', '\t']);
    let first = rest.chars().next()?;
    let operator = DOUBLE.iter().copied().find(|double| rest.starts_with(double));
    let operator = operator.or_else(|| "|&=<>+-*/%?:!(),".contains(first).then(|| &rest[..1]));
    if let Some(operator) = operator {
        *rest = &rest[operator.len()..];
        return Some((operator.to_owned(), false));
    }
    let mut word = String::new();
    if first == '"' {
        let end = rest[1..].find('"').unwrap() + 2;
        let mut inside = &rest[..end];
        *rest = &rest[end..];
        while let Some((before, after)) = inside.split_once("${") {
            let (name, after) = after.split_once('}').unwrap();
            word += before;
            word += variable(name);
            inside = after;
        }
        return Some((word + inside, true));
    }
    while let Some(c) = rest.chars().next() {
        if let Some(named) = rest.strip_prefix("${") {
            let (name, after) = named.split_once('}').unwrap();
            word += variable(name);
            *rest = after;
        } else if c.is_ascii_alphanumeric() || PART_OF_WORD.contains(c) {
            word.push(c);
            *rest = &rest[1..];
        } else {
            break;
        }
    }
    Some((word, true))
}

fn variable(name: &str) -> &'static str {
    VARIABLES.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
}

/// Computes what is complete and binds at least as tight as what comes next.
fn reduce(stack: &mut Vec<Item>, next: u8) {
    loop {
        let top: Vec<Item> = stack.iter().rev().take(5).rev().cloned().collect();
        let (taken, value) = match top.as_slice() {
            [.., Item::Value(a, _), Item::Binary(q), Item::Value(b, _), Item::Binary(c), Item::Value(d, _)]
                if q == "?" && c == "::" && next <= 1 =>
            {
                let no = !a.holds() || a.text() == "\"\"";
                (5, if no { d.clone() } else { b.clone() })
            }
            [.., Item::Value(a, _), Item::Binary(operator), Item::Value(b, _)]
                if strength(operator) > 1 && strength(operator) >= next =>
            {
                (3, binary(a, operator, b))
            }
            [.., Item::Unary(sign), Item::Value(a, _)] if UNARY_STRENGTH >= next => (2, unary(*sign, a)),
            _ => return,
        };
        stack.truncate(stack.len() - taken);
        stack.push(Item::Value(value, false));
    }
}

/// Whether a `?` without its `::` is the last thing that is open.
fn wants_alternative(stack: &[Item]) -> bool {
    matches!(stack, [.., Item::Binary(operator), Item::Value(..)] if operator == "?")
}

/// Puts a token on the stack; `None` when it cannot stand there.
fn shift(stack: &mut Vec<Item>, token: &str, is_value: bool) -> Option<()> {
    let after_value = matches!(stack.last(), Some(Item::Value(..)));
    if !after_value {
        let item = match token {
            _ if is_value => Item::Value(Value::given(token), true),
            "(" => Item::Open,
            "-" => Item::Unary('-'),
            "!" => Item::Unary('!'),
            // an argument may be missing after a comma
            "," | ")" if matches!(stack.last(), Some(Item::Binary(comma)) if comma == ",") => {
                stack.push(Item::Value(Value::Text(String::new()), false));
                return shift(stack, token, false);
            }
            _ => return None,
        };
        stack.push(item);
        return Some(());
    }
    if let (false, "(", Some(Item::Value(name, true))) = (is_value, token, stack.last()) {
        *stack.last_mut().unwrap() = Item::Call(name.text());
        return Some(());
    }
    if is_value || token == "(" || token == "!" {
        return None;
    }
    reduce(stack, strength(token));
    let open =
        stack.iter().rposition(|item| !matches!(item, Item::Value(..)) && !matches!(item, Item::Binary(c) if c == ","));
    match token {
        "::" if !wants_alternative(stack) => return None,
        "," if !matches!(open.map(|open| &stack[open]), Some(Item::Call(_))) => return None,
        ")" => {
            let inside = stack.split_off(open?);
            let values: Vec<Value> = inside
                .iter()
                .filter_map(|item| if let Item::Value(value, _) = item { Some(value.clone()) } else { None })
                .collect();
            stack.push(Item::Value(
                match inside.first()? {
                    Item::Call(name) => called(name, &values),
                    Item::Open => values.first()?.clone(),
                    _ => return None,
                },
                false,
            ));
        }
        _ => stack.push(Item::Binary(token.to_owned())),
    }
    Some(())
}

/// The value of an expression; of one with an error, what was complete when the error was met.
fn oracle(expression: &str) -> String {
    let mut rest = expression;
    let mut stack = Vec::new();
    while let Some((token, is_value)) = token(&mut rest) {
        if shift(&mut stack, &token, is_value).is_none() {
            break;
        }
    }
    reduce(&mut stack, 0);
    match stack.as_slice() {
        [] => String::new(),
        [Item::Value(value, _)] => value.text(),
        _ => "0".to_owned(),
    }
}

// ---- comparing

struct Variables(HashMap<&'static str, &'static str>);

impl Scope for Variables {
    fn variable(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|value| (*value).to_owned())
    }

    fn set_variable(&mut self, _name: &str, _value: String) {}

    fn caller(&self) -> CallerIdText {
        CallerIdText::default()
    }

    fn set_caller(&mut self, _caller: CallerIdText) {}

    fn warn(&mut self, _warning: ValueWarning) {}
}

#[test]
fn random_expressions_have_the_value_that_a_second_implementation_gives() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut scope = Variables(VARIABLES.into_iter().collect());
    let mut different = Vec::new();
    for round in 0..24_000 {
        let depth = 1 + random.below(5);
        let expression = if round % 4 == 0 { any(&mut random) } else { right(&mut random, depth) };
        let template =
            Template::compile(&format!("$[{expression}]")).unwrap_or_else(|error| panic!("{expression}: {error}"));
        let (value, expected) = (template.piece().value(&mut scope), oracle(&expression));
        if value != expected {
            different.push(format!("{expression}: `{value}`, not `{expected}`"));
        }
    }
    assert!(different.is_empty(), "{}:\n{}", different.len(), different.join("\n"));
}

#[test]
fn the_second_implementation_gives_what_was_observed() {
    for (expression, expected) in [
        ("7/2", "3.5"),
        ("1/3", "0.333333333333333333"),
        ("0.1+0.2", "0.3"),
        ("9223372036854775807+1", "9.22337203685477581e+18"),
        ("99999999999999999999", "99999999999999999999"),
        ("-7%3", "-1"),
        ("7%0", "0"),
        ("7/0", "2147483647"),
        ("\"a\"=a", "0"),
        ("\"01\"=\"1\"", "0"),
        ("01=1", "1"),
        ("\"10\">\"9\"", "0"),
        ("\"\" | 3", "\"\""),
        ("\"0\" | 4", "\"0\""),
        ("\"\"?yes::no", "no"),
        ("!5", "0"),
        ("-5+3", "-2"),
        ("1<2<3", "1"),
        ("2-3-4", "-5"),
        ("\"hello123\":\"[a-z]+\"", "5"),
        ("\"hello123\":\"([a-z]+)\"", "hello"),
        ("\"hello123\" =~ \"[0-9]+\"", "3"),
        ("", ""),
        ("a b", "a"),
        ("1 +", "0"),
        ("= 1", ""),
        ("hello world = hello world", "hello"),
    ] {
        assert_eq!(oracle(expression), expected, "{expression}");
    }
}
