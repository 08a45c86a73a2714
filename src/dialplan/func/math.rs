//! `MATH(a op b,type)`: one calculation.

use super::{Func, FuncError, bytes, scan, slots};
use crate::dialplan::app::CheckError;
use crate::dialplan::piece::{Bit, Piece};
use crate::dialplan::vars::Scope;

pub(super) struct Math;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operator {
    Multiply,
    Divide,
    Remainder,
    Power,
    And,
    Xor,
    Or,
    ShiftRight,
    GreaterOrEqual,
    Greater,
    ShiftLeft,
    LessOrEqual,
    Less,
    Equal,
    Add,
    Subtract,
}

/// The order in which operators are looked for, each anywhere in the text. Minus is last: it may be a sign.
const OPERATORS: [(&str, Operator); 16] = [
    ("*", Operator::Multiply),
    ("/", Operator::Divide),
    ("%", Operator::Remainder),
    ("^", Operator::Power),
    ("AND", Operator::And),
    ("XOR", Operator::Xor),
    ("OR", Operator::Or),
    (">>", Operator::ShiftRight),
    (">=", Operator::GreaterOrEqual),
    (">", Operator::Greater),
    ("<<", Operator::ShiftLeft),
    ("<=", Operator::LessOrEqual),
    ("<", Operator::Less),
    ("==", Operator::Equal),
    ("+", Operator::Add),
    ("-", Operator::Subtract),
];

/// How a result is printed.
#[derive(Clone, Copy)]
enum Type {
    Float,
    Int,
    Hex,
    Char,
}

impl Type {
    fn from_word(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "float" | "f" => Some(Self::Float),
            "int" | "i" => Some(Self::Int),
            "hex" | "h" => Some(Self::Hex),
            "char" | "c" => Some(Self::Char),
            _ => None,
        }
    }

    fn print(self, number: f64) -> String {
        let whole = number as i64;
        match self {
            Self::Float => format!("{number:.6}"),
            Self::Int => whole.to_string(),
            Self::Hex => format!("{:x}", unsigned(whole)),
            Self::Char => bytes::text(whole.to_le_bytes().get(..1).unwrap_or_default().to_vec()),
        }
    }
}

/// A negative number as its 32 bits, or 64 when it needs them.
pub(super) fn unsigned(number: i64) -> u64 {
    i32::try_from(number).map_or(number.cast_unsigned(), |small| {
        if small < 0 { u64::from(small.cast_unsigned()) } else { number.cast_unsigned() }
    })
}

impl Func for Math {
    fn name(&self) -> &'static str {
        "MATH"
    }

    fn syntax(&self) -> &'static str {
        "a op b[,float|int|hex|char]"
    }

    fn synopsis(&self) -> &'static str {
        "Calculates with + - * / % ^ AND OR XOR << >> or compares with < > <= >= ==, as TRUE or FALSE."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        slots::need(args, &["a calculation"])?;
        let [calculation, kind] = slots::fixed(args);
        if let Some(found) = calculation.literal()
            && find(&found).is_none()
        {
            return Err(CheckError::Malformed { what: "calculation", found });
        }
        match kind.literal() {
            Some(found) if !kind.is_empty() && Type::from_word(&found).is_none() => {
                Err(CheckError::Unknown { what: "type", found, known: "float, int, hex, char".to_owned() })
            }
            _ => Ok(()),
        }
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let [calculation, kind] = slots::fixed(&args);
        let kind = kind.value(scope);
        let kind = if kind.is_empty() { Some(Type::Float) } else { Type::from_word(&kind) }
            .ok_or(FuncError::Argument(kind))?;
        let (left, operator, right) = match written(&calculation) {
            Some((left, operator, right)) => (left.value(scope), operator, right.value(scope)),
            None => {
                let text = calculation.value(scope);
                let (left, operator, right) = find(&text).ok_or_else(|| FuncError::Argument(text.clone()))?;
                (left.to_owned(), operator, right.to_owned())
            }
        };
        let number = |text: String| {
            let number = match text.strip_prefix('-') {
                Some(text) => scan::real(text).map(|number| -number),
                None => scan::real(&text),
            };
            number.ok_or(FuncError::NotANumber(text))
        };
        Ok(calculate(number(left)?, operator, number(right)?)
            .map_or_else(|truth| if truth { "TRUE" } else { "FALSE" }.to_owned(), |number| kind.print(number)))
    }
}

/// Both sides of the first operator in a text that may begin with a sign.
fn find(text: &str) -> Option<(&str, Operator, &str)> {
    let sign = usize::from(text.starts_with('-'));
    OPERATORS.iter().find_map(|(word, operator)| {
        let at = text.get(sign..)?.find(word)? + sign;
        Some((text.get(..at)?, *operator, text.get(at + word.len()..)?))
    })
}

/// The same for what is written, so that no value can bring an operator into a calculation that has one.
fn written<'a>(calculation: &Piece<'a>) -> Option<(Piece<'a>, Operator, Piece<'a>)> {
    let bits = calculation.bits();
    OPERATORS.iter().find_map(|(word, operator)| {
        bits.iter().enumerate().find_map(|(index, bit)| {
            let Bit::Text(text) = *bit else { return None };
            let sign = usize::from(index == 0 && text.starts_with('-'));
            let at = text.get(sign..)?.find(word)? + sign;
            let mut left = bits.get(..index)?.to_vec();
            left.push(Bit::Text(text.get(..at)?));
            let mut right = vec![Bit::Text(text.get(at + word.len()..)?)];
            right.extend_from_slice(bits.get(index + 1..)?);
            Some((Piece::new(left), *operator, Piece::new(right)))
        })
    })
}

/// The result, or in `Err` the truth of a comparison.
fn calculate(a: f64, operator: Operator, b: f64) -> Result<f64, bool> {
    let whole = |of: fn(i64, i64) -> i64| Ok(of(a as i64, b as i64) as f64);
    let bits = |b: i64| u32::try_from(b & 63).unwrap_or_default();
    match operator {
        Operator::Add => Ok(a + b),
        Operator::Subtract => Ok(a - b),
        Operator::Multiply => Ok(a * b),
        // Asterisk divides by no negative number either
        Operator::Divide => Ok(if b <= 0.0 { 0.0 } else { a / b }),
        Operator::Remainder => whole(|a, b| if b == 0 { 0 } else { a.wrapping_rem(b) }),
        Operator::Power => Ok(a.powf(b)),
        Operator::And => whole(|a, b| a & b),
        Operator::Xor => whole(|a, b| a ^ b),
        Operator::Or => whole(|a, b| a | b),
        Operator::ShiftLeft => Ok((a as i64).wrapping_shl(bits(b as i64)) as f64),
        Operator::ShiftRight => Ok((a as i64).wrapping_shr(bits(b as i64)) as f64),
        Operator::Greater => Err(a > b),
        Operator::GreaterOrEqual => Err(a >= b),
        Operator::Less => Err(a < b),
        Operator::LessOrEqual => Err(a <= b),
        Operator::Equal => Err(a == b),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{evaluate, refusal, value};

    #[test]
    fn every_operator_and_type_gives_what_asterisk_gives() {
        for (args, expected) in [
            ("123+16", "139.000000"),
            ("123%16,int", "11"),
            ("123%16", "11.000000"),
            ("170 AND 63,i", "42"),
            ("170AND63,i", "42"),
            ("5 OR 8,int", "13"),
            ("5XOR1,int", "4"),
            ("1<<4,int", "16"),
            ("256>>4,i", "16"),
            ("2^10,int", "1024"),
            ("2^0.5", "1.414214"),
            ("7/2", "3.500000"),
            ("7/0", "0.000000"),
            ("7/-2", "0.000000"),
            ("7%0,int", "0"),
            ("-5+3,int", "-2"),
            ("5-3,int", "2"),
            ("5--3,int", "8"),
            ("-5-3,int", "-8"),
            ("2*-3,int", "-6"),
            ("255+0,hex", "ff"),
            ("0-1,h", "ffffffff"),
            ("0x10+1,int", "17"),
            ("65+1,char", "B"),
            ("200+28,c", "ä"),
            ("7.9+0,INT", "7"),
            ("3>2", "TRUE"),
            ("3<2", "FALSE"),
            ("3>=3", "TRUE"),
            ("3<=2", "FALSE"),
            ("3==3.0", "TRUE"),
            ("3000000000*2,int", "6000000000"),
            (" 1 + 2 ,int", "3"),
        ] {
            assert_eq!(value(&format!("${{MATH({args})}}"), &[]), expected, "{args}");
        }
    }

    #[test]
    fn values_are_operands_and_bring_no_operator() {
        let variables = [("N", "-5"), ("EVIL", "5*3"), ("OP", "+"), ("ALL", "2*3")];
        for (text, expected) in [
            ("${MATH(${N}+1,int)}", "-4"),
            ("${MATH(-${N}+1,int)}", "6"),
            ("${MATH(1-${N},int)}", "6"),
            ("${MATH(${EVIL}+1,int)}", "6"),
            ("${MATH(1${OP}2,int)}", "3"),
            ("${MATH(${ALL},int)}", "6"),
        ] {
            assert_eq!(value(text, &variables), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_calculated_is_refused() {
        assert_eq!(refusal("${MATH(1 plus 2)}"), "MATH: `1 plus 2` is no calculation");
        assert_eq!(refusal("${MATH(1+2,octal)}"), "MATH: `octal` is no type (known: float, int, hex, char)");
        assert_eq!(refusal("${MATH()}"), "MATH: a calculation is missing");
        let (text, warnings) = evaluate("${MATH(1+${V})}${MATH(${V})}", &[("V", "x")]);
        assert_eq!(
            (text.as_str(), warnings),
            ("", vec!["MATH: `x` is not a number".into(), "MATH: `x` is no argument of it".into()])
        );
    }

    proptest::proptest! {
        #[test]
        fn any_calculation_is_survived(v in "[-+*/%^<>=ANDXOR0-9.exinf ]{0,16}", kind in "[fihc]") {
            value("${MATH(${V},${K})}${MATH(${V}<<${V},${K})}", &[("V", &v), ("K", &kind)]);
        }
    }
}
