//! Telling parties that somebody listens: a short tone to those whom the policy names.
//! Above: `state`, when a party comes under supervision. Below: the media threads play it over the call.

use std::sync::Arc;

use crate::{
    call::{
        channel::next_play_id,
        exchange::Exchange,
        live::LegFacts,
        supervision::{parties::Pair, wish::Wish},
        talks::Side,
    },
    config::{Announce, AnnounceTo},
    media::{Command, Source, ToneStep},
};

/// The tone: 1400 Hz as in recording warnings (ITU-T E.180 supplement 2), a quarter of a second.
const TONE: ToneStep = ToneStep { hz: [1400.0, 0.0], ms: 250, level_db: -18.0 };

/// The legs of a pair that are to hear the tone: where agent and customer are not clear, both.
pub(super) fn hearers<'a>(exchange: &Exchange, wish: &Wish, pair: &'a Pair) -> Vec<&'a Arc<LegFacts>> {
    let settings = exchange.settings.load();
    let policy = &settings.supervision;
    if policy.announce == Announce::None && wish.announce != Some(Announce::Beep) {
        return Vec::new();
    }
    let sides = match (policy.announce_to, pair.agent()) {
        (AnnounceTo::Agent, Ok(agent)) => vec![agent],
        (AnnounceTo::Customer, Ok(agent)) => vec![agent.other()],
        _ => vec![Side::A, Side::B],
    };
    sides.into_iter().filter_map(|side| pair.on(side)).collect()
}

/// Plays the tone to a leg.
pub(super) fn beep(exchange: &Exchange, leg: &LegFacts) {
    let source = Source::Tones { steps: Arc::new([TONE]), repeat: false };
    exchange.media.send(Command::PlayOver { port: leg.port, id: next_play_id(), source });
}
