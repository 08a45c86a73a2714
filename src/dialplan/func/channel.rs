//! `CHANNEL(item)`: what is known of the channel itself.

use super::{Func, FuncError, channel, known};
use crate::call::Channel as Chan;
use crate::call::about::state_word;
use crate::call::live::LegState;
use crate::dialplan::app::CheckError;
use crate::dialplan::piece::Piece;
use crate::dialplan::vars::Scope;

pub(super) struct Channel;

/// How an item is read.
type Read = fn(&Chan) -> String;

/// Items, and how each is read. Those in `SETTABLE` can be set.
const ITEMS: &[(&str, Read)] = &[
    ("accountcode", |chan| chan.about().account.clone()),
    ("amaflags", |_| "DOCUMENTATION".to_owned()),
    ("audionativeformat", |chan| codec(chan).map(|codec| format!("({codec})")).unwrap_or_default()),
    ("audioreadformat", |chan| codec(chan).unwrap_or_default().to_owned()),
    ("audiowriteformat", |chan| codec(chan).unwrap_or_default().to_owned()),
    ("callid", |chan| chan.facts().call_id.clone()),
    ("channeltype", |chan| technology(chan).to_owned()),
    ("context", |chan| chan.position().context.clone()),
    ("endpoint", |chan| device(chan).to_owned()),
    ("exten", |chan| chan.position().extension.clone()),
    ("from", |chan| header(chan, "From")),
    ("hangupsource", |chan| chan.about().hangup_source.clone()),
    ("language", |chan| chan.language().to_owned()),
    ("linkedid", |chan| chan.linked_id().to_owned()),
    ("max_forwards", |chan| chan.max_forwards().unwrap_or(70).to_string()),
    ("musicclass", |chan| chan.about().music_class.clone()),
    ("name", |chan| chan.name().to_owned()),
    ("onhold", |chan| u8::from(chan.facts().now().state == LegState::Held).to_string()),
    ("peeraccount", |chan| chan.about().peer_account.clone()),
    ("peerip", |chan| chan.signalled_from().map(|ip| ip.to_string()).unwrap_or_default()),
    ("peername", |chan| device(chan).to_owned()),
    ("priority", |chan| chan.position().priority.to_string()),
    ("recvip", |chan| chan.signalled_from().map(|ip| ip.to_string()).unwrap_or_default()),
    ("rtpdest", |chan| chan.facts().now().address.map(|address| address.to_string()).unwrap_or_default()),
    ("state", |chan| state_word(chan.facts().way, chan.facts().now().state).to_owned()),
    ("to", |chan| header(chan, "To")),
    ("uniqueid", |chan| chan.uuid().to_owned()),
    ("useragent", |chan| header(chan, "User-Agent")),
    ("userfield", |chan| chan.about().user_field.clone()),
];

impl Func for Channel {
    fn name(&self) -> &'static str {
        "CHANNEL"
    }

    fn syntax(&self) -> &'static str {
        "item"
    }

    fn synopsis(&self) -> &'static str {
        "What is known of the channel: its name, state, language, musicclass, codec, addresses and accounts. accountcode, \
         language, max_forwards, musicclass, peeraccount and userfield can be set."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        known(args, "item of a channel", ITEMS.iter().map(|(name, _)| *name))
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let item = args.value(scope);
        let chan = channel(scope)?;
        let found = ITEMS.iter().find(|(name, _)| name.eq_ignore_ascii_case(item.trim()));
        found.map(|(_, read)| read(chan)).ok_or(FuncError::Argument(item))
    }

    fn write(&self, scope: &mut dyn Scope, args: Piece<'_>, value: String) -> Result<(), FuncError> {
        let item = args.value(scope).trim().to_ascii_lowercase();
        let chan = channel(scope)?;
        match item.as_str() {
            "accountcode" => chan.about_mut().account = value,
            "language" => chan.set_language(value.trim()),
            "max_forwards" => {
                let hops = value.trim().parse().map_err(|_| FuncError::NotANumber(value))?;
                chan.set_max_forwards(hops);
            }
            "musicclass" => chan.about_mut().music_class = value.trim().to_owned(),
            "peeraccount" => chan.about_mut().peer_account = value,
            "userfield" => chan.about_mut().user_field = value,
            _ if ITEMS.iter().any(|(name, _)| *name == item) => return Err(FuncError::ReadOnly),
            _ => return Err(FuncError::Argument(item)),
        }
        Ok(())
    }
}

fn codec(chan: &Chan) -> Option<&'static str> {
    chan.facts().now().codec.map(|codec| codec.word())
}

/// `SIP`, `Local`.
fn technology(chan: &Chan) -> &str {
    chan.name().split('/').next().unwrap_or_default()
}

/// What stands between the technology and the number: a user, a trunk, an address.
fn device(chan: &Chan) -> &str {
    chan.facts().device().split_once('/').map_or("", |(_, device)| device)
}

fn header(chan: &Chan, name: &str) -> String {
    chan.about().headers.read(name, 1).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_items_are_sorted() {
        assert!(ITEMS.is_sorted_by(|(a, _), (b, _)| a < b));
    }
}
