//! Calls and supervisors by chance, on virtual time: attach, switch, hold, transfer, bridge, leave, hang up, stall, take over, in any
//! order, with the table of `call::supervision` as the law. After each tick every ear is asked whether it heard anyone it must not,
//! or missed anyone it must hear; after each sequence nothing may be left. Here the dice and the sequences; `world` is what they
//! play with, `ears` the voices, `judge` asks,
//! `several` is the same without chance: supervisors in every order.
//!
//! `cargo test` plays a short form. All of it, 10,000 sequences, in about ten minutes:
//! `SIMULATION=10000 cargo test --release --lib simulation -- --nocapture`; `SIMULATION_SEED` begins elsewhere.

mod ears;
mod judge;
mod several;
mod world;

use super::*;
use world::World;

/// Sequences of the short form.
const SHORT: u64 = 200;
/// Steps of a sequence.
const STEPS: usize = 24;
/// After so many quiet ticks everybody must hear exactly whom he should.
const SETTLED: usize = 16;

/// Numbers by chance, the same for the same seed (xorshift).
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % limit
    }

    fn one_of<T: Copy>(&mut self, list: &[T]) -> Option<T> {
        (!list.is_empty()).then(|| list[self.below(list.len())])
    }
}

/// What happened in all sequences, to show that it did.
#[derive(Debug, Default)]
struct Count {
    ticks: u64,
    packets: u64,
    untouched: u64,
    frames: u64,
    steps: std::collections::BTreeMap<&'static str, u64>,
}

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(usual)
}

#[test]
fn no_sequence_of_steps_leaks_loses_a_partys_sound_or_reaches_a_forbidden_ear() {
    let (sequences, first) = (number("SIMULATION", SHORT), number("SIMULATION_SEED", 1));
    let mut count = Count::default();
    for seed in first..first + sequences {
        play(seed, &mut count);
    }
    println!("{sequences} sequences from seed {first}: {count:#?}");
    let all =
        ["attach", "switch", "hold", "transfer", "bridge", "part", "leave", "hang up", "vanish", "stall", "takeover"];
    for step in all {
        assert!(count.steps.get(step).is_some_and(|times| *times > 0), "{step} never happened");
    }
    assert!(count.untouched > count.packets / 10, "hardly anything was compared: {count:?}");
}

fn play(seed: u64, count: &mut Count) {
    let mut dice = Dice::new(seed);
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        let step = world.step(&mut dice);
        *count.steps.entry(step).or_default() += 1;
        for _ in 0..=dice.below(4) {
            world.tick(count);
        }
        if dice.below(6) == 0 {
            (0..SETTLED).for_each(|_| world.tick(count));
            world.everybody_hears_all();
        }
    }
    (0..SETTLED).for_each(|_| world.tick(count));
    world.everybody_hears_all();
    world.ends();
}

#[test]
fn a_simulation_that_is_lied_to_finds_it_out() {
    let lied = std::panic::catch_unwind(|| {
        let (mut dice, mut world, mut count) = (Dice::new(5), World::new(5), Count::default());
        world.bridge(0, 1, "bridge");
        world.attach(&mut dice, 0);
        // Behind the world's back, as a wrong engine would.
        world.hall.set((Sides::BOTH, Sides::RIGHT));
        (0..SETTLED).for_each(|_| world.tick(&mut count));
    });
    assert!(lied.is_err());
}
