//! What somebody wants recorded: which file, how, how long, and why.
//! Above: the rules, the dialplan and the control socket make one. Below: `session` fulfils it.

use std::{fmt, io, time::Duration};

use thiserror::Error;

use crate::{
    config::{RecordChannels, RecordForm, RecordWhispers},
    outbox::{OutboxError, RecordingId, seal::SealError},
    recorder::RecorderError,
};

/// Why something is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// A rule of the settings: `always`, `user 1001`, `trunk icall`, `room 8000`.
    Rule(String),
    /// An application of the dialplan: `MixMonitor`.
    Dialplan(&'static str),
    /// Somebody at the control socket, by the name of the account.
    Shell(String),
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(rule) => f.write_str(rule),
            Self::Dialplan(application) => f.write_str(application),
            Self::Shell(account) => write!(f, "rec start by {account}"),
        }
    }
}

/// When there is a file of the wanted name already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IfThere {
    /// The new one is called `-2`, `-3`, ….
    #[default]
    Number,
    /// It is continued.
    Append,
}

/// Whose voices a recording of a leg has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Voices {
    /// What the leg's own phone sends, and what it hears.
    #[default]
    Both,
    /// Only what the leg's own phone sends.
    Own,
    /// Only what it hears.
    Heard,
}

/// What of its leg's time is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum While {
    /// All of it.
    #[default]
    Answered,
    /// Only while it talks with another leg; the rest is cut out.
    Talking,
}

/// When a recording ends by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Until {
    /// With its leg.
    #[default]
    Leg,
    /// With its leg, or when the next talk of its leg is over: it is complete before the script goes on.
    Talk,
}

/// What somebody wants recorded.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Why.
    pub by: By,
    /// The file's name below the spool, with its ending; `None`: as the settings say.
    pub file: Option<String>,
    /// When there is one already.
    pub if_there: IfThere,
    /// Where the two sides go; `None`: as the settings say.
    pub channels: Option<RecordChannels>,
    /// How sound is kept; `None`: as the settings say.
    pub form: Option<RecordForm>,
    /// What becomes of whispers; `None`: as the settings say.
    pub whispers: Option<RecordWhispers>,
    /// Whose voices.
    pub voices: Voices,
    /// The recording that this one was begun with, as a part of it.
    pub beside: Option<RecordingId>,
    /// What of the leg's time.
    pub during: While,
    /// When it ends by itself.
    pub until: Until,
    /// How loud each party is recorded: what the leg's own phone sends, and what it hears. −4 to 4, as `ChanSpy` counts.
    pub volumes: [i8; 2],
    /// A tone to the leg's phone, this often.
    pub beep: Option<Duration>,
    /// Whether parties are told first, as far as the settings name an announcement.
    pub announce: Announced,
    /// Variables that are kept with it, besides those of the settings.
    pub variables: Vec<(String, String)>,
    /// Which remotes get it.
    pub delivery: Delivery,
}

/// Which remotes get a recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// All, as the settings say.
    #[default]
    AsSet,
    /// None, until somebody asks for it: it is a prompt or a message, not a call.
    Nowhere,
}

/// Whether parties are told before a recording begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Announced {
    /// As the settings say.
    #[default]
    AsSet,
    /// No: the script has done so, or the recording is none of a conversation.
    No,
}

impl Wish {
    /// Everything as the settings say.
    #[must_use]
    pub fn new(by: By) -> Self {
        Self {
            by,
            file: None,
            if_there: IfThere::default(),
            channels: None,
            form: None,
            whispers: None,
            voices: Voices::default(),
            beside: None,
            during: While::default(),
            until: Until::default(),
            volumes: [0; 2],
            beep: None,
            announce: Announced::default(),
            variables: Vec::new(),
            delivery: Delivery::default(),
        }
    }
}

/// Why a recording did not begin, or ended otherwise than its call.
#[derive(Debug, Error)]
pub enum RecordError {
    /// No live leg has this UUID.
    #[error("no live call has the UUID {0}")]
    NoSuchCall(String),
    /// It is not answered.
    #[error("{0} is not answered yet: nothing is recorded before")]
    NotAnswered(String),
    /// It ended before the first sound was recorded.
    #[error("{0} ended before its recording began")]
    Ended(String),
    /// Sound that is kept as it came stays as it is.
    #[error("{what} cannot be had where sound is kept as it came: [recording] form = \"as-came\"")]
    AsCame {
        /// What was wished for.
        what: &'static str,
    },
    /// The disk has less free space than the settings demand.
    #[error("the spool has {free} bytes free, fewer than the {floor} of [recording] free_space_floor")]
    Floor {
        /// What is free, bytes.
        free: u64,
        /// What the settings demand, bytes.
        floor: u64,
    },
    /// The spool cannot be asked for its free space.
    #[error("the spool's free space is not known: {0}")]
    Space(#[source] io::Error),
    /// The spool cannot be written to.
    #[error("the spool cannot be written to: {0}")]
    Unwritable(#[source] io::Error),
    /// The outbox does not take it.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// It cannot be sealed, and does not go out in the clear.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The recorder does not begin.
    #[error(transparent)]
    Recorder(#[from] RecorderError),
    /// The file's writing failed; what was written before is kept.
    #[error("{file}: {why}")]
    Writing {
        /// The file, below the spool.
        file: String,
        /// What the recorder said.
        why: String,
    },
    /// A party does not agree: who.
    #[error("{0} does not agree to be recorded")]
    Refused(String),
    /// The announcement is no sound.
    #[error("[recording] announce: `{0}` is no sound of this server")]
    Announcement(String),
    /// A task was lost.
    #[error("the recording's task is gone")]
    Lost,
}
