//! `[supervision]`: who may listen from a shell, by which codes from a phone, where it is put on record, who is told.
//! Above: `call::supervision` and `dialplan::star_codes` obey it. Below: `read` fills it.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// `[supervision]`.
#[derive(Clone, Debug, PartialEq)]
pub struct SupervisionSettings {
    /// What users dial before an extension to supervise its call.
    pub codes: SupervisionCodes,
    /// Local account → user whose rights it has.
    pub shell_users: BTreeMap<String, String>,
    /// The hash-chained log of who listened to whom, relative to the state folder; its key is made beside it.
    pub log: PathBuf,
    /// What becomes of a call when its agent leaves while a supervisor barges.
    pub on_agent_leave: OnAgentLeave,
    /// What parties hear when somebody begins to listen.
    pub announce: Announce,
    /// Which parties hear it.
    pub announce_to: AnnounceTo,
}

impl Default for SupervisionSettings {
    fn default() -> Self {
        Self {
            codes: SupervisionCodes::default(),
            shell_users: BTreeMap::new(),
            log: PathBuf::from("spy.log"),
            on_agent_leave: OnAgentLeave::default(),
            announce: Announce::default(),
            announce_to: AnnounceTo::default(),
        }
    }
}

/// What users dial before an extension to supervise its call; an empty code is off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupervisionCodes {
    /// To listen.
    pub listen: String,
    /// To whisper.
    pub whisper: String,
    /// To barge.
    pub barge: String,
    /// To listen, and to choose by keys who is spoken to.
    pub eavesdrop: Vec<String>,
}

impl Default for SupervisionCodes {
    fn default() -> Self {
        let [listen, whisper, barge] = ["*91", "*92", "*93"].map(str::to_owned);
        Self { listen, whisper, barge, eavesdrop: vec!["88".to_owned(), "*0".to_owned()] }
    }
}

/// What a supervision code is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeFor {
    /// Listening.
    Listen,
    /// Being heard by the one whose extension it is.
    Whisper,
    /// Being heard by both.
    Barge,
    /// Listening, and choosing by keys.
    Eavesdrop,
}

impl SupervisionCodes {
    /// All codes that are on.
    pub fn all(&self) -> impl Iterator<Item = (&str, CodeFor)> {
        let single =
            [(&self.listen, CodeFor::Listen), (&self.whisper, CodeFor::Whisper), (&self.barge, CodeFor::Barge)];
        let eavesdrop = self.eavesdrop.iter().map(|code| (code, CodeFor::Eavesdrop));
        let all = single.into_iter().chain(eavesdrop).map(|(code, meaning)| (code.as_str(), meaning));
        all.filter(|(code, _)| !code.is_empty())
    }

    /// The code that a dialled number begins with, and the extension after it; of several the longest code.
    pub fn read<'d>(&self, dialled: &'d str) -> Option<(CodeFor, &'d str)> {
        let fitting = self.all().filter_map(|(code, meaning)| Some((code.len(), meaning, dialled.strip_prefix(code)?)));
        let (_, meaning, extension) = fitting.max_by_key(|(length, ..)| *length)?;
        (!extension.is_empty()).then_some((meaning, extension))
    }
}

/// The letters that a user's `spy_params` may have: those of `ChanSpy`.
pub const SPY_LETTERS: &str = "BDENSWXbcdeglnoqrsuvwx";
/// Those that a `(…)` must follow, and those that it may follow.
const SPY_LETTERS_WITH: [&str; 2] = ["cegvx", "nr"];
/// What a user has who has no `spy_params`.
pub const USUAL_SPY_PARAMS: &str = "ESsb";

/// Reads `spy_params`: letters, each known, with what they need in brackets.
pub(super) fn spy_params(text: &str) -> Result<String, String> {
    let [needs, may] = SPY_LETTERS_WITH;
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        if !SPY_LETTERS.contains(letter) {
            return Err(format!("there is no letter `{letter}` (known: {SPY_LETTERS})"));
        }
        rest = rest.get(letter.len_utf8()..).unwrap_or_default();
        match rest.strip_prefix('(') {
            None if needs.contains(letter) => return Err(format!("letter `{letter}` needs (…)")),
            None => {}
            Some(_) if !needs.contains(letter) && !may.contains(letter) => {
                return Err(format!("letter `{letter}` takes no (…)"));
            }
            Some(after) => {
                let (argument, behind) =
                    after.split_once(')').ok_or_else(|| format!("letter `{letter}`: the ) is missing"))?;
                if argument.contains(['$', ',', ';', '\\', '(', '"']) {
                    return Err(format!("letter `{letter}`: ({argument}) is no plain text"));
                }
                rest = behind;
            }
        }
    }
    Ok(text.to_owned())
}

/// What becomes of a call when its agent leaves while a supervisor barges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnAgentLeave {
    /// It ends, as any call does.
    #[default]
    Hangup,
    /// The other party and the supervisor go on.
    Supervisor,
}

impl OnAgentLeave {
    /// The word for it in a settings file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hangup => "hangup",
            Self::Supervisor => "supervisor",
        }
    }
}

/// What parties hear when somebody begins to listen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Announce {
    /// Nothing.
    #[default]
    None,
    /// A short tone.
    Beep,
}

impl Announce {
    /// The word for it in a settings file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Beep => "beep",
        }
    }
}

/// Which parties hear an announcement; both where agent and customer are not clear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AnnounceTo {
    /// Both parties.
    #[default]
    Both,
    /// The leg of a configured user.
    Agent,
    /// The other one.
    Customer,
}

impl AnnounceTo {
    /// The word for it in a settings file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Agent => "agent",
            Self::Customer => "customer",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s084_s086_a_code_is_followed_by_an_extension_of_any_length_and_the_longest_code_counts() {
        let codes = SupervisionCodes { listen: "*9".into(), ..SupervisionCodes::default() };
        assert_eq!(codes.read("*921"), Some((CodeFor::Whisper, "1")));
        assert_eq!(codes.read("*9112345678"), Some((CodeFor::Listen, "112345678")));
        assert_eq!(codes.read("*93100299"), Some((CodeFor::Barge, "100299")));
        assert_eq!(codes.read("*01002"), Some((CodeFor::Eavesdrop, "1002")));
        assert_eq!((codes.read("*92"), codes.read("91002")), (None, None));
    }

    #[test]
    fn s085_an_empty_code_is_off() {
        let codes = SupervisionCodes { barge: String::new(), eavesdrop: Vec::new(), ..SupervisionCodes::default() };
        assert_eq!((codes.read("*931002"), codes.read("881002"), codes.read("1002")), (None, None, None));
        assert_eq!(codes.all().count(), 2);
    }

    #[test]
    fn s080_a_letter_that_is_not_known_is_named() {
        assert_eq!(spy_params("ESsb"), Ok("ESsb".into()));
        assert_eq!(spy_params("bv(-2)c(#)nn(7)"), Ok("bv(-2)c(#)nn(7)".into()));
        for (wrong, says) in [
            ("ESz", "no letter `z`"),
            ("v", "`v` needs (…)"),
            ("E(1)", "`E` takes no (…)"),
            ("v(2", "the ) is missing"),
            ("g(${X})", "no plain text"),
            ("ES b", "no letter ` `"),
        ] {
            assert!(spy_params(wrong).is_err_and(|why| why.contains(says)), "{wrong}");
        }
    }
}
