//! The functions an expression has of its own, `SIN(1)`, `POW(2,3)`, as the C library computes them. Above: `evaluate`.

use dashu_float::round::mode::HalfEven;
use dashu_float::{Context, FBig, FpError, FpResult, Repr};
use dashu_int::{IBig, Sign};
use rustc_apfloat::ieee::Double;
use rustc_apfloat::{Float, FloatConvert, Round, Status};

use super::number::{Number, Real, parts};

/// Bits of mantissa of a result.
const PRECISION: usize = 64;
/// A power of two far outside of what a result can hold.
const FAR_EXPONENT: i32 = 100_000;
/// A power of e or two that gives such a result.
const FAR: f64 = 20_000.0;

/// A function of one or two numbers.
#[derive(Debug)]
pub(super) struct Math {
    pub(super) name: &'static str,
    compute: Compute,
}

#[derive(Debug)]
enum Compute {
    One(fn(Real) -> Real),
    Two(fn(Real, Real) -> Real),
}

impl PartialEq for Math {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

use Compute::{One, Two};

static TABLE: [Math; 22] = [
    Math { name: "ABS", compute: One(|x| if x < Real::ZERO { -x } else { x }) },
    Math { name: "ACOS", compute: One(|x| analytic(x, Real::NAN, |x| CONTEXT.acos(x, None))) },
    Math { name: "ASIN", compute: One(|x| analytic(x, Real::NAN, |x| CONTEXT.asin(x, None))) },
    Math { name: "ATAN", compute: One(|x| analytic(x, Real::NAN, |x| CONTEXT.atan(x, None))) },
    Math { name: "ATAN2", compute: Two(atan2) },
    Math { name: "CEIL", compute: One(|x| x.round_to_integral(Round::TowardPositive).value) },
    Math { name: "COS", compute: One(|x| analytic(x, -Real::NAN, |x| CONTEXT.cos(x, None))) },
    Math { name: "EXP", compute: One(exp) },
    Math { name: "EXP10", compute: One(|x| pow(small(10), x)) },
    Math { name: "EXP2", compute: One(|x| pow(small(2), x)) },
    Math { name: "FLOOR", compute: One(|x| x.round_to_integral(Round::TowardNegative).value) },
    Math { name: "LOG", compute: One(|x| growing(x, Real::NAN, |x| CONTEXT.ln(x, None))) },
    Math { name: "LOG10", compute: One(|x| growing(x, Real::NAN, |x| CONTEXT.log10(x, None))) },
    Math { name: "LOG2", compute: One(|x| growing(x, Real::NAN, |x| CONTEXT.log2(x, None))) },
    Math { name: "POW", compute: Two(pow) },
    Math { name: "REMAINDER", compute: Two(remainder) },
    Math { name: "RINT", compute: One(|x| x.round_to_integral(Round::NearestTiesToEven).value) },
    Math { name: "ROUND", compute: One(|x| x.round_to_integral(Round::NearestTiesToAway).value) },
    Math { name: "SIN", compute: One(|x| analytic(x, -Real::NAN, |x| CONTEXT.sin(x, None))) },
    Math { name: "SQRT", compute: One(|x| growing(x, -Real::NAN, |x| CONTEXT.sqrt(x))) },
    Math { name: "TAN", compute: One(|x| analytic(x, -Real::NAN, |x| CONTEXT.tan(x, None))) },
    Math { name: "TRUNC", compute: One(|x| x.round_to_integral(Round::TowardZero).value) },
];

/// The function of this name.
pub(super) fn find(name: &str) -> Option<&'static Math> {
    let index = TABLE.binary_search_by(|math| math.name.cmp(name)).ok()?;
    TABLE.get(index)
}

/// All names, sorted.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|math| math.name)
}

impl Math {
    /// How many numbers it takes.
    pub(super) fn takes(&self) -> usize {
        match self.compute {
            One(_) => 1,
            Two(_) => 2,
        }
    }

    /// Its value; `None` with the wrong number of numbers.
    pub(super) fn value(&self, numbers: &[Number]) -> Option<Number> {
        let real = match (&self.compute, numbers) {
            (One(compute), [x]) => compute(x.real()),
            (Two(compute), [x, y]) => compute(x.real(), y.real()),
            _ => return None,
        };
        Some(Number::Real(real))
    }
}

type Wide = Repr<2>;

/// Rounds a result as the x87 does.
const CONTEXT: Context<HalfEven> = Context::new(PRECISION);

/// A function that the library computes; where it is not defined the result is `undefined`, whose sign C prints too.
fn analytic(x: Real, undefined: Real, function: impl Fn(&Wide) -> FpResult<FBig<HalfEven, 2>>) -> Real {
    if x.is_nan() {
        return x;
    }
    result(function(&wide(x)), undefined)
}

/// One that is infinite where its argument is.
fn growing(x: Real, undefined: Real, function: impl Fn(&Wide) -> FpResult<FBig<HalfEven, 2>>) -> Real {
    if x.is_pos_infinity() { x } else { analytic(x, undefined, function) }
}

fn exp(x: Real) -> Real {
    let near = to_f64(x);
    if near.abs() < FAR { analytic(x, Real::NAN, |x| CONTEXT.exp(x, None)) } else { beyond(near) }
}

fn pow(x: Real, y: Real) -> Real {
    let one = small(1);
    if y.is_zero() || x == one {
        return one;
    }
    if x.is_nan() || y.is_nan() {
        return if x.is_nan() { x } else { y };
    }
    let is_odd = y.is_integer() && !(y.scalbn(-1)).is_integer();
    let signed = |size: Real| if x.is_negative() && is_odd { -size } else { size };
    if x.abs() == one && !y.is_finite() {
        return one;
    }
    if x.is_zero() || !x.is_finite() || !y.is_finite() {
        let grows = if x.is_zero() { y.is_negative() } else { (x.abs() > one) != y.is_negative() };
        return signed(if grows { Real::INFINITY } else { Real::ZERO });
    }
    if x.is_negative() && !y.is_integer() {
        return -Real::NAN;
    }
    // the exponent of the result: what cannot be held need not be computed
    let size = x.abs();
    let log2 = match to_f64((size - one).value) {
        near if near.abs() < 0.5 => near.ln_1p() * std::f64::consts::LOG2_E,
        _ => f64::from(size.ilogb()),
    };
    let exponent = log2 * to_f64(y);
    if exponent.abs() > FAR {
        return signed(beyond(exponent));
    }
    signed(result(CONTEXT.powf(&wide(size), &wide(y), None), Real::NAN))
}

/// What e or 2 to a power comes to that is beyond every number.
fn beyond(power: f64) -> Real {
    if power.is_nan() {
        Real::NAN
    } else if power > 0.0 {
        Real::INFINITY
    } else {
        Real::ZERO
    }
}

fn atan2(y: Real, x: Real) -> Real {
    if y.is_nan() || x.is_nan() {
        return if y.is_nan() { y } else { x };
    }
    if y.is_zero() {
        let size = if x.is_negative() { result(Ok(CONTEXT.pi::<2>(None)), Real::NAN) } else { Real::ZERO };
        return size.copy_sign(y);
    }
    result(CONTEXT.atan2(&wide(y), &wide(x), None), Real::NAN)
}

fn remainder(x: Real, y: Real) -> Real {
    let rest = x.ieee_rem(y);
    if rest.status.intersects(Status::INVALID_OP) { -Real::NAN } else { rest.value }
}

fn result(computed: FpResult<FBig<HalfEven, 2>>, undefined: Real) -> Real {
    let signed = |size: Real, sign| if sign == Sign::Negative { -size } else { size };
    match computed {
        Ok(value) => narrow(value.value().into_repr()),
        Err(FpError::Overflow(sign)) => signed(Real::INFINITY, sign),
        Err(FpError::Underflow(sign)) => signed(Real::ZERO, sign),
        Err(_) => undefined,
    }
}

fn wide(real: Real) -> Wide {
    if real.is_infinite() {
        return if real.is_negative() { Repr::neg_infinity() } else { Repr::infinity() };
    }
    if real.is_neg_zero() {
        return Repr::neg_zero();
    }
    let (mantissa, exponent) = parts(real);
    let mantissa = IBig::from(mantissa);
    let signed = if real.is_negative() { -mantissa } else { mantissa };
    Repr::new(signed, isize::try_from(exponent).unwrap_or_default())
}

fn narrow(wide: Wide) -> Real {
    let sign = wide.sign();
    let size = if wide.is_infinite() {
        Real::INFINITY
    } else {
        let (mantissa, exponent) = wide.into_parts();
        let exponent = i32::try_from(exponent).unwrap_or(if exponent > 0 { FAR_EXPONENT } else { -FAR_EXPONENT });
        let mantissa = u128::try_from(mantissa.into_parts().1).unwrap_or_default();
        Real::from_u128(mantissa).value.scalbn(exponent.clamp(-FAR_EXPONENT, FAR_EXPONENT))
    };
    if sign == Sign::Negative { -size } else { size }
}

fn small(int: u8) -> Real {
    Real::from_u128(int.into()).value
}

fn to_f64(real: Real) -> f64 {
    let double: Double = real.convert(&mut false).value;
    f64::from_bits(u64::try_from(double.to_bits()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(name: &str, numbers: &[&str]) -> String {
        let numbers: Vec<Number> = numbers.iter().map(|text| Number::leading(text)).collect();
        find(name).unwrap().value(&numbers).unwrap().to_string()
    }

    #[test]
    fn the_table_is_sorted_and_says_how_many_numbers_each_takes() {
        assert!(TABLE.is_sorted_by(|a, b| a.name < b.name));
        assert!(TABLE.iter().all(|math| math.value(&[]).is_none()));
        assert_eq!((find("SIN").unwrap().takes(), find("POW").unwrap().takes()), (1, 2));
        assert!(find("SINH").is_none());
    }

    #[test]
    fn values_have_the_digits_of_the_c_library() {
        for (name, x, expected) in [
            ("ABS", "-3", "3"),
            ("ABS", "-0", "-0"),
            ("SIN", "1", "0.841470984807896507"),
            ("COS", "1", "0.540302305868139717"),
            ("TAN", "1", "1.55740772465490223"),
            ("TAN", "1.5707963267948966192", "1.19994102263174429e+19"),
            ("SIN", "-0", "-0"),
            ("ASIN", "2", "nan"),
            ("ACOS", "2", "nan"),
            ("EXP", "1", "2.71828182845904524"),
            ("EXP", "12000", "inf"),
            ("EXP", "-12000", "0"),
            ("EXP10", "3", "1000"),
            ("EXP10", "0.5", "3.16227766016837933"),
            ("EXP10", "-4950", "1.09355985956474238e-4950"),
            ("EXP2", "0.5", "1.41421356237309505"),
            ("EXP2", "-16445", "3.6451995318824746e-4951"),
            ("EXP2", "-16446", "0"),
            ("LOG", "10", "2.30258509299404568"),
            ("LOG", "-1", "nan"),
            ("LOG", "0", "-inf"),
            ("LOG2", "10", "3.32192809488736235"),
            ("LOG10", "1000", "3"),
            ("LOG10", "0.001", "-3"),
            ("SQRT", "2", "1.41421356237309505"),
            ("SQRT", "-1", "-nan"),
            ("SQRT", "-0", "-0"),
            ("ROUND", "2.5", "3"),
            ("RINT", "2.5", "2"),
            ("TRUNC", "-2.5", "-2"),
            ("FLOOR", "-2.5", "-3"),
            ("CEIL", "2.1", "3"),
            ("CEIL", "-0.4", "-0"),
        ] {
            assert_eq!(value(name, &[x]), expected, "{name}({x})");
        }
    }

    #[test]
    fn powers_angles_and_remainders_are_those_of_c_in_every_corner() {
        let infinity = "9".repeat(5_001);
        for (name, x, y, expected) in [
            ("POW", "2", "0.5", "1.41421356237309505"),
            ("POW", "-2", "3", "-8"),
            ("POW", "-2", "0.5", "-nan"),
            ("POW", "0", "-1", "inf"),
            ("POW", "-0", "-3", "-inf"),
            ("POW", "-0", "-2", "inf"),
            ("POW", "0", "0", "1"),
            ("POW", "-1", &infinity, "1"),
            ("POW", "2", &infinity, "inf"),
            ("POW", "0.5", &infinity, "0"),
            ("POW", "10", "4000", "1e+4000"),
            ("POW", "10", "-4940", "9.99999999996053252e-4941"),
            ("POW", "1.0001", "100000000", "5.34178331152799886e+4342"),
            ("POW", "1.9", "999999999999999999999999", "inf"),
            ("POW", "-7", "999999999999999999", "-inf"),
            ("ATAN2", "1", "2", "0.463647609000806116"),
            ("ATAN2", "0", "-1", "3.14159265358979324"),
            ("ATAN2", "-0", "-1", "-3.14159265358979324"),
            ("ATAN2", "0", "0", "0"),
            ("ATAN2", "-0", "1", "-0"),
            ("ATAN2", "1", "0", "1.57079632679489662"),
            ("REMAINDER", "5", "3", "-1"),
            ("REMAINDER", "5", "0", "-nan"),
        ] {
            assert_eq!(value(name, &[x, y]), expected, "{name}({x},{y})");
        }
    }

    #[test]
    fn what_is_no_number_or_has_no_end_goes_through_every_function() {
        let infinity = Number::leading(&"9".repeat(5_001));
        let nothing = infinity.minus(infinity);
        for number in [
            infinity,
            infinity.negative(),
            nothing,
            Number::Int(0),
            Number::leading(&format!("0.{}4", "0".repeat(4950))),
        ] {
            for math in &TABLE {
                for other in [Number::Int(3), infinity, nothing] {
                    let numbers = if math.takes() == 1 { vec![number] } else { vec![number, other] };
                    assert!(math.value(&numbers).is_some_and(|value| !value.to_string().is_empty()), "{}", math.name);
                }
            }
        }
        assert_eq!(value("SIN", &[&format!("1{}", "0".repeat(4000))]), "0.56588794096685096");
    }
}
