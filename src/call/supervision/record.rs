//! What the evidence log is told of a session, and the journal with it.
//! Above: `session` and `follow`. Below: `evidence`, which returns when the entry is on the disk.

use serde_json::json;

use crate::{
    call::{
        exchange::Exchange,
        live::LegFacts,
        supervision::{
            parties::{Pair, Place, person_on},
            permission::Mode,
            refused::SpyError,
            session::End,
            state::{Core, State},
            tap,
            wish::Wish,
        },
        talks::Side,
    },
    evidence::{Entry, Event, Person},
    media::Sides,
};

/// Puts an entry on the disk.
///
/// # Errors
/// It is not there, so what it tells must not happen.
async fn append(exchange: &Exchange, entry: Entry) -> Result<(), SpyError> {
    exchange.evidence.append(entry).await.map(|_| ()).map_err(|error| SpyError::Log(error.to_string()))
}

/// What has happened has happened, whether or not it could be put on the disk.
fn in_any_case(appended: Result<(), SpyError>) {
    if let Err(error) = appended {
        tracing::error!(%error, "supervision");
    }
}

/// What an entry says of the supervisor.
fn begun(event: Event, session: &str, wish: &Wish) -> Entry {
    Entry {
        session: session.to_owned(),
        who: wish.who.name().to_owned(),
        via: wish.via.word().to_owned(),
        from: wish.via.from(),
        reason: wish.reason.clone().unwrap_or_default(),
        ..Entry::new(event)
    }
}

fn person(leg: &LegFacts) -> Person {
    Person { uuid: leg.uuid.clone(), user: leg.user.clone(), number: leg.number.clone() }
}

/// An entry about a pair: who they are, who is heard, who hears.
fn about(entry: Entry, exchange: &Exchange, pair: &Pair, (mode, (hears, talks)): (Mode, (Sides, Sides))) -> Entry {
    let named = |sides: Sides| {
        let legs = [(sides.left, Side::A), (sides.right, Side::B)].into_iter();
        let legs = legs.filter(|(is_one, _)| *is_one).filter_map(|(_, side)| pair.on(side));
        let legs = legs.map(|leg| person_on(&exchange.live, leg));
        legs.map(|leg| leg.user.clone().unwrap_or_else(|| leg.number.clone())).collect()
    };
    Entry {
        call: exchange.live.find(&pair.target.uuid).map(|(call, _)| call.uuid.clone()).unwrap_or_default(),
        target: Some(person(&pair.target)),
        peer: pair.peer.as_ref().map(|peer| person(&person_on(&exchange.live, peer))),
        mode: mode.word().into(),
        hears: named(hears),
        talks: named(talks),
        ..entry
    }
}

/// A session is about to begin.
pub(super) async fn started(
    exchange: &Exchange,
    session: &str,
    wish: &Wish,
    pair: &Pair,
    to: &str,
) -> Result<(), SpyError> {
    let sides = tap::sides(pair, wish.mode, pair.side_of(to), wish.hear);
    let entry = about(begun(Event::Started, session, wish), exchange, pair, (wish.mode, sides));
    append(exchange, entry).await?;
    exchange.journal.note(
        "spy.attached",
        json!({"session": session, "uuid": call(exchange, pair), "who": wish.who.name(), "mode": wish.mode.word(),
               "target": pair.target.uuid, "reason": wish.reason}),
    );
    Ok(())
}

/// A session, or a change of one, was refused.
pub(super) async fn refused(exchange: &Exchange, session: &str, wish: &Wish, mode: Mode, error: &SpyError) {
    tracing::warn!(target = wish.uuid, who = wish.who.name(), mode = mode.word(), %error, "supervision refused");
    let target = exchange.live.find(&wish.uuid);
    let entry = Entry {
        call: target.as_ref().map(|(call, _)| call.uuid.clone()).unwrap_or_default(),
        target: Some(target.map_or_else(
            || Person { uuid: wish.uuid.to_ascii_lowercase(), ..Person::default() },
            |(_, leg)| person(&leg),
        )),
        mode: mode.word().into(),
        why: format!("{}: {error}", error.code()),
        ..begun(Event::Refused, session, wish)
    };
    exchange.journal.note(
        "spy.refused",
        json!({"session": session, "uuid": entry.call, "who": wish.who.name(), "mode": mode.word(),
               "reason": error.to_string(), "code": error.code()}),
    );
    in_any_case(append(exchange, entry).await);
}

/// Who hears whom is about to be different.
pub(super) async fn changes(core: &Core, change: &Change<'_>) -> Result<(), SpyError> {
    let entry =
        about(begun(Event::Mode, &core.id, &core.wish), &core.exchange, change.pair, (change.mode, change.sides));
    append(&core.exchange, Entry { why: change.why.into(), ..entry }).await?;
    core.exchange.journal.note(
        "spy.mode",
        json!({"session": core.id, "uuid": call(&core.exchange, change.pair), "who": core.wish.who.name(),
               "mode": change.mode.word(), "why": change.why}),
    );
    Ok(())
}

/// The same about a change that has been made, because it only takes away.
pub(super) async fn changes_anyway(core: &Core, change: &Change<'_>) {
    in_any_case(changes(core, change).await);
}

/// What an entry about a change says.
pub(super) struct Change<'a> {
    pub(super) pair: &'a Pair,
    pub(super) mode: Mode,
    pub(super) sides: (Sides, Sides),
    pub(super) why: &'a str,
}

/// A session is over. It is in a destructor that this is told: nobody waits.
pub(super) fn ended(core: &Core, end: &End) {
    let facts = core.facts();
    core.exchange.journal.note(
        "spy.detached",
        json!({"session": core.id, "uuid": facts.call, "who": core.wish.who.name(), "why": end.message}),
    );
    core.exchange.evidence.note(Entry {
        call: facts.call.clone(),
        target: Some(person(&core.lock().target)),
        mode: facts.mode.word().into(),
        why: end.message.clone(),
        ..begun(Event::Ended, &core.id, &core.wish)
    });
}

fn call(exchange: &Exchange, pair: &Pair) -> String {
    exchange.live.find(&pair.target.uuid).map(|(call, _)| call.uuid.clone()).unwrap_or_default()
}

impl State {
    /// The pair that an entry about this session is about now.
    pub(super) fn pair_now(&self) -> Option<Pair> {
        self.on().cloned().or_else(|| match Place::of(&self.target) {
            Place::There(pair) => Some(pair),
            _ => None,
        })
    }
}
