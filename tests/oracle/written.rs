//! Expressions at random: right ones, and tokens in any order.

use super::random::Random;

const VALUES: [&str; 44] = [
    "0",
    "1",
    "2",
    "3",
    "7",
    "10",
    "007",
    "0.5",
    "1.5",
    "3.25",
    "0.1",
    "99999",
    "12345678901234567890",
    "9223372036854775807",
    "1000000000000000000",
    "123456789.987654321",
    "0.00001",
    "000",
    "0.0",
    ".5",
    "5.",
    "1.2.3",
    "a",
    "b",
    "abc",
    "hello",
    "1a",
    "_",
    "\"a\"",
    "\"10\"",
    "\"9\"",
    "\"\"",
    "\"0\"",
    "\"hello123\"",
    "\"x y\"",
    "${ONE}",
    "${TEN}",
    "${MINUS}",
    "${EMPTY}",
    "${NAME}",
    "${EVIL}",
    "\"${QUOTED}\"",
    "0${ONE}",
    "${HALF}",
];
const OPERATORS: [&str; 16] = ["+", "-", "*", "/", "%", "=", "==", "!=", "<", ">", "<=", ">=", "|", "||", "&", "&&"];
const PATTERNS: [&str; 12] = [
    "\"[a-z]+\"",
    "\"([a-z]+)\"",
    "\"[0-9]+\"",
    "\"(.)l\"",
    "\"h|hello\"",
    "\"(h|hello)\"",
    "\".*\"",
    "\"(.*)1\"",
    "\"\"",
    "${CLASS}",
    "\"(a|b)c*\"",
    "a",
];
const LOOSE: [&str; 14] = ["?", "::", "(", ")", "!", "-", ",", "ABS(", "=~", ":", "~~", " ", "+", "="];

/// An expression that is right.
pub(super) fn right(random: &mut Random, depth: usize) -> String {
    let blank = if random.below(2) == 0 { " " } else { "" };
    if depth == 0 {
        return random.of(&VALUES).to_owned();
    }
    let next = |random: &mut Random| {
        let less = random.below(depth);
        right(random, less)
    };
    match random.below(20) {
        0..=8 => format!("{}{blank}{}{blank}{}", next(random), random.of(&OPERATORS), next(random)),
        9 => format!("{}{blank}~~{blank}{}", next(random), next(random)),
        10 => format!("{} : {}", next(random), random.of(&PATTERNS)),
        11 => format!("{} =~ {}", next(random), random.of(&PATTERNS)),
        12 | 13 => format!("({})", next(random)),
        14 => format!("-{}", next(random)),
        15 => format!("!{}", next(random)),
        16 | 17 => format!("{} ? {} :: {}", next(random), next(random), next(random)),
        18 => format!("{}({})", random.of(&["ABS", "FLOOR", "CEIL", "TRUNC", "nothing"]), next(random)),
        _ => random.of(&VALUES).to_owned(),
    }
}

/// Tokens in any order.
pub(super) fn any(random: &mut Random) -> String {
    let count = 1 + random.below(9);
    let one = |random: &mut Random| match random.below(3) {
        0 => random.of(&LOOSE).to_owned(),
        1 => random.of(&OPERATORS).to_owned(),
        _ => random.of(&VALUES).to_owned(),
    };
    (0..count).map(|_| one(random) + " ").collect()
}
