//! What a supervisor wants: whom, how, by whose right and by which way.
//! Above: every way in makes one. Below: `session` fulfils it, `judge` weighs it.

use serde::{Deserialize, Serialize};

use crate::{call::supervision::permission::Mode, config::Announce};

/// A party as people name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Party {
    /// The leg of a configured user.
    Agent,
    /// The other one.
    Customer,
    /// The party that called.
    A,
    /// The party that answered.
    B,
    /// The party that the UUID belongs to.
    Target,
    /// Its other half.
    Peer,
}

/// Which parties are heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hear {
    /// Both.
    #[default]
    Both,
    /// Neither.
    Nobody,
    /// Only the party that called.
    A,
    /// Only the party that answered.
    B,
    /// Only the leg of a configured user.
    Agent,
    /// Only the other one.
    Customer,
    /// Only the party that the UUID belongs to.
    Target,
    /// Only its other half.
    Peer,
}

impl Hear {
    /// The one party that is heard, where it is one.
    pub fn only(self) -> Option<Party> {
        match self {
            Self::Both | Self::Nobody => None,
            Self::A => Some(Party::A),
            Self::B => Some(Party::B),
            Self::Agent => Some(Party::Agent),
            Self::Customer => Some(Party::Customer),
            Self::Target => Some(Party::Target),
            Self::Peer => Some(Party::Peer),
        }
    }
}

/// Whose rights a supervisor has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rights {
    /// root or the server's own account.
    Admin,
    /// Those of a configured user.
    User(String),
    /// None.
    Nobody,
}

impl Rights {
    /// As the log and the journal name the supervisor.
    pub fn name(&self) -> &str {
        match self {
            Self::Admin => "admin",
            Self::User(name) => name,
            Self::Nobody => "nobody",
        }
    }
}

/// The phone a supervisor uses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Phone {
    /// The UUID of its leg.
    pub leg: String,
    /// The name of its channel: `SIP/1001-00000001`.
    pub channel: String,
}

/// By which way a supervisor comes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Via {
    /// The control socket.
    Socket {
        /// The account of the client's process.
        account: Option<String>,
        /// Its user id.
        uid: u32,
    },
    /// An application of the dialplan.
    Dialplan {
        /// Where it runs.
        phone: Phone,
        /// Its name.
        application: &'static str,
    },
    /// A star code.
    Code {
        /// Who dialled it.
        phone: Phone,
        /// As dialled.
        code: String,
    },
    /// A call that the server made to the supervisor.
    Originate {
        /// The phone that was called.
        phone: Phone,
        /// The application it was connected with.
        application: &'static str,
    },
}

impl Via {
    /// The supervisor's phone, where the way is one by phone.
    pub fn phone(&self) -> Option<&Phone> {
        match self {
            Self::Socket { .. } => None,
            Self::Dialplan { phone, .. } | Self::Code { phone, .. } | Self::Originate { phone, .. } => Some(phone),
        }
    }

    /// The way in a word, for the log.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Socket { .. } => "socket",
            Self::Dialplan { .. } => "dialplan",
            Self::Code { .. } => "code",
            Self::Originate { .. } => "originate",
        }
    }

    /// From where: the account and its id, or the channel and what it runs.
    pub fn from(&self) -> String {
        match self {
            Self::Socket { account: Some(account), uid } => format!("{account} (uid {uid})"),
            Self::Socket { account: None, uid } => format!("uid {uid}"),
            Self::Dialplan { phone, application } | Self::Originate { phone, application } => {
                format!("{} {application}", phone.channel)
            }
            Self::Code { phone, code } => format!("{} {code}", phone.channel),
        }
    }
}

/// What a supervisor wants.
#[derive(Clone, Debug)]
pub struct Wish {
    /// By whose right.
    pub who: Rights,
    /// By which way.
    pub via: Via,
    /// The target: a leg's UUID, any case.
    pub uuid: String,
    /// The mode to begin in.
    pub mode: Mode,
    /// Whom a whisper is for; absent: the target.
    pub to: Option<Party>,
    /// Who is heard.
    pub hear: Hear,
    /// Never above this, whatever the rights.
    pub ceiling: Option<Mode>,
    /// The call must belong to one of these groups; empty: whatever the rights reach.
    pub groups: Vec<String>,
    /// Why, for the log.
    pub reason: Option<String>,
    /// More of an announcement than the settings demand; never less.
    pub announce: Option<Announce>,
}

impl Wish {
    /// To listen to both parties of a leg's call.
    pub fn listen(who: Rights, via: Via, uuid: impl Into<String>) -> Self {
        Self {
            who,
            via,
            uuid: uuid.into(),
            mode: Mode::Listen,
            to: None,
            hear: Hear::Both,
            ceiling: None,
            groups: Vec::new(),
            reason: None,
            announce: None,
        }
    }
}
