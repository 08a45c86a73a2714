//! Device states: whether a user's phones, a trunk or a custom device are free, ringing or in a call.
//! Above: `DEVICE_STATE` and `EXTENSION_STATE` of the dialplan. Below: `live`, the registrar and the settings.

use std::time::Instant;

use crate::call::{
    exchange::Exchange,
    live::{LegFacts, LegState, Way},
    target::{self, Target},
};

/// Custom devices that may be kept; a dialplan that names more is runaway.
const CUSTOM_DEVICES: usize = 10_000;

/// How a device is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeviceState {
    /// Nothing is known of it.
    Unknown,
    /// There, and free.
    NotInUse,
    /// In a call.
    InUse,
    /// In as many calls as it may have.
    Busy,
    /// No such device.
    Invalid,
    /// Configured, but not there.
    Unavailable,
    /// It rings.
    Ringing,
    /// It rings while it is in a call.
    RingInUse,
    /// All its calls are on hold.
    OnHold,
}

/// Words and states.
const WORDS: &[(&str, DeviceState)] = &[
    ("UNKNOWN", DeviceState::Unknown),
    ("NOT_INUSE", DeviceState::NotInUse),
    ("INUSE", DeviceState::InUse),
    ("BUSY", DeviceState::Busy),
    ("INVALID", DeviceState::Invalid),
    ("UNAVAILABLE", DeviceState::Unavailable),
    ("RINGING", DeviceState::Ringing),
    ("RINGINUSE", DeviceState::RingInUse),
    ("ONHOLD", DeviceState::OnHold),
];

impl DeviceState {
    /// As `DEVICE_STATE()` says it.
    pub fn word(self) -> &'static str {
        WORDS.iter().find(|(_, state)| *state == self).map_or("UNKNOWN", |(word, _)| word)
    }

    /// The state of that word, any case.
    pub fn from_word(word: &str) -> Option<Self> {
        WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word.trim())).map(|(_, state)| *state)
    }

    /// What several devices of one extension are together: ringing and in use weigh more than free, free more than absent.
    pub fn together(states: impl IntoIterator<Item = Self>) -> Self {
        let states: Vec<_> = states.into_iter().collect();
        let any = |wanted: Self| states.contains(&wanted);
        let all = |wanted: Self| !states.is_empty() && states.iter().all(|state| *state == wanted);
        let uses = any(Self::InUse) || any(Self::OnHold) || any(Self::Busy);
        match () {
            () if any(Self::RingInUse) || (any(Self::Ringing) && uses) => Self::RingInUse,
            () if any(Self::Ringing) => Self::Ringing,
            () if all(Self::OnHold) => Self::OnHold,
            () if all(Self::Busy) => Self::Busy,
            () if uses => Self::InUse,
            () if any(Self::NotInUse) => Self::NotInUse,
            () if any(Self::Unavailable) => Self::Unavailable,
            () if any(Self::Invalid) => Self::Invalid,
            () => Self::Unknown,
        }
    }
}

impl Exchange {
    /// How a device is: `SIP/1001`, `PJSIP/1001`, a trunk as `SIP/name`, `Local/700@internal` (in use or not known), or
    /// `Custom:name`.
    pub fn device_state(&self, device: &str) -> DeviceState {
        if let Some(name) = custom(device) {
            return self.custom_devices().get(&name).copied().unwrap_or(DeviceState::Unknown);
        }
        let legs = self.live.legs_of_device(device);
        let states = legs.iter().map(|leg| of_leg(leg));
        match target::parse(device) {
            Ok(Target::Peer(peer)) => self.peer_state(&peer, DeviceState::together(states)),
            Ok(Target::NumberAt { at, .. }) => self.peer_state(&at, DeviceState::together(states)),
            Ok(Target::Local { .. }) => DeviceState::together(states),
            Err(_) => DeviceState::Invalid,
        }
    }

    /// Sets the state of `Custom:name`; false when the device is no custom one, or there are too many.
    pub fn set_device_state(&self, device: &str, state: DeviceState) -> bool {
        let Some(name) = custom(device) else { return false };
        let mut devices = self.custom_devices();
        if devices.len() >= CUSTOM_DEVICES && !devices.contains_key(&name) {
            return false;
        }
        devices.insert(name, state);
        true
    }

    fn peer_state(&self, peer: &str, in_calls: DeviceState) -> DeviceState {
        let settings = self.settings.load();
        if !settings.users.contains_key(peer) {
            return match in_calls {
                DeviceState::Unknown if settings.trunks.contains_key(peer) => DeviceState::NotInUse,
                DeviceState::Unknown => DeviceState::Invalid,
                state => state,
            };
        }
        let most = settings.limits.calls_per_user as usize;
        match in_calls {
            DeviceState::Unknown if self.registrar().bindings(Instant::now(), peer).is_empty() => {
                DeviceState::Unavailable
            }
            DeviceState::Unknown => DeviceState::NotInUse,
            DeviceState::InUse if most > 0 && self.live.legs_of(peer) >= most => DeviceState::Busy,
            state => state,
        }
    }
}

/// The name of a custom device, in lower case.
fn custom(device: &str) -> Option<String> {
    let (kind, name) = device.split_once(':')?;
    kind.eq_ignore_ascii_case("Custom").then(|| name.to_ascii_lowercase())
}

fn of_leg(leg: &LegFacts) -> DeviceState {
    let now = leg.now();
    match (leg.way, now.state) {
        _ if now.is_on_hold() => DeviceState::OnHold,
        (Way::Out, LegState::Ringing | LegState::Dialling) => DeviceState::Ringing,
        (_, LegState::Ended) => DeviceState::Unknown,
        _ => DeviceState::InUse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_several_devices_are_together_is_what_matters_most() {
        use DeviceState::*;
        for (states, whole) in [
            (&[NotInUse, Unavailable][..], NotInUse),
            (&[Ringing, NotInUse], Ringing),
            (&[Ringing, InUse], RingInUse),
            (&[InUse, NotInUse], InUse),
            (&[OnHold, OnHold], OnHold),
            (&[OnHold, NotInUse], InUse),
            (&[Busy], Busy),
            (&[Unavailable, Invalid], Unavailable),
            (&[], Unknown),
        ] {
            assert_eq!(DeviceState::together(states.iter().copied()), whole, "{states:?}");
        }
        assert_eq!(DeviceState::from_word("ring inuse"), None);
        assert_eq!(DeviceState::from_word("ringinuse").map(DeviceState::word), Some("RINGINUSE"));
    }
}
