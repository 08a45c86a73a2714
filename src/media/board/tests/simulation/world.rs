//! Four parties, up to three supervisors, and what the world believes: who talks with whom, who is held, whose tap is where.
//! Supervisors follow as `call::supervision` does: late, off one party before they are on another, by the same table.

use tokio::sync::mpsc;

use super::super::{Hall, Party, stream};
use super::Dice;
use super::ears::{MUSIC, SUPERVISORS, Strengths, frame_of};
use crate::audio::codec::Codec;
use crate::call::supervision::table::{self, Heard};
use crate::call::supervision::{Mode, Side};
use crate::media::command::{Command, EarFrame, Event, PortId, Sides, Source, TapAudio, TapId};
use crate::media::voice;

/// Parties, each with a voice of its own.
pub(super) const PARTIES: usize = 4;

/// A party and what the world believes of it.
pub(super) struct Person {
    pub(super) party: Party,
    pub(super) with: Option<usize>,
    pub(super) is_held: bool,
    /// The packet it speaks in this tick.
    pub(super) says: [u8; 160],
    pub(super) heard: Strengths,
}

/// A supervisor and what was commanded for him.
pub(super) struct Attending {
    tap: TapId,
    pub(super) frames: rtrb::Consumer<EarFrame>,
    pub(super) voice: rtrb::Producer<[i16; 160]>,
    _events: mpsc::Receiver<Event>,
    target: usize,
    mode: Mode,
    /// The party that hears a whisper.
    to: usize,
    heard: Heard,
    /// As commanded: the parties at left and right, and who hears whom.
    pub(super) on: [Option<usize>; 2],
    pub(super) sides: (Sides, Sides),
    /// Whose place he has taken.
    holds: Option<usize>,
    /// Ticks until he follows what has happened.
    lag: Option<usize>,
    pub(super) is_stalled: bool,
    stalled_at: u64,
    pub(super) ears: [Strengths; 3],
}

impl Attending {
    /// The parties that hear him, as commanded.
    pub(super) fn reaches(&self, party: usize) -> bool {
        voice::Side::BOTH.into_iter().zip(self.on).any(|(side, on)| on == Some(party) && self.sides.1.has(side))
    }
}

pub(super) struct World {
    pub(super) hall: Hall,
    pub(super) people: [Option<Person>; PARTIES],
    pub(super) spies: [Option<Attending>; SUPERVISORS],
    pub(super) seed: u64,
    pub(super) tick: u64,
    taps: u64,
    /// The last steps, for whoever reads a failure.
    pub(super) told: Vec<String>,
}

fn music() -> Source {
    Source::Samples { rate_hz: 8_000, samples: frame_of(MUSIC, 0).into(), repeat: true }
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut world = Self {
            hall: Hall::new(),
            people: [const { None }; PARTIES],
            spies: [const { None }; SUPERVISORS],
            seed,
            tick: 0,
            taps: 0,
            told: Vec::new(),
        };
        (0..PARTIES).for_each(|at| world.arrives(at));
        world
    }

    fn arrives(&mut self, at: usize) {
        // One of them speaks the other law.
        let party = self.hall.party_with(0.0, |stream| {
            if at == 3 {
                (stream.coding, stream.payload) = (Codec::Pcma.into(), 8);
            }
        });
        debug_assert_eq!(stream().ptime_ms, 20);
        self.people[at] = Some(Person { party, with: None, is_held: false, says: [0; 160], heard: [0.0; 8] });
    }

    fn alive(&self) -> Vec<usize> {
        (0..PARTIES).filter(|at| self.people[*at].is_some()).collect()
    }

    fn running(&self) -> Vec<usize> {
        (0..SUPERVISORS).filter(|at| self.spies[*at].is_some()).collect()
    }

    fn port(&self, at: usize) -> Option<PortId> {
        self.people[at].as_ref().map(|person| person.party.id)
    }

    pub(super) fn with(&self, at: usize) -> Option<usize> {
        self.people[at].as_ref().and_then(|person| person.with)
    }

    /// Does something by chance; its name.
    pub(super) fn step(&mut self, dice: &mut Dice) -> &'static str {
        let (alive, running) = (self.alive(), self.running());
        let (someone, spy) = (dice.one_of(&alive), dice.one_of(&running));
        let step = match (dice.below(13), someone, spy) {
            (0 | 1, Some(target), _) if running.len() < SUPERVISORS => self.attach(dice, target),
            (2 | 3, _, Some(spy)) => self.switches(dice, spy),
            (4, Some(at), _) => self.holds(at),
            (5 | 6, Some(at), _) if self.with(at).is_some() => {
                let others: Vec<usize> =
                    alive.into_iter().filter(|other| ![Some(at), self.with(at)].contains(&Some(*other))).collect();
                dice.one_of(&others).map_or("nothing", |other| self.bridge(at, other, "transfer"))
            }
            (7 | 8, Some(at), _) => {
                let others: Vec<usize> = alive.into_iter().filter(|other| *other != at).collect();
                dice.one_of(&others).map_or("nothing", |other| self.bridge(at, other, "bridge"))
            }
            (9, Some(at), _) if self.with(at).is_some() => self.part(at),
            (10, _, Some(spy)) => self.leaves(spy, "leave"),
            (11, Some(at), _) if dice.below(2) == 0 => self.hangs_up(at),
            (11, ..) => {
                (0..PARTIES).filter(|at| !alive.contains(at)).for_each(|at| self.arrives(at));
                "arrive"
            }
            (12, _, Some(spy)) if self.has_long_been_still(spy) => self.leaves(spy, "vanish"),
            (12, _, Some(spy)) => self.stalls(spy),
            _ => "nothing",
        };
        self.told.push(format!("{}: {step} ({someone:?}, {spy:?})", self.tick));
        // The engine hears of it, some ticks later.
        for spy in self.spies.iter_mut().flatten() {
            spy.lag = spy.lag.or(Some(dice.below(4)));
        }
        step
    }

    pub(super) fn attach(&mut self, dice: &mut Dice, target: usize) -> &'static str {
        let named = [Sides::LEFT, Sides::RIGHT, Sides::NONE];
        let heard = dice.one_of(&named).filter(|_| dice.below(4) == 0).map_or(Heard::Usual, Heard::Named);
        if let Some(at) = self.spies.iter().position(Option::is_none) {
            self.attends(at, (target, Mode::Listen, target), heard);
        }
        "attach"
    }

    /// A supervisor comes: whom he attends, how, and to whom he whispers.
    pub(super) fn attends(&mut self, at: usize, (target, mode, to): (usize, Mode, usize), heard: Heard) {
        let (out, frames) = rtrb::RingBuffer::new(8);
        let (said, from_voice) = rtrb::RingBuffer::new(8);
        let (events, told) = mpsc::channel(64);
        self.taps += 1;
        let tap = TapId(self.taps);
        let (hears, heard_by) = (Sides::NONE, Sides::NONE);
        let audio = TapAudio { out, voice: from_voice, events };
        self.hall.obey(Command::Attach { tap, left: None, right: None, hears, heard_by, audio });
        self.spies[at] = Some(Attending {
            tap,
            frames,
            voice: said,
            _events: told,
            target,
            mode,
            to,
            heard,
            on: [None; 2],
            sides: (hears, heard_by),
            holds: None,
            lag: None,
            is_stalled: false,
            stalled_at: 0,
            ears: [[0.0; 8]; 3],
        });
        self.follows(at);
    }

    fn switches(&mut self, dice: &mut Dice, at: usize) -> &'static str {
        self.follows(at);
        let Some(spy) = &self.spies[at] else { return "nothing" };
        let (target, peer) = (spy.target, self.with(spy.target));
        let taken: Vec<usize> = self.spies.iter().flatten().filter_map(|spy| spy.holds).collect();
        let (mode, to) = match dice.below(5) {
            0 => (Mode::Listen, target),
            1 => (Mode::Whisper, target),
            2 => (Mode::Whisper, peer.unwrap_or(target)),
            3 => (Mode::Barge, target),
            _ if peer.is_some() && !taken.contains(&self.replaced(target)) => (Mode::Takeover, target),
            _ => (Mode::Listen, target),
        };
        if let Some(spy) = &mut self.spies[at] {
            (spy.mode, spy.to) = (mode, to);
        }
        self.follows(at);
        if mode == Mode::Takeover { "takeover" } else { "switch" }
    }

    /// Whose place a supervisor of that target takes: the agent's, which here are those of odd numbers.
    fn replaced(&self, target: usize) -> usize {
        match self.with(target) {
            Some(peer) if target % 2 != peer % 2 => [target, peer].into_iter().find(|at| at % 2 == 1).unwrap_or(target),
            _ => target,
        }
    }

    /// A supervisor catches up with his target, as the engine's `settle` does.
    fn follows(&mut self, at: usize) {
        let Some(spy) = &self.spies[at] else { return };
        let target = spy.target;
        if self.people[target].is_none() {
            self.leaves(at, "end");
            return;
        }
        let peer = self.with(target);
        let on = match peer {
            Some(peer) => [Some(target.min(peer)), Some(target.max(peer))],
            None => [Some(target), None],
        };
        let side_of = |party: usize| match on.iter().position(|on| *on == Some(party)) {
            Some(0) => Some(Side::A),
            Some(_) => Some(Side::B),
            None => None,
        };
        let (to, replaced) = (side_of(spy.to), self.replaced(target));
        let mode = match spy.mode {
            Mode::Whisper if peer.is_some() && to.is_none() => Mode::Listen,
            Mode::Takeover if peer.is_none() => Mode::Listen,
            mode => mode,
        };
        let place = side_of(replaced).unwrap_or(Side::A);
        let sides = table::sides(mode, spy.heard, (to, place));
        let ports = on.map(|on| on.and_then(|on| self.port(on)));
        let (tap, moves, before) = (spy.tap, spy.on != on, spy.sides);
        let nobody = (Sides::NONE, Sides::NONE);
        if moves {
            if before != sides {
                self.set(tap, nobody);
            }
            self.hall.obey(Command::MoveTap { tap, left: ports[0], right: ports[1] });
        }
        if before != sides {
            self.set(tap, sides);
        }
        let wanted = (mode == Mode::Takeover).then_some(replaced);
        if let Some(spy) = &mut self.spies[at] {
            (spy.mode, spy.on, spy.sides, spy.lag) = (mode, on, sides, None);
        }
        self.takes_place(at, wanted, moves);
    }

    fn set(&mut self, tap: TapId, (hears, heard_by): (Sides, Sides)) {
        self.hall.obey(Command::SetTap { tap, hears, heard_by });
    }

    /// Holds whose place is taken: anew after a move, since a bridge ends holds.
    fn takes_place(&mut self, at: usize, wanted: Option<usize>, moved: bool) {
        let Some(spy) = &mut self.spies[at] else { return };
        let before = std::mem::replace(&mut spy.holds, wanted);
        if before == wanted && !moved {
            return;
        }
        if let Some(before) = before.filter(|before| Some(*before) != wanted) {
            self.hold(before, false);
        }
        if let Some(wanted) = wanted {
            self.hold(wanted, true);
        }
    }

    fn hold(&mut self, at: usize, is_held: bool) {
        let Some(person) = &mut self.people[at] else { return };
        person.is_held = is_held;
        let port = person.party.id;
        self.hall.obey(if is_held { Command::Hold { port, music: music() } } else { Command::Unhold { port } });
    }

    /// A party is held by order; one whose place is taken stays as it is.
    fn holds(&mut self, at: usize) -> &'static str {
        let is_taken = self.spies.iter().flatten().any(|spy| spy.holds == Some(at));
        let Some(person) = &self.people[at] else { return "nothing" };
        let is_held = person.is_held;
        if !is_taken {
            self.hold(at, !is_held);
        }
        "hold"
    }

    pub(super) fn bridge(&mut self, a: usize, b: usize, step: &'static str) -> &'static str {
        let (Some(left), Some(right)) = (self.port(a), self.port(b)) else { return "nothing" };
        for (at, with) in [(a, b), (b, a)] {
            if let Some(other) =
                self.with(at).filter(|other| *other != with).and_then(|other| self.people[other].as_mut())
            {
                other.with = None;
            }
            if let Some(person) = &mut self.people[at] {
                (person.with, person.is_held) = (Some(with), false);
            }
        }
        self.hall.obey(Command::Join { a: left, b: right });
        step
    }

    fn part(&mut self, at: usize) -> &'static str {
        for at in [Some(at), self.with(at)].into_iter().flatten() {
            if let Some(person) = &mut self.people[at] {
                person.with = None;
            }
        }
        if let Some(port) = self.port(at) {
            self.hall.obey(Command::Part { port });
        }
        "part"
    }

    pub(super) fn hangs_up(&mut self, at: usize) -> &'static str {
        self.part(at);
        if let Some(person) = self.people[at].take() {
            self.hall.obey(Command::Close { port: person.party.id });
            self.hall.air.sent.remove(&person.party.seat);
        }
        for spy in self.spies.iter_mut().flatten() {
            spy.on = spy.on.map(|on| on.filter(|on| *on != at));
            spy.lag = Some(0);
        }
        "hang up"
    }

    pub(super) fn leaves(&mut self, at: usize, step: &'static str) -> &'static str {
        self.takes_place(at, None, false);
        if let Some(spy) = self.spies[at].take()
            && step != "vanish"
        {
            self.hall.obey(Command::Detach { tap: spy.tap });
        }
        step
    }

    /// Whether a supervisor has said nothing for so long that nothing of it is on its way.
    fn has_long_been_still(&self, at: usize) -> bool {
        self.spies[at].as_ref().is_some_and(|spy| spy.is_stalled && self.tick - spy.stalled_at > 15)
    }

    fn stalls(&mut self, at: usize) -> &'static str {
        if let Some(spy) = &mut self.spies[at] {
            spy.is_stalled = !spy.is_stalled;
            spy.stalled_at = self.tick;
            while spy.frames.pop().is_ok() {}
        }
        "stall"
    }

    /// Supervisors who are due catch up.
    pub(super) fn catch_up(&mut self) {
        for at in 0..SUPERVISORS {
            match self.spies[at].as_mut().map(|spy| &mut spy.lag) {
                Some(Some(0)) => self.follows(at),
                Some(Some(lag)) => *lag -= 1,
                _ => {}
            }
        }
    }
}
