//! POSIX extended regular expressions, leftmost-longest, in time linear in the text. Above: `evaluate`, the functions.
//! Below: `posix_syntax` reads them.
//!
//! Differs from the C library in two points: classes such as `[[:alpha:]]` are those of ASCII, and back-references are refused.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use regex_automata::nfa::thompson::{self, NFA, pikevm::PikeVM};
use regex_automata::util::captures::Captures;
use regex_automata::{Anchored, Input, MatchKind, meta};

use super::posix_syntax::{self, RegexError, Syntax};

/// Largest automaton in bytes; what is bigger is refused.
const MAX_AUTOMATON_BYTES: usize = 256 * 1024;
/// Patterns kept that were only known when a script ran.
const KEPT: usize = 64;
/// Longest pattern that is kept, in bytes.
const KEPT_BYTES: usize = 1024;

/// A compiled pattern.
#[derive(Clone)]
pub(super) struct Regex {
    pattern: String,
    has_group: bool,
    /// Finds where the leftmost match starts.
    start: meta::Regex,
    /// Finds, from there, the longest.
    longest: PikeVM,
}

impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Regex({:?})", self.pattern)
    }
}

impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.pattern == other.pattern
    }
}

/// What a pattern matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found<'t> {
    /// The whole match.
    pub(super) whole: &'t str,
    /// The text of the first group, when it took part.
    pub(super) group: Option<&'t str>,
}

impl Regex {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// It is none, or its automaton is too big.
    pub(super) fn compile(pattern: &str) -> Result<Self, RegexError> {
        let Syntax { hir, groups } = posix_syntax::read(pattern)?;
        let start = meta::Builder::new()
            .configure(meta::Config::new().nfa_size_limit(Some(MAX_AUTOMATON_BYTES)))
            .build_from_hir(&hir)
            .map_err(|_| RegexError::TooBig)?;
        let nfa = NFA::compiler()
            .configure(thompson::Config::new().nfa_size_limit(Some(MAX_AUTOMATON_BYTES)))
            .build_from_hir(&hir)
            .map_err(|_| RegexError::TooBig)?;
        // with this kind a search goes on after a match, so that the last one it meets is the longest
        let longest = PikeVM::builder()
            .configure(PikeVM::config().match_kind(MatchKind::All))
            .build_from_nfa(nfa)
            .map_err(|_| RegexError::TooBig)?;
        Ok(Self { pattern: pattern.to_owned(), has_group: groups > 0, start, longest })
    }

    /// A pattern known only when a script runs; the latest are kept compiled.
    ///
    /// # Errors
    /// As [`Self::compile`].
    pub(super) fn cached(pattern: &str) -> Result<Arc<Self>, RegexError> {
        static LATEST: Latest = Latest(Mutex::new(VecDeque::new()));
        LATEST.regex(pattern)
    }

    /// Whether the pattern has a `( )`.
    pub(super) fn has_group(&self) -> bool {
        self.has_group
    }

    /// Whether it matches anywhere.
    pub(super) fn is_match(&self, text: &str) -> bool {
        self.start.is_match(text)
    }

    /// The longest match at the start of `text`.
    pub(super) fn at_start<'t>(&self, text: &'t str) -> Option<Found<'t>> {
        self.at(text, 0)
    }

    /// The longest of the leftmost matches.
    pub(super) fn anywhere<'t>(&self, text: &'t str) -> Option<Found<'t>> {
        self.at(text, self.start.find(text)?.start())
    }

    fn at<'t>(&self, text: &'t str, start: usize) -> Option<Found<'t>> {
        let input = Input::new(text).range(start..).anchored(Anchored::Yes);
        let mut captures = Captures::all(self.longest.get_nfa().group_info().clone());
        self.longest.captures(&mut self.longest.create_cache(), input, &mut captures);
        let group = |index| captures.get_group(index).and_then(|span| text.get(span.start..span.end));
        Some(Found { whole: group(0)?, group: group(1) })
    }
}

/// Patterns that were compiled lately, the newest first.
struct Latest(Mutex<VecDeque<Arc<Regex>>>);

impl Latest {
    fn regex(&self, pattern: &str) -> Result<Arc<Regex>, RegexError> {
        let latest = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = latest().iter().find(|regex| regex.pattern == pattern) {
            return Ok(known.clone());
        }
        let regex = Arc::new(Regex::compile(pattern)?);
        if pattern.len() <= KEPT_BYTES {
            let mut latest = latest();
            latest.push_front(regex.clone());
            latest.truncate(KEPT);
        }
        Ok(regex)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, pattern: &str) -> Option<(String, Option<String>)> {
        let regex = Regex::compile(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
        assert_eq!(regex.is_match(text), regex.anywhere(text).is_some(), "{text} {pattern}");
        regex.anywhere(text).map(|found| (found.whole.to_owned(), found.group.map(str::to_owned)))
    }

    #[test]
    fn the_match_is_the_leftmost_and_of_those_the_longest() {
        let whole = |text, pattern| found(text, pattern).map(|(whole, _)| whole);
        for (text, pattern, expected) in [
            ("ab", "a|ab", "ab"),
            ("xab", "b|a|ab", "ab"),
            ("foobar", "foo|foobar|bar", "foobar"),
            ("aaa", "a|aa", "aa"),
            ("abcd", "(a|ab)(c|bcd)?", "abcd"),
            ("hello123", "[0-9]+", "123"),
            ("abc", "", ""),
            ("a\nb", "a.b", "a\nb"),
            ("über", ".", "ü"),
        ] {
            assert_eq!(whole(text, pattern).as_deref(), Some(expected), "{text} {pattern}");
        }
        assert_eq!(whole("abc", "x"), None);
    }

    #[test]
    fn the_first_group_gives_its_text_when_it_took_part() {
        let group = |text, pattern| found(text, pattern).and_then(|(_, group)| group);
        assert_eq!(group("ab", "(a|ab)").as_deref(), Some("ab"));
        assert_eq!(group("sip:1001@host", "sip:([^@]*)@(.*)").as_deref(), Some("1001"));
        assert_eq!(group("b", "(a)|b"), None);
        assert_eq!(group("abab", "(ab)*").as_deref(), Some("ab"));
        assert!(Regex::compile("(a)").unwrap().has_group() && !Regex::compile("[(]a").unwrap().has_group());
    }

    #[test]
    fn a_match_at_the_start_may_not_be_later() {
        let at_start = |text, pattern| Regex::compile(pattern).unwrap().at_start(text).map(|found| found.whole.len());
        assert_eq!(at_start("hello123", "[a-z]+"), Some(5));
        assert_eq!(at_start("hello123", "[0-9]+"), None);
        assert_eq!(at_start("aab", "b|a|aa"), Some(2));
    }

    #[test]
    fn a_pattern_that_would_grow_without_bound_is_refused() {
        assert_eq!(Regex::compile("((((a{99}){99}){99}){99}){99}").unwrap_err(), RegexError::TooBig);
    }

    #[test]
    fn a_pattern_known_late_is_compiled_once() {
        let latest = Latest(Mutex::default());
        let (first, again) = (latest.regex("la+te").unwrap(), latest.regex("la+te").unwrap());
        assert!(Arc::ptr_eq(&first, &again));
        assert!(latest.regex("(").is_err() && Regex::cached("(").is_err());
    }

    #[test]
    fn the_time_does_not_explode_with_nested_repetitions() {
        let text = "a".repeat(2000);
        assert_eq!(found(&text, "(a*)*b"), None);
        assert_eq!(found(&text, "(a|a)*(a|a)*(a|a)*$").unwrap().0.len(), 2000);
    }

    proptest::proptest! {
        #[test]
        fn no_pattern_makes_the_reader_or_the_search_panic(
            pattern in "([a-c.*+?|()^$]|\\[[\\^]?[a-c]-?|\\]|\\{[0-9]?,?|\\}|\\\\|\\[:|:\\]|é){0,16}", text in "[a-cé]{0,9}",
        ) {
            if let Ok(regex) = Regex::compile(&pattern) {
                let longest = regex.anywhere(&text);
                proptest::prop_assert_eq!(regex.is_match(&text), longest.is_some());
                proptest::prop_assert!(regex.at_start(&text).is_none_or(|found| text.starts_with(found.whole)));
            }
        }
    }
}
