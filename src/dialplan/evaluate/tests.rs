//! Values of expressions, row by row as Asterisk 22 gives them.

use super::*;
use crate::dialplan::vars::tests::Variables;

fn variables() -> Variables {
    Variables::with(&[
        ("ONE", "1"),
        ("NEG", "-5"),
        ("EMPTY", ""),
        ("EVIL", "1 | 1"),
        ("NAME", "hello world"),
        ("CR", "9"),
        ("BLANK", " 5 "),
        ("ZEROS", "-007"),
        ("QUOTED", "\"5\""),
        ("PATTERN", "[0-9]+"),
        ("BROKEN", "("),
    ])
}

fn evaluated(expression: &str) -> (String, Vec<ValueWarning>) {
    let template =
        Template::compile(&format!("$[{expression}]")).unwrap_or_else(|error| panic!("{expression}: {error}"));
    let mut scope = variables();
    (template.piece().value(&mut scope), scope.warnings)
}

fn value(expression: &str) -> String {
    evaluated(expression).0
}

fn gives(rows: &[(&str, &str)]) {
    for (expression, expected) in rows {
        assert_eq!(value(expression), *expected, "{expression}");
    }
}

#[test]
fn numbers_come_out_as_asterisk_prints_them() {
    gives(&[
        ("7/2", "3.5"),
        ("6/2", "3"),
        ("1/3", "0.333333333333333333"),
        ("0.1+0.2", "0.3"),
        ("9223372036854775807+1", "9.22337203685477581e+18"),
        ("9223372036854775807+0", "9.22337203685477581e+18"),
        ("99999999999999999999", "99999999999999999999"),
        ("-7%3", "-1"),
        ("7%-3", "1"),
        ("7%0", "0"),
        ("7/0", "2147483647"),
        ("5 % -0", "-0"),
        ("2-3-4", "-5"),
        ("-5+3", "-2"),
        ("2+3*4", "14"),
        ("(2+3)*4", "20"),
        ("-2*3", "-6"),
        ("1.5*2", "3"),
        ("007", "007"),
        ("007+0", "7"),
        ("-0", "-0"),
        ("0*-1", "-0"),
        ("5.5%2", "1.5"),
        ("1-1.5", "-0.5"),
        ("- -3", "3"),
        ("--3", "3"),
        ("1e5", "1e5"),
        ("", ""),
        ("  ", ""),
        ("${NEG}+3", "-2"),
        ("3 - ${NEG}", "8"),
    ]);
}

#[test]
fn what_is_no_number_counts_as_nothing_in_sums_and_spoils_products() {
    gives(&[
        ("abc + 1", "1"),
        ("1 + abc", "1"),
        ("1 - abc", "1"),
        ("abc - 1", "-1"),
        ("abc + def", "0"),
        ("abc * 2", "0"),
        ("2 * abc", "0"),
        ("abc / 5", "0"),
        ("5 / abc", "2147483647"),
        ("5 % abc", "0"),
        ("- abc", "0"),
        (".5 + 1", "1"),
        ("1. + 1", "1"),
        ("1e5 + 1", "1"),
        ("${EMPTY} + 1", "1"),
        ("1 - ${EMPTY}", "1"),
        ("-${EMPTY}", "0"),
    ]);
    assert_eq!(evaluated("abc + 1").1, [ValueWarning::NotANumber("abc".to_owned())]);
    assert_eq!(evaluated("7 % 0").1, [ValueWarning::DivisionByZero]);
    assert_eq!(evaluated("${EMPTY} + 1").1, []);
}

#[test]
fn comparison_is_of_numbers_only_when_both_are_bare_numbers() {
    gives(&[
        ("\"a\"=a", "0"),
        ("a=a", "1"),
        ("\"01\"=\"1\"", "0"),
        ("01=1", "1"),
        ("1.0=1", "1"),
        (".5=0.5", "0"),
        ("\"10\">\"9\"", "0"),
        ("10>9", "1"),
        ("a=A", "0"),
        ("1<2<3", "1"),
        ("1=1=1", "1"),
        ("3 != 4", "1"),
        ("3 <= 3", "1"),
        ("4 >= 5", "0"),
        ("1 == 1", "1"),
        ("9223372036854775807 = 9223372036854775806", "0"),
        ("\"${NAME}\" = \"hello world\"", "1"),
        ("${NAME} = ${NAME}", "1"),
        ("${EMPTY} = 1", "0"),
        ("${QUOTED} = 5", "0"),
        ("SQRT(-1) = SQRT(-1)", "0"),
        ("SQRT(-1) != SQRT(-1)", "1"),
        ("SQRT(-1) < 1", "0"),
    ]);
}

#[test]
fn logic_gives_back_its_operands() {
    gives(&[
        ("\"\" | 3", "\"\""),
        ("\"0\" | 4", "\"0\""),
        ("0 | 4", "4"),
        ("5 | 4", "5"),
        ("007 | 4", "7"),
        ("0 | 007", "007"),
        ("5.50 & 4", "5.5"),
        ("0.0 | 4", "4"),
        ("5 & 4", "5"),
        ("5 & 0", "0"),
        ("0 || 2", "2"),
        ("1 && 3", "1"),
        ("1 & 2 | 3", "1"),
        ("!5", "0"),
        ("!0", "1"),
        ("!0.5", "1"),
        ("!(0.5+0)", "0"),
        ("!abc", "1"),
        ("!\"5\"", "1"),
        ("!5abc", "0"),
        ("!4294967296", "1"),
        ("!1+1", "1"),
        ("!a=b", "0"),
        ("\"\"?yes::no", "no"),
        ("1?yes::no", "yes"),
        ("\"0\"?yes::no", "yes"),
        ("0.0?yes::no", "no"),
        ("0?a::1?b::c", "b"),
        ("1?0::1?b::c", "c"),
        ("1 ? 1 ? a :: b :: c", "a"),
        ("0 ? a :: b | c", "b"),
    ]);
}

#[test]
fn regular_expressions_give_what_they_matched() {
    gives(&[
        ("\"hello123\":\"[a-z]+\"", "5"),
        ("\"hello123\":\"([a-z]+)\"", "hello"),
        ("\"hello123\" =~ \"[0-9]+\"", "3"),
        ("\"hello123\" : \"[0-9]+\"", "0"),
        ("\"abc\" : \"(x)\"", ""),
        ("\"b\" : \"(a)|b\"", "1"),
        ("\"ab\" : \"(a|ab)\"", "ab"),
        ("\"abc\" : \"\"", "0"),
        ("\"abc\" : \")\"", "0"),
        ("\"1.2\" : \"(.*)\" + 1", "2.2"),
        ("\"/home/200.ulaw\" =~ \"/([0-9]+)[.]\"", "200"),
        ("-5 : \"-5\"", "-0"),
        ("5 : -5", "0"),
        ("a : a : 1", "1"),
        ("\"${NAME}\" : \"hello (.*)\"", "world"),
        ("\"x12\" =~ ${PATTERN}", "2"),
        ("\"x12\" =~ \"${PATTERN}\"", "2"),
        ("\"über\" : \".\"", "1"),
        ("\"abc\" : \"(\"", ""),
    ]);
    let broken = ValueWarning::Pattern { pattern: "(".to_owned(), error: RegexError::UnclosedGroup };
    assert_eq!(evaluated("a : ${BROKEN}"), (String::new(), vec![broken]));
}

#[test]
fn texts_are_joined_without_their_quotes() {
    gives(&[
        ("hello ~~ \" world\"", "hello world"),
        ("\"a\"~~\"b\"", "ab"),
        ("1 ~~ 2 + 1", "13"),
        ("1.2 ~~ .3 + 1", "2.2"),
        ("${NAME} ~~ !", "0"),
    ]);
}

#[test]
fn functions_are_called_by_their_name_in_capitals() {
    gives(&[
        ("ABS(-3)", "3"),
        ("ABS(- 3 , 4)", "0"),
        ("POW(2,0.5)", "1.41421356237309505"),
        ("POW(2,)", "1"),
        ("POW(2,3,4)", "0"),
        ("ABS(${NEG}) + 1", "6"),
        ("ABS(ABS(-1)-3)", "2"),
        ("EXISTS(a)", "1"),
        ("EXISTS(a) + EXISTS(${EMPTY})", "1"),
        ("GLOBAL(NONE)", "0"),
        ("abs(1)", "0"),
        ("5(3)", "0"),
        ("a (b)", "0"),
        ("\"ABS\"(1)", "0"),
        ("${NAME}(1)", "0"),
        ("ABS()", "0"),
        ("ABS(,1)", "0"),
    ]);
    assert_eq!(evaluated("abs(1)").1, [ValueWarning::NoFunction("abs".to_owned())]);
}

#[test]
fn a_syntax_error_leaves_what_was_complete_before_it() {
    for (expression, expected) in [
        ("a b", "a"),
        ("1 +", "0"),
        ("= 1", ""),
        ("hello world = hello world", "hello"),
        ("1 + 2 b", "3"),
        ("(1 + 2 b", "0"),
        ("1 ? 2", "0"),
        ("1 ? 2 b", "0"),
        ("1)", "1"),
        ("1 :: 2", "1"),
        ("!", "0"),
        ("\"a\"b", "\"a\""),
        ("a\"b\"", "a"),
        ("a{b", "a"),
        ("a~b", "a"),
        ("1,2", "1"),
        ("(1) (2)", "1"),
        ("(1) 2", "1"),
        (")", ""),
        ("* 2", ""),
        (", 1", ""),
        ("? 1", ""),
        ("1 = = 1", "0"),
        ("1 +* 2", "0"),
        ("1 |", "0"),
        ("(", "0"),
        ("()", "0"),
        ("${ONE} ${ONE}", "1"),
    ] {
        let (value, warnings) = evaluated(expression);
        assert_eq!(value, expected, "{expression}");
        assert!(matches!(warnings.as_slice(), [ValueWarning::Expression(_)]), "{expression}: {warnings:?}");
    }
}

#[test]
fn what_means_nothing_is_left_out() {
    gives(&[("\"abc", "abc"), ("abc\"", "abc"), ("$ a", "$ a"), ("$", ""), ("a$", "a"), ("{5} + 1", "6"), ("~", "")]);
    assert_eq!(evaluated("{5}").1, []);
}

#[test]
fn s158_a_leading_zero_makes_an_empty_value_a_number() {
    gives(&[("0${EMPTY} < 1 & ${ONE} <= 1", "1"), ("0${CR} < 1 & ${ONE} <= 1", "0")]);
}

#[test]
fn a_value_is_one_operand_whatever_it_holds() {
    gives(&[
        ("${EVIL} = 2", "0"),
        ("${EVIL}", "1 | 1"),
        ("a${EMPTY}b", "ab"),
        ("\"a\"${EMPTY} = \"a\"", "1"),
        ("\"${QUOTED}", "\"5\""),
    ]);
}

#[test]
fn blanks_around_a_value_and_the_minus_of_a_number_are_read_as_if_written() {
    gives(&[
        ("${BLANK}", "5"),
        ("${BLANK} + 1", "6"),
        ("${BLANK} = 5", "1"),
        ("${ZEROS}", "-7"),
        ("${NEG} < 0", "1"),
        ("!${NEG}", "0"),
        ("\"${BLANK}\"", "\" 5 \""),
    ]);
}

#[test]
fn a_condition_is_false_when_empty_or_when_it_begins_with_zero() {
    assert!(["", "0", "00", " 0", "0.0", "-0", "0.1", "0abc", "4294967296"].iter().all(|text| !is_true(text)));
    assert!(["1", "a", "-1", "\"\"", " ", "1a", "-", "99999999999999999999"].iter().all(|text| is_true(text)));
}

#[test]
fn a_long_expression_takes_no_deep_stack_and_no_long_time() {
    assert_eq!(value(&format!("1{}", "+1".repeat(5_000))), "5001");
    assert_eq!(value(&format!("1{}", "?1::0".repeat(2_000))), "1");
    assert_eq!(value(&format!("a{}", " : a".repeat(2_000))), "0");
    assert_eq!(value(&"9".repeat(10_000)).len(), 10_000);
    assert_eq!(value(&format!("{}+1", "9".repeat(10_000))), "inf");
    assert_eq!(value(&"\"".repeat(10_000)), "\"\"");
}

proptest::proptest! {
    #[test]
    fn no_expression_makes_the_reader_or_evaluation_panic(
        text in "([-+*/%()!?:=<>|&~\", $]|::|=~|~~|[0-9.]{1,22}|a|ABS\\(|POW\\(|SIN\\(|EXISTS\\(|[{}^]|\\$\\{(ONE|NEG|EMPTY|EVIL)\\}){0,60}",
    ) {
        if let Ok(template) = Template::compile(&format!("$[{text}]")) {
            template.piece().value(&mut variables());
        }
    }

    #[test]
    fn sums_of_whole_numbers_are_exact(a in -1_000_000_000_000_i64..1_000_000_000_000, b in 1..1_000_000_000_000_i64) {
        proptest::prop_assert_eq!(value(&format!("{a} + {b}")), (a + b).to_string());
        proptest::prop_assert_eq!(value(&format!("{a} < {b}")), i64::from(a < b).to_string());
    }
}
