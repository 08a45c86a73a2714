//! Lets a tick pass and asks every ear: heard nobody it must not, missed no packet of its partner; and at the end, is anything left.

use super::super::sound;
use super::Count;
use super::ears::{HEARD, MUSIC, SUPERVISORS, Strengths, VOICES, frame_of, voices};
use super::world::{PARTIES, World};
use crate::audio::codec::Codec;
use crate::audio::frame::FRAME_SAMPLES;
use crate::media::command::Sides;
use crate::media::voice::Side;
use crate::rtp::packet::Packet;

/// Which voices an ear may hear.
type May = [bool; VOICES];

impl World {
    /// 20 ms: everybody speaks, everything passes, every ear is asked.
    pub(super) fn tick(&mut self, count: &mut Count) {
        self.catch_up();
        self.tick += 1;
        count.ticks += 1;
        for at in 0..PARTIES {
            let Some(person) = &mut self.people[at] else { continue };
            let mut says = [0; FRAME_SAMPLES];
            person.party.codec.encode(&frame_of(at, self.tick * 8 + at as u64), &mut says);
            person.says = says;
            self.hall.send(&mut person.party, &says);
        }
        for (at, spy) in self.spies.iter_mut().enumerate() {
            if let Some(spy) = spy.as_mut().filter(|spy| !spy.is_stalled) {
                // A full ring is a voice that nobody takes.
                let _ = spy.voice.push(frame_of(PARTIES + at, 0));
            }
        }
        self.hall.tick();
        (0..PARTIES).for_each(|at| self.ask_party(at, count));
        (0..SUPERVISORS).for_each(|at| self.ask_supervisor(at, count));
    }

    /// Whom a party may hear now.
    fn may_party(&self, at: usize) -> (May, Option<usize>) {
        let held = |at: usize| self.people[at].as_ref().is_some_and(|person| person.is_held);
        let partner = self.with(at).filter(|partner| !held(at) && !held(*partner));
        let mut may = [false; VOICES];
        if let Some(partner) = partner {
            may[partner] = true;
        }
        for (spy, attending) in self.spies.iter().enumerate() {
            may[PARTIES + spy] = attending.as_ref().is_some_and(|attending| attending.reaches(at));
        }
        may[MUSIC] = held(at);
        (may, partner)
    }

    fn ask_party(&mut self, at: usize, count: &mut Count) {
        let Some(person) = &self.people[at] else { return };
        let (codec, packets) = (person.party.codec, self.hall.air.sent.remove(&person.party.seat).unwrap_or_default());
        let (may, partner) = self.may_party(at);
        count.packets += packets.len() as u64;
        let mut heard = [0.0; VOICES];
        let mut from_partner = 0;
        for bytes in &packets {
            let payload = &bytes[Packet::parse(bytes).expect("a packet").payload];
            if partner.is_some_and(|partner| self.said(partner, codec) == payload) {
                count.untouched += 1;
                from_partner += 1;
                heard[partner.unwrap_or(at)] = 1.0;
                continue;
            }
            let now = self.voices_for(&format!("party {at}"), &sound(codec, bytes), may);
            from_partner += usize::from(partner.is_some_and(|partner| now[partner] > 0.5));
            heard = now;
        }
        let is_spoken_to = may[PARTIES..PARTIES + SUPERVISORS].contains(&true);
        let is_untouched = is_spoken_to || packets.len() == 1 && heard.iter().sum::<f32>() == 1.0;
        let is_whole = partner.is_none() || from_partner == 1 && is_untouched;
        assert!(is_whole, "{}: party {at} got {} packets, hears {heard:?}", self.story(), packets.len());
        if let Some(person) = &mut self.people[at] {
            person.heard = if packets.is_empty() { [0.0; VOICES] } else { heard };
        }
    }

    /// What a party says in this tick, in another's law.
    fn said(&self, at: usize, codec: Codec) -> [u8; 160] {
        let Some(person) = &self.people[at] else { return [0; 160] };
        let mut says = person.says;
        person.party.codec.transcode(codec, &mut says);
        says
    }

    fn may_supervisor(&self, at: usize) -> [May; 3] {
        let mut may = [[false; VOICES]; 3];
        let Some(me) = &self.spies[at] else { return may };
        for (part, side) in Side::BOTH.into_iter().enumerate() {
            if let Some(party) = me.on[part].filter(|_| me.sides.0.has(side)) {
                may[part][party] = true;
            }
        }
        for (other, attending) in self.spies.iter().enumerate().filter(|(other, _)| *other != at) {
            let Some(attending) = attending else { continue };
            let is_heard = (0..PARTIES).any(|party| attending.reaches(party));
            let is_near = (0..PARTIES).any(|party| me.on.contains(&Some(party)) && attending.on.contains(&Some(party)));
            may[2][PARTIES + other] = is_heard && is_near && me.sides.0 != Sides::NONE;
        }
        may
    }

    fn ask_supervisor(&mut self, at: usize, count: &mut Count) {
        let may = self.may_supervisor(at);
        let mut frames = Vec::new();
        match self.spies[at].as_mut().filter(|spy| !spy.is_stalled) {
            Some(spy) => frames.extend(std::iter::from_fn(|| spy.frames.pop().ok())),
            None => return,
        }
        assert_eq!(frames.len(), 1, "{}: frames of supervisor {at} in a tick", self.story());
        count.frames += 1;
        let mut ears = [[0.0; VOICES]; 3];
        for ((part, may), ear) in frames[0].chunks(FRAME_SAMPLES).zip(may).zip(&mut ears) {
            *ear = self.voices_for(&format!("supervisor {at}"), part, may);
        }
        if let Some(spy) = &mut self.spies[at] {
            spy.ears = ears;
        }
    }

    /// The voices in a frame; none may be there that must not.
    fn voices_for(&self, who: &str, samples: &[i16], may: May) -> Strengths {
        if samples.iter().all(|sample| *sample == 0) {
            return [0.0; VOICES];
        }
        let heard = voices(samples);
        let loud = samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
        let forbidden = (0..VOICES).find(|voice| heard[*voice] > HEARD && !may[*voice]);
        assert!(forbidden.is_none(), "{}: {who} may hear {may:?}, hears {heard:?}", self.story());
        let is_silent = may.contains(&true) || loud <= 16;
        assert!(is_silent, "{}: {who} may hear nobody, hears something as loud as {loud}", self.story());
        heard
    }

    /// When nothing has happened for a while, everybody hears exactly whom he may, each once and as loud as he speaks.
    pub(super) fn everybody_hears_all(&self) {
        let is_stalled = |voice: usize| {
            self.spies.get(voice.wrapping_sub(PARTIES)).is_some_and(|spy| spy.as_ref().is_none_or(|spy| spy.is_stalled))
        };
        let check = |who: String, heard: &Strengths, may: May| {
            for voice in 0..VOICES {
                let level = if may[voice] && !is_stalled(voice) { 0.8..1.25 } else { -0.01..0.1 };
                assert!(level.contains(&heard[voice]), "{}: {who}, voice {voice}: {may:?} {heard:?}", self.story());
            }
        };
        for (at, person) in self.people.iter().enumerate() {
            if let Some(person) = person {
                check(format!("party {at}"), &person.heard, self.may_party(at).0);
            }
        }
        for (at, spy) in self.spies.iter().enumerate() {
            if let Some(spy) = spy.as_ref().filter(|spy| !spy.is_stalled) {
                for (part, (heard, may)) in spy.ears.iter().zip(self.may_supervisor(at)).enumerate() {
                    check(format!("supervisor {at}, ear {part}"), heard, may);
                }
            }
        }
    }

    /// Everybody goes; nothing may be left on the board.
    pub(super) fn ends(&mut self) {
        (0..SUPERVISORS).for_each(|at| {
            self.leaves(at, "leave");
        });
        (0..PARTIES).for_each(|at| {
            self.hangs_up(at);
        });
        // Those who vanished are found out when their rings are full.
        self.hall.ticks(10);
        let board = &self.hall.board;
        let is_empty = board.by_id.is_empty() && board.by_tap.is_empty() && board.generating.is_empty();
        let is_bare = board.ports.iter().all(Option::is_none) && board.taps.iter().all(Option::is_none);
        assert!(is_empty && is_bare && !board.has_beat(), "{}: something is left", self.story());
    }

    fn story(&self) -> String {
        let last = self.told[self.told.len().saturating_sub(8)..].join(", ");
        format!("seed {}, tick {}, after {last}", self.seed, self.tick)
    }
}
