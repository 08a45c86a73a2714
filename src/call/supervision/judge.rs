//! What a supervisor may do with a pair of legs, by the settings and groups that are in force this moment.
//! Above: `session` asks at attach and at each change, `state` when parties, groups or rights change. Below: `permission`.

use crate::audio::codec::Coding;
use crate::call::{
    exchange::Exchange,
    supervision::{
        parties::Pair,
        permission::{self, Mode, Reach, Refusal},
        refused::SpyError,
        wish::{Rights, Wish},
    },
    talks::Side,
};
use crate::config::Config;

/// The highest mode that `wish` may take with a pair.
///
/// # Errors
/// None.
pub(super) fn allowed(exchange: &Exchange, wish: &Wish, pair: &Pair) -> Result<Mode, Refusal> {
    let settings = exchange.settings.load();
    let supervisor = supervisor(&settings, &wish.who);
    let legs = pair.everybody(&exchange.live);
    let users = legs.iter().filter_map(|leg| leg.user.as_deref());
    let parties: Vec<_> = users.filter_map(|name| Some((name, settings.users.get(name)?))).collect();
    let own = legs.iter().flat_map(|leg| leg.groups.all());
    let groups: Vec<_> = parties.iter().flat_map(|(_, user)| user.groups.iter().cloned()).chain(own).collect();
    let granted = permission::ceiling(supervisor, &parties, &groups)?;
    if !wish.groups.is_empty() && !wish.groups.iter().any(|group| groups.contains(group)) {
        return Err(Refusal::Group);
    }
    Ok(wish.ceiling.map_or(granted, |ceiling| granted.min(ceiling)))
}

fn supervisor<'c>(settings: &'c Config, who: &Rights) -> permission::Supervisor<'c> {
    match who {
        Rights::Admin => permission::Supervisor::Admin,
        Rights::User(name) => {
            settings.users.get(name).map_or(permission::Supervisor::Nobody, permission::Supervisor::User)
        }
        Rights::Nobody => permission::Supervisor::Nobody,
    }
}

/// Whether the rights reach the mode of `wish` in some call, whoever is in it; or in some call of a user.
///
/// # Errors
/// They do not.
pub(super) fn ever(exchange: &Exchange, wish: &Wish, user: Option<&str>) -> Result<(), Refusal> {
    let settings = exchange.settings.load();
    let supervisor = supervisor(&settings, &wish.who);
    let parties: Vec<_> = user.and_then(|name| Some((name, settings.users.get(name)?))).into_iter().collect();
    let reached = match supervisor {
        permission::Supervisor::User(user) => user.spy_groups.clone().unwrap_or_default(),
        _ => Vec::new(),
    };
    let granted = permission::ceiling(supervisor, &parties, &reached)?;
    permission::permit(wish.mode, Reach::Usual, wish.ceiling.map_or(granted, |ceiling| granted.min(ceiling)))
}

/// Whether a mode, with a whisper for the party on side `to`, is within `granted`.
///
/// # Errors
/// It is not.
pub(super) fn permit(pair: &Pair, mode: Mode, to: Option<Side>, granted: Mode) -> Result<(), Refusal> {
    let is_customer = to.is_some() && pair.agent().ok().map(Side::other) == to;
    let reach = if is_customer { Reach::Customer } else { Reach::Usual };
    permission::permit(mode, reach, granted)
}

/// What does not depend on rights: nobody supervises himself or another supervisor.
///
/// # Errors
/// One of these.
pub(super) fn possible(exchange: &Exchange, wish: &Wish, pair: &Pair) -> Result<(), SpyError> {
    let phone = wish.via.phone().map(|phone| phone.leg.as_str());
    for leg in pair.legs() {
        let is_own_phone = phone == Some(&leg.uuid);
        let is_own_user = matches!(&wish.who, Rights::User(name) if phone.is_none() && leg.user.as_ref() == Some(name));
        if is_own_phone || is_own_user {
            return Err(SpyError::OwnLeg(leg.uuid.clone()));
        }
        if exchange.spies.is_phone(&leg.uuid) {
            return Err(SpyError::Supervisor(leg.uuid.clone()));
        }
    }
    Ok(())
}

/// Whether both parties send what can be turned into sound here (S059).
///
/// # Errors
/// One does not.
pub(super) fn audible(wish: &Wish, pair: &Pair) -> Result<(), SpyError> {
    let refused =
        |codec: Coding| SpyError::Codec { uuid: wish.uuid.to_ascii_lowercase(), codec: codec.word().to_owned() };
    pair.undecodable().map_or(Ok(()), |codec| Err(refused(codec)))
}
