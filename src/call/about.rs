//! What the dialplan may ask of a channel, or tell it, beside its variables: accounts, music, headers, causes, what it does.
//! Above: `CHANNEL`, `CDR`, `CONNECTEDLINE`, `HANGUPCAUSE`, `PJSIP_HEADER`. Below: `leg` and `live`.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use jiff::Timestamp;

use crate::call::{
    cause::Cause,
    channel::{CallerId, Channel},
    headers::InviteHeaders,
    live::{CallFacts, Described, LegFacts, LegState, Way},
    recording::RecordingHandle,
};

/// Ended legs whose causes a channel remembers.
const CAUSES: usize = 64;

/// What a channel knows of itself.
#[derive(Default)]
pub struct About {
    /// Headers of the INVITE that made it, and of those it sends.
    pub headers: InviteHeaders,
    /// Who is at the other end, as far as is known.
    pub connected: CallerId,
    /// The class of music its parties hear while they wait; empty is the usual one.
    pub music_class: String,
    /// Who is charged.
    pub account: String,
    /// Who is charged for the other end.
    pub peer_account: String,
    /// Free text of the detail record.
    pub user_field: String,
    /// Further fields of the detail record.
    pub fields: BTreeMap<String, String>,
    /// Who ended it: a channel's name, or `dialplan/…`.
    pub hangup_source: String,
    /// The supervision code it dialled: the whole number, and the extension in it.
    pub code: Option<(String, String)>,
    /// What runs now, and its arguments where it may take its time.
    pub application: Option<&'static str>,
    /// The arguments of an application that may take its time.
    pub data: String,
    /// The ids of recordings whose end a beep is to tell.
    pub beep_after: Vec<String>,
    /// The recordings that its script began, and the file, below the spool, that was wished for.
    pub recorded: Vec<(String, RecordingHandle)>,
    /// The legs it dialled that have ended, by channel name, the latest last.
    causes: Vec<(String, Cause)>,
}

impl Channel {
    /// What it knows of itself.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// The same, to be changed.
    pub fn about_mut(&mut self) -> &mut About {
        &mut self.about
    }

    /// What others may see of its leg.
    pub fn facts(&self) -> &Arc<LegFacts> {
        &self.leg.facts
    }

    /// What others may see of its call.
    pub fn call(&self) -> &Arc<CallFacts> {
        &self.call
    }

    /// The UUID of the oldest of the channels that came from one another.
    pub fn linked_id(&self) -> &str {
        &self.kin
    }

    /// The hops left to the legs it dials.
    pub fn max_forwards(&self) -> Option<u8> {
        self.max_forwards
    }

    /// Changes the hops left; never to more than there are.
    pub fn set_max_forwards(&mut self, hops: u8) {
        self.max_forwards = Some(self.max_forwards.map_or(hops, |left| left.min(hops)));
    }

    /// Where its signalling comes from; `None` for a half of a Local pair.
    pub fn signalled_from(&self) -> Option<IpAddr> {
        self.leg.signalled_from()
    }

    /// What it tells when asked.
    pub fn describe(&self) -> Described {
        let position = self.position().clone();
        let mut variables: Vec<_> =
            self.variables.shown().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        variables.push(("CALLERID(num)".into(), self.caller().number.clone()));
        variables.push(("CALLERID(name)".into(), self.caller().name.clone()));
        variables.push(("CHANNEL".into(), self.name().into()));
        variables.push(("CONTEXT".into(), position.context.clone()));
        variables.push(("EXTEN".into(), position.extension.clone()));
        variables.push(("PRIORITY".into(), position.priority.to_string()));
        variables.sort();
        Described {
            variables,
            position,
            application: self.about.application,
            data: self.about.data.clone(),
            caller: self.caller().number.clone(),
            account: self.about.account.clone(),
            peer_account: self.about.peer_account.clone(),
        }
    }

    /// Notes what runs now. Its arguments are told for applications that may take their time.
    pub fn does(&mut self, application: &'static str, data: Option<String>) {
        self.about.application = Some(application);
        match data {
            Some(data) => self.about.data = data,
            None => self.about.data.clear(),
        }
    }

    /// Why a leg that it dialled ended, by that leg's channel name.
    pub fn cause_of(&self, name: &str) -> Option<Cause> {
        self.about.causes.iter().rev().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, cause)| *cause)
    }

    /// Notes why a leg that it dialled ended.
    pub(super) fn note_cause(&mut self, name: &str, cause: Cause) {
        let causes = &mut self.about.causes;
        if causes.len() == CAUSES {
            causes.remove(0);
        }
        causes.push((name.to_owned(), cause));
    }

    /// How its calling leg would stand in a detail record now.
    pub fn disposition(&self) -> &'static str {
        super::ending::disposition(self.cause(), self.answered())
    }

    /// When its phone was answered.
    pub fn answered(&self) -> Option<Timestamp> {
        self.leg.facts.now().answered
    }
}

/// How Asterisk calls the state of a leg.
pub fn state_word(way: Way, state: LegState) -> &'static str {
    match (way, state) {
        (_, LegState::Up | LegState::Held) => "Up",
        (Way::In, LegState::Dialling | LegState::Ringing) => "Ring",
        (Way::Out, LegState::Ringing) => "Ringing",
        (Way::Out, LegState::Dialling) | (_, LegState::Ended) => "Down",
    }
}
