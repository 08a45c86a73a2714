//! Why a call ended: the one place where SIP status, Q.850 cause and `DIALSTATUS` meet (RFC 3398 §7.2.4.1 and §8.2.6.1, Q.850).

use std::fmt;

/// A Q.850 cause value, 0–127.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cause(u8);

impl Cause {
    /// Nothing is known yet.
    pub const UNKNOWN: Self = Self(0);
    /// The number is not in the plan.
    pub const UNALLOCATED: Self = Self(1);
    /// The number exists, no way leads there (nobody is registered, no such host).
    pub const NO_ROUTE: Self = Self(3);
    /// One side hung up.
    pub const NORMAL: Self = Self(16);
    /// The called party is busy.
    pub const BUSY: Self = Self(17);
    /// The called phone never answered anything.
    pub const NO_USER_RESPONDING: Self = Self(18);
    /// It rang and nobody picked up.
    pub const NO_ANSWER: Self = Self(19);
    /// The called party refused.
    pub const REJECTED: Self = Self(21);
    /// The call went round in circles, or over too many hops.
    pub const ROUTING_ERROR: Self = Self(25);
    /// Another phone of the same user took the call.
    pub const ANSWERED_ELSEWHERE: Self = Self(26);
    /// The far side does not answer at all.
    pub const OUT_OF_ORDER: Self = Self(27);
    /// The number cannot be parsed.
    pub const INVALID_NUMBER: Self = Self(28);
    /// No circuit: overload here or there.
    pub const CONGESTION: Self = Self(34);
    /// The network between failed, for example no media came any more.
    pub const NETWORK_FAILURE: Self = Self(38);
    /// Not now.
    pub const TEMPORARY_FAILURE: Self = Self(41);
    /// Not allowed here.
    pub const BARRED: Self = Self(55);
    /// What is asked for is not offered here.
    pub const NOT_AVAILABLE: Self = Self(63);
    /// No codec in common.
    pub const INCOMPATIBLE: Self = Self(88);
    /// A timer ran out.
    pub const TIMER: Self = Self(102);
    /// Something unspecified between networks.
    pub const INTERWORKING: Self = Self(127);

    /// A cause from its number; values above 127 are [`Self::INTERWORKING`].
    pub fn from_number(number: u32) -> Self {
        u8::try_from(number).ok().filter(|n| *n < 128).map_or(Self::INTERWORKING, Self)
    }

    /// The Q.850 number.
    pub fn number(self) -> u8 {
        self.0
    }

    /// The cause that a final SIP status means (RFC 3398 §7.2.4.1, with Asterisk's reading of 480 and 603).
    pub fn from_status(status: u16) -> Self {
        match status {
            200..=299 => Self::NORMAL,
            404 | 485 | 604 => Self::UNALLOCATED,
            486 | 600 => Self::BUSY,
            408 => Self::NO_USER_RESPONDING,
            410 => Self(22),
            480 => Self::NO_ANSWER,
            401 | 402 | 403 | 407 | 603 => Self::REJECTED,
            484 => Self::INVALID_NUMBER,
            487 => Self::NORMAL,
            488 | 606 | 415 => Self::INCOMPATIBLE,
            405 | 406 => Self(63),
            482 | 483 => Self::ROUTING_ERROR,
            420 | 421 | 500 | 501 => Self::INTERWORKING,
            502 => Self::NETWORK_FAILURE,
            503 => Self::CONGESTION,
            504 => Self::TIMER,
            _ => Self::INTERWORKING,
        }
    }

    /// The status that refuses a call for this cause (RFC 3398 §8.2.6.1).
    pub fn status(self) -> u16 {
        match self.0 {
            1..=3 => 404,
            17 => 486,
            18 => 408,
            19 | 20 | 31 => 480,
            21 => 403,
            22 => 410,
            25 => 483,
            26 => 487,
            27 | 38 => 502,
            28 => 484,
            34 | 41 | 42 | 47 => 503,
            55 | 57 => 403,
            58 | 63 | 65 | 79 => 501,
            88 => 488,
            102 => 504,
            0 | 16 => 603,
            // 500 would say that this server is broken (RFC 3398 has it so); the fault is beyond it.
            _ => 502,
        }
    }

    /// The cause named in a dialplan's `Hangup(…)`, by number or by Asterisk's word.
    pub fn from_word(word: &str) -> Option<Self> {
        let word = word.trim();
        if let Ok(number) = word.parse::<u32>() {
            return (number < 128).then(|| Self::from_number(number));
        }
        let upper = word.to_ascii_uppercase();
        let name = upper.strip_prefix("AST_CAUSE_").unwrap_or(&upper);
        WORDS.iter().find(|(known, _)| *known == name).map(|(_, cause)| *cause)
    }

    /// Words for people, as Q.850 means them.
    pub fn text(self) -> &'static str {
        match self.0 {
            0 => "Unknown",
            1 => "Unallocated number",
            3 => "No route to destination",
            16 => "Normal clearing",
            17 => "User busy",
            18 => "No user responding",
            19 => "No answer from user",
            20 => "Subscriber absent",
            21 => "Call rejected",
            22 => "Number changed",
            25 => "Exchange routing error",
            26 => "Answered elsewhere",
            27 => "Destination out of order",
            28 => "Invalid number format",
            31 => "Normal, unspecified",
            34 => "No circuit available",
            38 => "Network out of order",
            41 => "Temporary failure",
            42 => "Switching equipment congestion",
            55 => "Incoming calls barred",
            63 => "Service not available",
            88 => "Incompatible destination",
            102 => "Recovery on timer expiry",
            127 => "Interworking, unspecified",
            _ => "Unspecified cause",
        }
    }
}

/// Asterisk's names in `Hangup()`.
const WORDS: &[(&str, Cause)] = &[
    ("ANSWERED_ELSEWHERE", Cause::ANSWERED_ELSEWHERE),
    ("BUSY", Cause::BUSY),
    ("CALL_REJECTED", Cause::REJECTED),
    ("CONGESTION", Cause::CONGESTION),
    ("DESTINATION_OUT_OF_ORDER", Cause::OUT_OF_ORDER),
    ("FAILURE", Cause::NETWORK_FAILURE),
    ("INCOMPATIBLE_DESTINATION", Cause::INCOMPATIBLE),
    ("INTERWORKING", Cause::INTERWORKING),
    ("INVALID_NUMBER_FORMAT", Cause::INVALID_NUMBER),
    ("NETWORK_OUT_OF_ORDER", Cause::NETWORK_FAILURE),
    ("NOANSWER", Cause::NO_ANSWER),
    ("NORMAL", Cause::NORMAL),
    ("NORMAL_CIRCUIT_CONGESTION", Cause::CONGESTION),
    ("NORMAL_CLEARING", Cause::NORMAL),
    ("NO_ANSWER", Cause::NO_ANSWER),
    ("NO_ROUTE_DESTINATION", Cause::NO_ROUTE),
    ("NO_USER_RESPONSE", Cause::NO_USER_RESPONDING),
    ("RECOVERY_ON_TIMER_EXPIRE", Cause::TIMER),
    ("UNALLOCATED", Cause::UNALLOCATED),
    ("USER_BUSY", Cause::BUSY),
];

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.text(), self.0)
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How a `Dial` went, in the words of the variable `DIALSTATUS`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DialStatus {
    /// Somebody answered.
    Answer,
    /// Everybody was busy.
    Busy,
    /// The caller hung up before an answer.
    Cancel,
    /// No phone could be reached.
    ChanUnavail,
    /// The way there failed.
    Congestion,
    /// The targets could not be understood.
    InvalidArgs,
    /// It rang until the time was over.
    NoAnswer,
}

impl DialStatus {
    /// The dialplan's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Answer => "ANSWER",
            Self::Busy => "BUSY",
            Self::Cancel => "CANCEL",
            Self::ChanUnavail => "CHANUNAVAIL",
            Self::Congestion => "CONGESTION",
            Self::InvalidArgs => "INVALIDARGS",
            Self::NoAnswer => "NOANSWER",
        }
    }

    /// What an outgoing leg's refusal means for the dial.
    pub fn from_cause(cause: Cause) -> Self {
        match cause {
            Cause::NORMAL => Self::Answer,
            Cause::BUSY | Cause::REJECTED => Self::Busy,
            Cause::NO_ANSWER | Cause::NO_USER_RESPONDING => Self::NoAnswer,
            Cause::UNALLOCATED | Cause::NO_ROUTE | Cause::OUT_OF_ORDER => Self::ChanUnavail,
            _ => Self::Congestion,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_table_is_sorted() {
        assert!(WORDS.is_sorted_by_key(|(word, _)| *word));
    }

    #[test]
    fn busy_keeps_its_meaning_through_both_legs() {
        assert_eq!(Cause::from_status(486), Cause::BUSY);
        assert_eq!(Cause::BUSY.status(), 486);
        assert_eq!(DialStatus::from_cause(Cause::BUSY).word(), "BUSY");
    }

    #[test]
    fn every_cause_refuses_with_a_final_failure_status() {
        for number in 0..128 {
            assert!((400..=699).contains(&Cause::from_number(number).status()), "{number}");
        }
    }

    #[test]
    fn a_number_above_127_is_interworking() {
        assert_eq!(Cause::from_number(4000), Cause::INTERWORKING);
        assert_eq!(Cause::from_word("4000"), None);
        assert_eq!(Cause::from_word("user_busy"), Some(Cause::BUSY));
        assert_eq!(Cause::from_word("17"), Some(Cause::BUSY));
    }
}
