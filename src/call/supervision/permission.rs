//! Who may listen to whom, and how: decided here, below every way in (requirements S063–S074).
//! Pure: a rule over settings and groups. Above: `judge` asks it at attach, at each change of mode, of rights and of parties.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::config::{SpyRight, User};

/// What a supervisor does in a call; each mode includes the ones before it (S064).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Hears, is heard by nobody.
    #[default]
    Listen,
    /// Is heard by one party.
    Whisper,
    /// Is heard by both.
    Barge,
    /// Talks with the customer in the place of the agent, who is held meanwhile. Needs the right to barge.
    Takeover,
}

impl Mode {
    /// The word of flags, documents and screens.
    pub fn word(self) -> &'static str {
        match self {
            Self::Listen => "listen",
            Self::Whisper => "whisper",
            Self::Barge => "barge",
            Self::Takeover => "takeover",
        }
    }
}

/// The person who wants to supervise.
#[derive(Clone, Copy, Debug)]
pub enum Supervisor<'a> {
    /// root or the server's own account: all rights but the opt-out of others.
    Admin,
    /// A configured user.
    User(&'a User),
    /// Somebody the configuration does not know.
    Nobody,
}

/// Why supervision is refused.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Refusal {
    /// The account is no user's and not the server's.
    #[error("this account has no supervision rights")]
    Unknown,
    /// The user's level is lower than the mode.
    #[error("the right to {} is not granted (level: {})", .wanted.word(), .granted.map_or("none", Mode::word))]
    Level {
        /// The mode asked for.
        wanted: Mode,
        /// The highest one granted, if any.
        granted: Option<Mode>,
    },
    /// A whisper to the customer is as much as a barge: the agent's side of the table is left (S068).
    #[error("to be heard by the customer needs the right to barge (level: {})", .granted.word())]
    Customer {
        /// The highest one granted.
        granted: Mode,
    },
    /// A party of the call may not be spied on.
    #[error("user {0} is exempt from supervision")]
    Exempt(String),
    /// The call belongs to no group that the supervisor may reach.
    #[error("the call is in none of the groups this user may supervise")]
    Group,
}

impl Refusal {
    /// The class in one word.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Level { .. } | Self::Customer { .. } => "level",
            Self::Exempt(_) => "exempt",
            Self::Group => "group",
        }
    }
}

/// Who hears a supervisor in a mode, as far as rights go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Nobody, the agent, both, or parties of whom it is not clear who is the customer.
    Usual,
    /// The customer alone, in a whisper.
    Customer,
}

/// Whether a mode is within what is granted.
///
/// # Errors
/// It is not.
pub fn permit(mode: Mode, reach: Reach, granted: Mode) -> Result<(), Refusal> {
    match (mode, reach) {
        (Mode::Whisper, Reach::Customer) if granted == Mode::Whisper => Err(Refusal::Customer { granted }),
        _ if mode.min(Mode::Barge) > granted => Err(Refusal::Level { wanted: mode, granted: Some(granted) }),
        _ => Ok(()),
    }
}

/// The highest mode, up to barge, that `supervisor` may use on a call of `parties` (name and settings of those legs that are
/// users'), which belongs to `groups`.
///
/// # Errors
/// Nothing is allowed, with the reason. The opt-out of a party wins over every right (S074).
pub fn ceiling(supervisor: Supervisor<'_>, parties: &[(&str, &User)], groups: &[String]) -> Result<Mode, Refusal> {
    if let Some((name, _)) = parties.iter().find(|(_, user)| !user.may_be_spied) {
        return Err(Refusal::Exempt((*name).into()));
    }
    let user = match supervisor {
        Supervisor::Admin => return Ok(Mode::Barge),
        Supervisor::Nobody => return Err(Refusal::Unknown),
        Supervisor::User(user) => user,
    };
    let granted = match user.may_spy {
        SpyRight::None => return Err(Refusal::Level { wanted: Mode::Listen, granted: None }),
        SpyRight::Listen => Mode::Listen,
        SpyRight::Whisper => Mode::Whisper,
        SpyRight::Barge => Mode::Barge,
    };
    match &user.spy_groups {
        Some(reachable) if !groups.iter().any(|group| reachable.contains(group)) => Err(Refusal::Group),
        _ => Ok(granted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    fn user(may_spy: SpyRight, groups: &[&str], spy_groups: Option<&[&str]>) -> User {
        User {
            password: Secret::new("long enough".into()),
            context: "internal".into(),
            caller_id: None,
            may_spy,
            may_be_spied: true,
            groups: groups.iter().map(ToString::to_string).collect(),
            spy_groups: spy_groups.map(|g| g.iter().map(ToString::to_string).collect()),
            spy_params: String::new(),
            record: None,
        }
    }

    fn plain() -> User {
        user(SpyRight::None, &[], None)
    }

    fn check(supervisor: &User, party: &User) -> Result<Mode, Refusal> {
        ceiling(Supervisor::User(supervisor), &[("1001", party)], &party.groups)
    }

    #[test]
    fn s063_s064_each_level_reaches_its_mode() {
        let party = user(SpyRight::None, &[], None);
        assert_eq!(check(&user(SpyRight::Listen, &[], None), &party), Ok(Mode::Listen));
        assert_eq!(check(&user(SpyRight::Whisper, &[], None), &party), Ok(Mode::Whisper));
        assert_eq!(check(&user(SpyRight::Barge, &[], None), &party), Ok(Mode::Barge));
        assert!(Mode::Listen < Mode::Whisper && Mode::Whisper < Mode::Barge);
    }

    #[test]
    fn s065_s066_a_new_user_has_no_permission() {
        let party = plain();
        assert_eq!(check(&plain(), &party), Err(Refusal::Level { wanted: Mode::Listen, granted: None }));
        assert_eq!(ceiling(Supervisor::Nobody, &[("1001", &party)], &[]), Err(Refusal::Unknown));
    }

    #[test]
    fn s074_the_opt_out_wins_over_every_level() {
        let exempt = User { may_be_spied: false, ..plain() };
        assert_eq!(check(&user(SpyRight::Barge, &[], None), &exempt), Err(Refusal::Exempt("1001".into())));
        assert_eq!(ceiling(Supervisor::Admin, &[("1001", &exempt)], &[]), Err(Refusal::Exempt("1001".into())));
    }

    #[test]
    fn s010_s011_s014_groups_match_exactly_and_no_group_is_not_reached() {
        let supervisor = user(SpyRight::Listen, &[], Some(&["sales"]));
        assert_eq!(check(&supervisor, &user(SpyRight::None, &["sales", "b"], None)), Ok(Mode::Listen));
        assert_eq!(check(&supervisor, &user(SpyRight::None, &["Sales"], None)), Err(Refusal::Group));
        assert_eq!(check(&supervisor, &user(SpyRight::None, &[], None)), Err(Refusal::Group));
    }

    #[test]
    fn s068_a_whisper_to_the_customer_needs_the_right_to_barge() {
        assert_eq!(permit(Mode::Whisper, Reach::Usual, Mode::Whisper), Ok(()));
        let refused = Refusal::Customer { granted: Mode::Whisper };
        assert_eq!(permit(Mode::Whisper, Reach::Customer, Mode::Whisper), Err(refused));
        assert_eq!(permit(Mode::Whisper, Reach::Customer, Mode::Barge), Ok(()));
        let refused = Refusal::Level { wanted: Mode::Whisper, granted: Some(Mode::Listen) };
        assert_eq!(permit(Mode::Whisper, Reach::Customer, Mode::Listen), Err(refused));
    }

    #[test]
    fn to_take_over_needs_the_right_to_barge_and_no_more() {
        assert_eq!(permit(Mode::Takeover, Reach::Usual, Mode::Barge), Ok(()));
        let refused = Refusal::Level { wanted: Mode::Takeover, granted: Some(Mode::Whisper) };
        assert_eq!(permit(Mode::Takeover, Reach::Usual, Mode::Whisper), Err(refused));
    }
}
