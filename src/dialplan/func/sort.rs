//! `SORT(key:number,…)`: keys in the order of their numbers.

use super::{Func, FuncError, scan};
use crate::dialplan::app::CheckError;
use crate::dialplan::piece::Piece;
use crate::dialplan::vars::Scope;

pub(super) struct Sort;

impl Func for Sort {
    fn name(&self) -> &'static str {
        "SORT"
    }

    fn syntax(&self) -> &'static str {
        "key:number[,key:number…]"
    }

    fn synopsis(&self) -> &'static str {
        "The keys in the order of their numbers; what has no number is left out."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        if args.is_empty() { Err(CheckError::Missing("key:number")) } else { Ok(()) }
    }

    /// The list is data, also where it comes from a variable: nothing but its own order hangs on it.
    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let list = args.value(scope);
        let number = |text| scan::real(text).unwrap_or_default() as f32 + 0.0;
        let pairs = list.split(',').filter_map(|pair| pair.split_once(':'));
        let mut keys: Vec<(f32, &str)> = pairs.map(|(key, text)| (number(text), key)).collect();
        keys.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        Ok(keys.iter().map(|(_, key)| *key).collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::value;

    #[test]
    fn keys_come_in_the_order_of_their_numbers() {
        for (list, expected) in [
            ("a:3,b:1,c:2", "b,c,a"),
            ("a:2.5,b:-1,c:1e3", "b,a,c"),
            ("a:1,b:1,c:0", "c,a,b"),
            ("a,b:2,c:x,:1", "c,,b"),
            ("a:nan,b:inf,c:-0,d:0", "c,d,b,a"),
            ("", ""),
        ] {
            assert_eq!(value("${SORT(${L})}", &[("L", list)]), expected, "{list}");
        }
        assert_eq!(value("${SORT(1001:30,1002:${N})}", &[("N", "5")]), "1002,1001");
    }

    proptest::proptest! {
        #[test]
        fn any_list_is_survived(list in "[a:,0-9einf.x-]{0,60}") {
            value("${SORT(${L})}", &[("L", &list)]);
        }
    }
}
