//! Who is recorded without being asked: by the settings of users, trunks and rooms, and of all.
//! Above: the answer, the bridge and the rooms tell. Below: `session` begins.
//!
//! `never` of anybody in a talk is stronger than any other word. One recording by rule is enough for a talk.

use std::sync::Arc;

use serde_json::json;

use crate::{
    call::{
        cause::Cause,
        exchange::Exchange,
        live::{CallFacts, LegFacts},
        recording::{
            consent,
            core::{Follows, hang_up},
            facts,
            session::{self, RecordingHandle},
            wish::{By, Wish},
        },
        room::Member,
        talks::Side,
    },
    config::{Config, RecordChoice},
    outbox::manifest::{Direction, Manifest},
};

impl Exchange {
    /// A script has answered its phone.
    pub(in crate::call) fn answered_by_script(self: &Arc<Self>, call: &CallFacts, leg: &Arc<LegFacts>) {
        let settings = self.settings.load_full();
        let Some(rule) = for_one(&settings, leg) else { return };
        if !self.is_recorded_by_rule(&[leg]) && !self.refuse_again(call, [leg]) {
            self.records_leg(rule, (call, leg), Side::A);
        }
    }

    /// Two legs talk with each other from now on, the one that called first. `kin` is the oldest of the channels that led to this call by Local pairs.
    pub(in crate::call) fn talk_begins(self: &Arc<Self>, (call, kin): (&CallFacts, &str), pair: [&Arc<LegFacts>; 2]) {
        let settings = self.settings.load_full();
        match for_two(&settings, pair) {
            Ruling::Nothing => {}
            Ruling::Never => {
                self.recordings.following(&pair).iter().filter(|one| is_by_rule(one)).for_each(RecordingHandle::ends);
            }
            Ruling::Records { .. } if self.is_recorded_by_rule(&pair) => {}
            Ruling::Records { .. } if self.refuse_again(call, pair) => {}
            // The call at the other end of a Local pair is the one that all of it belongs to.
            Ruling::Records { rule, .. } if rule == ALWAYS && !self.is_first_of_kin(call, kin) => {}
            Ruling::Records { rule, side } => {
                let [a, b] = pair;
                self.records_leg(rule, (call, if side == Side::A { a } else { b }), side);
            }
        }
    }

    /// Somebody has come into a conference room.
    pub(in crate::call) fn room_is_entered(self: &Arc<Self>, room: &str) {
        if !self.settings.load().recording.rooms.iter().any(|wanted| wanted == room) {
            return;
        }
        let has_refused = |member: &Arc<Member>| member.leg.consent.has_refused();
        if self.recordings.is_room_recorded(room) {
            return;
        }
        // Where nobody goes on without, he is sent out when it begins.
        if !consent::is_condition(self) && self.rooms.members(room, None).iter().any(has_refused) {
            return;
        }
        let wish = Wish::new(By::Rule(format!("room {room}")));
        let manifest = facts::of_room(self, &wish, room);
        self.records((wish, Follows::Room(room.to_owned())), manifest);
    }

    /// Some of these have refused to be recorded before: they are not asked anew, and hung up where nobody goes on without.
    fn refuse_again<const N: usize>(&self, call: &CallFacts, legs: [&Arc<LegFacts>; N]) -> bool {
        let refusing: Vec<_> = legs.into_iter().filter(|leg| leg.consent.has_refused()).cloned().collect();
        if consent::is_condition(self) {
            for leg in &refusing {
                let (call, number) = (&call.uuid, &leg.number);
                tracing::info!(call, number, "does not agree to be recorded, as before: the call ends");
                self.journal
                    .note("recording.refused", json!({"uuid": call, "leg": leg.uuid, "number": number, "again": true}));
            }
            hang_up(&refusing, Cause::NORMAL);
        }
        !refusing.is_empty()
    }

    fn records_leg(self: &Arc<Self>, rule: String, (call, leg): (&CallFacts, &Arc<LegFacts>), side: Side) {
        let wish = Wish::new(By::Rule(rule));
        let manifest = facts::at_start(self, &wish, call, leg);
        self.records((wish, Follows::Leg { leg: leg.clone(), side }), manifest);
    }

    /// On the list at once, so that the call's end waits for it; the rest waits for the disk.
    fn records(self: &Arc<Self>, what: (Wish, Follows), manifest: Manifest) {
        let core = session::register(self, what, manifest);
        tokio::spawn(async move {
            let taken = session::take_name(&core).await;
            // Whatever is wrong has been told.
            let _ = session::goes_on(&core, taken);
        });
    }

    pub(super) fn is_recorded_by_rule(&self, legs: &[&Arc<LegFacts>]) -> bool {
        self.recordings.following(legs).iter().any(|one| is_by_rule(one) && !one.is_ending())
    }

    /// No live call of somebody outside led to this one by a Local pair.
    fn is_first_of_kin(&self, call: &CallFacts, kin: &str) -> bool {
        kin == call.uuid || self.live.find(kin).is_none_or(|(_, leg)| leg.is_local())
    }
}

const ALWAYS: &str = "always";

fn is_by_rule(recording: &RecordingHandle) -> bool {
    matches!(recording.wish().by, By::Rule(_))
}

/// What the settings say of a talk.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ruling {
    /// Nothing, or that it need not be recorded.
    Nothing,
    /// That it must not be.
    Never,
    /// That it is, by which rule, and which leg is followed.
    Records { rule: String, side: Side },
}

/// Of a leg that is alone with the script.
pub(super) fn for_one(settings: &Config, leg: &LegFacts) -> Option<String> {
    if leg.is_local() {
        return None;
    }
    let is_in = leg.user.is_none();
    let fits = |choice| choice == RecordChoice::Always || (choice == RecordChoice::In && is_in);
    match own(settings, leg) {
        Some((choice, name)) => fits(choice).then_some(name),
        None => fits(settings.recording.record).then(|| ALWAYS.to_owned()),
    }
}

/// Of a talk between two.
pub(super) fn for_two(settings: &Config, [a, b]: [&Arc<LegFacts>; 2]) -> Ruling {
    let owns = [(Side::A, own(settings, a)), (Side::B, own(settings, b))];
    if owns.iter().any(|(_, own)| matches!(own, Some((RecordChoice::Never, _)))) {
        return Ruling::Never;
    }
    let direction = facts::direction((Some(a), Some(b)));
    let fits = |choice| match choice {
        RecordChoice::Always => true,
        RecordChoice::Never => false,
        RecordChoice::In => direction == Direction::In,
        RecordChoice::Out => direction == Direction::Out,
    };
    for (side, own) in owns {
        if let Some((choice, rule)) = own
            && fits(choice)
        {
            return Ruling::Records { rule, side };
        }
    }
    // Somebody who can be followed; of two the one that called.
    let side = if a.is_local() { Side::B } else { Side::A };
    if fits(settings.recording.record) && !(a.is_local() && b.is_local()) {
        return Ruling::Records { rule: ALWAYS.to_owned(), side };
    }
    Ruling::Nothing
}

/// The word of a leg's own user or trunk, and its name.
fn own(settings: &Config, leg: &LegFacts) -> Option<(RecordChoice, String)> {
    if let Some(user) = &leg.user {
        return Some((settings.users.get(user)?.record?, format!("user {user}")));
    }
    let trunk = facts::trunk_of(settings, leg)?;
    Some((settings.trunks.get(trunk)?.record?, format!("trunk {trunk}")))
}
