//! `SPRINTF(format,value,…)`: values printed as C's printf would. Below: `printf`.

use super::printf::Spec;
use super::{Func, FuncError, bytes, scan, slots};
use crate::dialplan::app::CheckError;
use crate::dialplan::piece::Piece;
use crate::dialplan::vars::{self, MAX_VALUE_BYTES, Scope, ValueWarning};

/// Most values.
const MOST: usize = 100;

pub(super) struct Sprintf;

/// A stretch of a format.
enum Token<'a> {
    Text(&'a str),
    Conversion(Spec, char),
}

impl Func for Sprintf {
    fn name(&self) -> &'static str {
        "SPRINTF"
    }

    fn syntax(&self) -> &'static str {
        "format[,value…]"
    }

    fn synopsis(&self) -> &'static str {
        "The format with a value for each of its %d %i %o %u %x %X %c %s %e %f %g %a, flags, width and precision as in C."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        slots::need(args, &["format"])?;
        let [format, ..] = slots::fixed::<{ MOST + 1 }>(args);
        let bad = |found| CheckError::Malformed { what: "conversion that SPRINTF knows", found };
        format.literal().map_or(Ok(()), |format| tokens(&format).map(|_| ()).map_err(bad))
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let mut pieces = slots::slots(&args, MOST + 1).into_iter();
        let format = pieces.next().ok_or(FuncError::Missing("format"))?.value(scope);
        let mut out = String::new();
        for token in tokens(&format).map_err(FuncError::Argument)? {
            match token {
                Token::Text(text) => out.push_str(text),
                Token::Conversion(spec, 's') if pieces.len() == 0 => {
                    let error = FuncError::Missing("a value");
                    scope.warn(ValueWarning::Func { func: self.name(), error });
                    out.push_str(&spec.text("(null)"));
                }
                Token::Conversion(spec, conversion) => {
                    let value = pieces.next().ok_or(FuncError::Missing("a value"))?.value(scope);
                    out.push_str(&printed(spec, conversion, value)?);
                }
            }
            if out.len() > MAX_VALUE_BYTES {
                break;
            }
        }
        Ok(vars::limit(out, scope))
    }
}

fn printed(spec: Spec, conversion: char, value: String) -> Result<String, FuncError> {
    if conversion == 's' {
        return Ok(spec.text(&value));
    }
    if matches!(conversion, 'd' | 'i' | 'o' | 'u' | 'x' | 'X' | 'c') {
        let number = scan::whole(&value).map(|(number, _)| number).ok_or(FuncError::NotANumber(value))?;
        return Ok(match conversion {
            'd' | 'i' => spec.signed(number),
            'c' => Spec { precision: None, ..spec }.text(&bytes::text(vec![number as u8])),
            conversion => spec.unsigned(number, conversion),
        });
    }
    let number = scan::real(&value).ok_or(FuncError::NotANumber(value))?;
    Ok(spec.real(number, conversion))
}

/// The format taken apart; the error is a conversion that is none.
fn tokens(format: &str) -> Result<Vec<Token<'_>>, String> {
    let mut tokens = Vec::new();
    let mut rest = format;
    while let Some((text, after)) = rest.split_once('%') {
        tokens.push(Token::Text(text));
        let (spec, letter_at) = spec(after);
        let letters = after.get(letter_at..).unwrap_or_default();
        let Some(conversion) = letters.chars().next() else { return Ok(tokens) };
        rest = letters.get(conversion.len_utf8()..).unwrap_or_default();
        match conversion {
            '%' => tokens.push(Token::Text("%")),
            'd' | 'i' | 'o' | 'u' | 'x' | 'X' | 'c' | 's' | 'e' | 'E' | 'f' | 'F' | 'g' | 'G' | 'a' | 'A' => {
                tokens.push(Token::Conversion(spec, conversion));
            }
            _ => return Err(format!("%{}{conversion}", after.get(..letter_at).unwrap_or_default())),
        }
    }
    tokens.push(Token::Text(rest));
    Ok(tokens)
}

/// Flags, width, precision and length after a `%`, and how many bytes they are.
fn spec(text: &str) -> (Spec, usize) {
    let mut spec = Spec { bits: 64, ..Spec::default() };
    let flags = text.bytes().take_while(|byte| b"#0- +'I".contains(byte)).count();
    for flag in text.bytes().take(flags) {
        match flag {
            b'#' => spec.alternate = true,
            b'0' => spec.zero = true,
            b'-' => spec.left = true,
            b'+' => spec.plus = true,
            b' ' => spec.blank = true,
            _ => {}
        }
    }
    let number = |from: usize| {
        let text = text.get(from..).unwrap_or_default();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let number = text.get(..digits).unwrap_or_default();
        (if number.is_empty() { 0 } else { number.parse().unwrap_or(usize::MAX) }, from + digits)
    };
    let mut at;
    (spec.width, at) = number(flags);
    let byte = |at: usize| text.as_bytes().get(at).copied();
    if byte(at) == Some(b'.') {
        let (precision, end) = number(at + 1);
        (spec.precision, at) = (Some(precision), end);
    }
    match (byte(at), byte(at + 1)) {
        (Some(b'h'), Some(b'h')) => (spec.bits, at) = (8, at + 2),
        (Some(b'h'), _) => (spec.bits, at) = (16, at + 1),
        (Some(b'l'), Some(b'l')) => at += 2,
        (Some(b'l' | b'L' | b'q' | b'j' | b'z' | b't'), _) => at += 1,
        _ => {}
    }
    (spec, at)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{evaluate, refusal, value};
    use super::*;

    #[test]
    fn every_conversion_prints_as_in_c() {
        for (args, expected) in [
            ("%d,42", "42"),
            ("%04d,42", "0042"),
            ("%-5d|,42", "42   |"),
            ("%+d % d,1,2", "+1  2"),
            ("%05d,-42", "-0042"),
            ("%.3d,7", "007"),
            ("%8.3d|,-7", "    -007|"),
            ("%.0d|,0", "|"),
            ("%d,12abc", "12"),
            ("%i,-1.9", "-1"),
            ("%hd %hhu,70000,257", "4464 1"),
            ("%ld%lld,1,2", "12"),
            ("%u %x,-1,-1", "4294967295 ffffffff"),
            ("%x %X %#x,255,255,255", "ff FF 0xff"),
            ("%#06x,255", "0x00ff"),
            ("%o %#o,8,8", "10 010"),
            ("%c%c,72,105", "Hi"),
            ("%3c|,65", "  A|"),
            ("%s is %s,a,b", "a is b"),
            ("%5s|%-5s|%.2s,ab,cd,efg", "   ab|cd   |ef"),
            ("%f,3.14159265", "3.141593"),
            ("%.2f,2.675", "2.67"),
            ("%.0f,0.5", "0"),
            ("%08.2f,-3.14159", "-0003.14"),
            ("%e %E,12345.678,0.00012", "1.234568e+04 1.200000E-04"),
            ("%g %g %g,100000,1000000,0.0001", "100000 1e+06 0.0001"),
            ("%g %.3g %#g,0.00001,2.71828,1", "1e-05 2.72 1.00000"),
            ("%G,1e-10", "1E-10"),
            ("%a %a %.1a %A,3,0,1.99,0.1", "0x1.8p+1 0x0p+0 0x2.0p+0 0X1.999999999999AP-4"),
            ("%f %5F|,inf,nan", "inf   NAN|"),
            ("100%%", "100%"),
            ("%'d,1000", "1000"),
            ("%d %d%%,1,2", "1 2%"),
            ("plain", "plain"),
            ("end%5", "end"),
        ] {
            assert_eq!(value(&format!("${{SPRINTF({args})}}"), &[]), expected, "{args}");
        }
    }

    #[test]
    fn values_are_values_whatever_they_hold() {
        let variables = [("V", "%d,\"x"), ("F", "%s-%s"), ("BAD", "%n")];
        assert_eq!(value("${SPRINTF(%s,${V})}", &variables), "%d,\"x");
        assert_eq!(value("${SPRINTF(${F},a,b)}", &variables), "a-b");
        assert_eq!(evaluate("${SPRINTF(${BAD},1)}", &variables).1, ["SPRINTF: `%n` is no argument of it"]);
    }

    #[test]
    fn what_cannot_be_printed_is_refused() {
        assert_eq!(refusal("${SPRINTF(%5.2y,1)}"), "SPRINTF: `%5.2y` is no conversion that SPRINTF knows");
        assert_eq!(refusal("${SPRINTF(%*d,1,2)}"), "SPRINTF: `%*` is no conversion that SPRINTF knows");
        for (text, warning) in [
            ("${SPRINTF(%d,x)}", "SPRINTF: `x` is not a number"),
            ("${SPRINTF(a%d)}", "SPRINTF: a value is missing"),
            ("${SPRINTF(%f,x)}", "SPRINTF: `x` is not a number"),
        ] {
            assert_eq!(evaluate(text, &[]), (String::new(), vec![warning.to_owned()]));
        }
        let (text, warnings) = evaluate("${SPRINTF(a%s)}", &[]);
        assert_eq!((text.as_str(), warnings.len()), ("a(null)", 1));
    }

    #[test]
    fn no_width_takes_more_than_a_value_may_have() {
        assert_eq!(value("${SPRINTF(%99999999999999999999d,1)}", &[]).len(), 4096);
        assert_eq!(value("${SPRINTF(%.999999f,1)}", &[]).len(), 4098);
        let many = "%4000s".repeat(90);
        let (text, _) = evaluate(&format!("${{SPRINTF({many}{})}}", ",x".repeat(90)), &[]);
        assert_eq!(text.len(), MAX_VALUE_BYTES);
    }

    proptest::proptest! {
        #[test]
        fn any_format_of_any_value_is_survived(format in "(%[-+ #0']{0,3}[0-9]{0,3}(\\.[0-9]{0,3})?[hlL]?[a-zA-Z%]|é){0,6}", v in "[-+0-9.exinf]{0,12}") {
            value("${SPRINTF(${F},${V},${V},${V},${V})}", &[("F", &format), ("V", &v)]);
        }
    }
}
