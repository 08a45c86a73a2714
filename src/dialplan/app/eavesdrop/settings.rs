//! The channel variables `eavesdrop_…`: read before anybody is heard; one that is misspelt or not understood ends the attempt.
//! Above: `eavesdrop`. Below: the channel's variables.

use crate::call::Channel;
use crate::call::supervision::walk::Order;
use crate::call::supervision::{Hear, Mode, Party, SpyError, Wish};
use crate::config::nearest;
use crate::dialplan::app::{CheckError, Opt};

/// What is understood, for the manual. Those of the call that is heard may have been inherited.
pub(super) const VARIABLES: &[Opt] = &[
    Opt { name: "eavesdrop_announce_id", help: "of the call that is heard; changes nothing here" },
    Opt { name: "eavesdrop_announce_macro", help: "of the call that is heard; changes nothing here" },
    Opt {
        name: "eavesdrop_bridge_aleg",
        help: "true: only the party that called is heard; with bleg, or with neither, both are",
    },
    Opt { name: "eavesdrop_bridge_bleg", help: "true: only the party that answered is heard" },
    Opt { name: "eavesdrop_concat_video", help: "changes nothing: there is no video" },
    Opt { name: "eavesdrop_enable_dtmf", help: "true, as where it is not set: keys command; false: they do nothing" },
    Opt {
        name: "eavesdrop_group",
        help: "of the call that is heard: the groups it belongs to, separated by commas or colons",
    },
    Opt {
        name: "eavesdrop_indicate_failed",
        help: "eavesdrop(all): the sound when a call cannot be heard; /sounds/x.wav is x of the sounds folder",
    },
    Opt { name: "eavesdrop_indicate_idle", help: "eavesdrop(all): the sound while there is no call, again and again" },
    Opt { name: "eavesdrop_indicate_new", help: "eavesdrop(all): the sound before each call" },
    Opt { name: "eavesdrop_max_mode", help: "listen, whisper or barge: never more than that, whatever the rights" },
    Opt { name: "eavesdrop_order", help: "newest (as where it is not set), oldest or longest: the order of calls" },
    Opt { name: "eavesdrop_reason", help: "why, for the log" },
    Opt { name: "eavesdrop_require_group", help: "only calls of this group, or of one of several; letter case counts" },
    Opt { name: "eavesdrop_show_listener_video", help: "changes nothing: there is no video" },
    Opt {
        name: "eavesdrop_sides",
        help: "freeswitch: aleg and bleg as FreeSWITCH takes them, seen from the UUID: bridge_aleg hears its own party, bridge_bleg the other half, whisper_aleg speaks to the other half, whisper_bleg to its own party; person, as where it is not set: the party that called and the party that answered",
    },
    Opt { name: "eavesdrop_video_spy_fmt", help: "changes nothing: there is no video" },
    Opt {
        name: "eavesdrop_whisper_aleg",
        help: "true: the party that called hears the supervisor from the start; with bleg both do",
    },
    Opt { name: "eavesdrop_whisper_bleg", help: "true: the party that answered hears the supervisor from the start" },
];

/// Where an application says how it went; no setting.
pub(super) const RESULT: &str = "EAVESDROP_RESULT";

/// A name of fewer characters that is not known is anything else.
const SHORTEST_SLIP: usize = 12;

/// What keys do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keys {
    /// They command.
    Command,
    /// Nothing.
    Ignored,
}

/// What `aleg` and `bleg` mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sides {
    /// The party that called and the party that answered.
    Person,
    /// As FreeSWITCH takes them, seen from the UUID: heard are its own party and the other half, whispered to are the other half
    /// and its own party.
    FreeSwitch,
}

/// The settings of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    mode: Mode,
    to: Option<Party>,
    hear: Hear,
    ceiling: Option<Mode>,
    groups: Vec<String>,
    reason: Option<String>,
    /// What keys do.
    pub(super) keys: Keys,
    /// In which order calls are gone through.
    pub(super) order: Order,
}

impl Settings {
    /// Those of a channel.
    ///
    /// # Errors
    /// One is misspelt or not understood.
    pub(super) fn of(chan: &Channel) -> Result<Self, SpyError> {
        let all = chan.variables().iter().map(|(name, variable)| (name, variable.value.as_str()));
        Self::read(&all.collect::<Vec<_>>()).map_err(SpyError::Setting)
    }

    /// # Errors
    /// What is wrong.
    fn read(variables: &[(&str, &str)]) -> Result<Self, String> {
        variables.iter().try_for_each(|(name, _)| is_known(name))?;
        let value = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.trim());
        let is_on = |name: &str| yes_or_no(name, value(name).unwrap_or_default(), Given::No);
        let sides = word(&value, "eavesdrop_sides", &[("person", Sides::Person), ("freeswitch", Sides::FreeSwitch)])?;
        let hears = [is_on("eavesdrop_bridge_aleg")?, is_on("eavesdrop_bridge_bleg")?];
        let talks = [is_on("eavesdrop_whisper_aleg")?, is_on("eavesdrop_whisper_bleg")?];
        let sides = sides.unwrap_or(Sides::Person);
        let (mode, to) = sides.talks(talks);
        let keys = yes_or_no("eavesdrop_enable_dtmf", value("eavesdrop_enable_dtmf").unwrap_or_default(), Given::Yes)?;
        let orders = [("newest", Order::Newest), ("oldest", Order::Oldest), ("longest", Order::Longest)];
        let modes = [("listen", Mode::Listen), ("whisper", Mode::Whisper), ("barge", Mode::Barge)];
        Ok(Self {
            mode,
            to,
            hear: sides.hears(hears),
            ceiling: word(&value, "eavesdrop_max_mode", &modes)?,
            groups: value("eavesdrop_require_group").map(groups).transpose()?.unwrap_or_default(),
            reason: value("eavesdrop_reason").filter(|text| !text.is_empty()).map(str::to_owned),
            keys: if keys { Keys::Command } else { Keys::Ignored },
            order: word(&value, "eavesdrop_order", &orders)?.unwrap_or_default(),
        })
    }

    /// The same wish with these settings.
    pub(super) fn applied(self, wish: Wish) -> Wish {
        let Self { mode, to, hear, ceiling, groups, reason, .. } = self;
        Wish { mode, to, hear, ceiling, groups, reason, ..wish }
    }
}

impl Sides {
    fn hears(self, legs: [bool; 2]) -> Hear {
        match (legs, self) {
            ([true, false], Self::Person) => Hear::A,
            ([false, true], Self::Person) => Hear::B,
            ([true, false], Self::FreeSwitch) => Hear::Target,
            ([false, true], Self::FreeSwitch) => Hear::Peer,
            // Neither is both (S027).
            _ => Hear::Both,
        }
    }

    fn talks(self, legs: [bool; 2]) -> (Mode, Option<Party>) {
        match (legs, self) {
            ([false, false], _) => (Mode::Listen, None),
            ([true, true], _) => (Mode::Barge, None),
            ([true, false], Self::Person) => (Mode::Whisper, Some(Party::A)),
            ([false, true], Self::Person) => (Mode::Whisper, Some(Party::B)),
            ([true, false], Self::FreeSwitch) => (Mode::Whisper, Some(Party::Peer)),
            ([false, true], Self::FreeSwitch) => (Mode::Whisper, Some(Party::Target)),
        }
    }
}

/// Refuses a name that was meant to be one of those known.
fn is_known(name: &str) -> Result<(), String> {
    match slip(name) {
        None => Ok(()),
        Some(Slip { meant: Some(meant) }) => Err(format!("unknown variable {name}, did you mean {meant}?")),
        Some(Slip { meant: None }) => Err(format!("unknown variable {name}")),
    }
}

/// Refuses to load a dialplan that sets a variable `eavesdrop_…` that there is not.
///
/// # Errors
/// It does.
pub(in crate::dialplan::app) fn check_name(written: &str) -> Result<(), CheckError> {
    let name = written.trim_start_matches('_');
    match slip(name).filter(|_| is_prefixed(name)) {
        None => Ok(()),
        Some(slip) => Err(CheckError::UnknownVariable { name: name.to_owned(), hint: slip.meant.map(str::to_owned) }),
    }
}

/// A name that is none of those known, but was to be one.
struct Slip {
    meant: Option<&'static str>,
}

fn slip(name: &str) -> Option<Slip> {
    let known = || VARIABLES.iter().map(|variable| variable.name);
    if name == RESULT || known().any(|known| known == name) {
        return None;
    }
    let meant = nearest(name, known()).filter(|_| name.len() >= SHORTEST_SLIP);
    (meant.is_some() || is_prefixed(name)).then_some(Slip { meant })
}

fn is_prefixed(name: &str) -> bool {
    name.to_ascii_lowercase().starts_with("eavesdrop_")
}

/// What is meant where nothing is said.
#[derive(Clone, Copy)]
enum Given {
    Yes,
    No,
}

fn yes_or_no(name: &str, value: &str, otherwise: Given) -> Result<bool, String> {
    match value.to_ascii_lowercase().as_str() {
        "" => Ok(matches!(otherwise, Given::Yes)),
        "true" | "yes" | "on" | "1" | "t" | "y" | "enabled" | "active" | "allow" => Ok(true),
        "false" | "no" | "off" | "0" | "f" | "n" | "disabled" | "inactive" | "disallow" => Ok(false),
        _ => Err(format!("{name} is `{value}`, which is neither true nor false")),
    }
}

/// The value of a variable whose values are words; nothing is `None`.
fn word<'v, T: Copy>(
    value: &impl Fn(&str) -> Option<&'v str>,
    name: &str,
    words: &[(&str, T)],
) -> Result<Option<T>, String> {
    let Some(text) = value(name).filter(|text| !text.is_empty()) else { return Ok(None) };
    let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
    let known = || words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
    found.map(|(_, one)| Some(*one)).ok_or_else(|| format!("{name} is `{text}` (known: {})", known()))
}

/// Groups, separated as in either `eavesdrop_group` or `SPYGROUP`. None at all is no licence to hear everybody.
fn groups(text: &str) -> Result<Vec<String>, String> {
    let groups: Vec<_> = text.split([',', ':']).map(str::trim).filter(|group| !group.is_empty()).collect();
    if groups.is_empty() {
        return Err("eavesdrop_require_group names no group".to_owned());
    }
    Ok(groups.into_iter().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, String> {
        Settings::read(variables)
    }

    #[test]
    fn originating_knows_the_same_variables() {
        let here: Vec<_> = VARIABLES.iter().map(|variable| variable.name).collect();
        assert_eq!(here, crate::call::demands::SUPERVISION);
    }

    #[test]
    fn s023_s027_without_any_variable_both_are_heard_nobody_hears_and_keys_command() {
        let usual = read(&[("CALLERID", "x"), ("EAVESDROP_RESULT", "ended")]).unwrap();
        assert_eq!((usual.mode, usual.hear, usual.keys), (Mode::Listen, Hear::Both, Keys::Command));
        assert_eq!((usual.order, usual.groups, usual.ceiling), (Order::Newest, vec![], None));
    }

    #[test]
    fn s028_legs_are_people_unless_the_switch_says_freeswitch() {
        let (a, b) = ("eavesdrop_whisper_aleg", "eavesdrop_whisper_bleg");
        let literal = ("eavesdrop_sides", "FreeSWITCH");
        let talks = |variables: &[(&str, &str)]| read(variables).map(|read| (read.mode, read.to)).unwrap();
        assert_eq!(talks(&[(a, "true")]), (Mode::Whisper, Some(Party::A)));
        assert_eq!(talks(&[(b, "true"), (a, "false")]), (Mode::Whisper, Some(Party::B)));
        assert_eq!(talks(&[(b, "true"), (a, "yes")]), (Mode::Barge, None));
        assert_eq!(talks(&[(a, "true"), literal]), (Mode::Whisper, Some(Party::Peer)));
        assert_eq!(talks(&[(b, "true"), literal]), (Mode::Whisper, Some(Party::Target)));
        let hears = |variables: &[(&str, &str)]| read(variables).map(|read| read.hear).unwrap();
        assert_eq!(hears(&[("eavesdrop_bridge_aleg", "1")]), Hear::A);
        assert_eq!(hears(&[("eavesdrop_bridge_bleg", "1")]), Hear::B);
        assert_eq!(hears(&[("eavesdrop_bridge_bleg", "1"), ("eavesdrop_bridge_aleg", "1")]), Hear::Both);
        assert_eq!(hears(&[("eavesdrop_bridge_aleg", "1"), literal]), Hear::Target);
        assert_eq!(hears(&[("eavesdrop_bridge_bleg", "1"), literal]), Hear::Peer);
    }

    #[test]
    fn what_is_misspelt_or_not_understood_is_refused_and_named() {
        for (name, value) in [
            ("eavesdrop_requre_group", "sales"),
            ("evesdrop_require_group", "sales"),
            ("EAVESDROP_REQUIRE_GROUP", "sales"),
            ("eavesdrop-require-group", "sales"),
            ("eavesdrop_permission", "all"),
            ("eavesdrop_require_group", ""),
            ("eavesdrop_require_group", " , "),
            ("eavesdrop_enable_dtmf", "flase"),
            ("eavesdrop_bridge_aleg", "caller"),
            ("eavesdrop_sides", "asterisk"),
            ("eavesdrop_order", "random"),
            ("eavesdrop_max_mode", "takeover"),
        ] {
            let told = read(&[(name, value)]).unwrap_err();
            assert!(told.contains(name), "{told}");
        }
        assert!(read(&[("eavesdrop_requre_group", "x")]).unwrap_err().contains("did you mean eavesdrop_require_group"));
    }

    #[test]
    fn a_dialplan_that_misspells_one_does_not_load() {
        for good in ["eavesdrop_group", "__eavesdrop_group", "EAVESDROP_RESULT", "evesdrop", "recording_group_of_x"] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for wrong in ["_eavesdrop_requre_group", "Eavesdrop_Group", "eavesdrop_x"] {
            let told = check_name(wrong).unwrap_err().to_string();
            assert!(told.contains(wrong.trim_start_matches('_')), "{told}");
        }
    }

    #[test]
    fn s013_groups_are_separated_in_either_way() {
        let groups = |text| read(&[("eavesdrop_require_group", text)]).unwrap().groups;
        assert_eq!(groups("sales"), ["sales"]);
        assert_eq!(groups("sales, Support:a"), ["sales", "Support", "a"]);
    }
}
