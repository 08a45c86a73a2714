//! `[supervision]`: who may listen from a shell, where it is put on record, who is told, what follows when the agent leaves.
//! Above: `call::supervision` obeys it. Below: `read` fills it.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// `[supervision]`.
#[derive(Clone, Debug, PartialEq)]
pub struct SupervisionSettings {
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
            shell_users: BTreeMap::new(),
            log: PathBuf::from("spy.log"),
            on_agent_leave: OnAgentLeave::default(),
            announce: Announce::default(),
            announce_to: AnnounceTo::default(),
        }
    }
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
