//! Two and three supervisors at one call, in every order of coming and every mix of modes: each hears the others once, as loud as
//! they speak, and never himself.

use super::world::{PARTIES, World};
use super::{Count, SETTLED};
use crate::call::supervision::Mode;
use crate::call::supervision::table::Heard;

/// How a supervisor attends: whose leg, mode, to whom. The last says nothing to anybody.
const WAYS: [(usize, Mode, usize); 5] =
    [(0, Mode::Barge, 0), (1, Mode::Whisper, 1), (1, Mode::Whisper, 0), (0, Mode::Takeover, 0), (1, Mode::Listen, 1)];

fn attend(order: &[usize], ways: &[(usize, Mode, usize)]) {
    let (mut world, mut count) = (World::new(1), Count::default());
    world.bridge(0, 1, "bridge");
    for at in order {
        world.told.push(format!("supervisor {at} as {:?}", ways[*at]));
        world.attends(*at, ways[*at], Heard::Usual);
        (0..3).for_each(|_| world.tick(&mut count));
    }
    (0..SETTLED).for_each(|_| world.tick(&mut count));
    world.everybody_hears_all();
    for me in order {
        let ear = world.spies[*me].as_ref().expect("a supervisor").ears[2];
        for other in order {
            let is_heard = other != me && ways[*other].1 != Mode::Listen;
            let level = if is_heard { 0.9..1.1 } else { -0.01..0.05 };
            assert!(level.contains(&ear[PARTIES + other]), "{order:?} {ways:?}: {me} hears {other} at {ear:?}");
        }
    }
    world.ends();
}

#[test]
fn two_supervisors_hear_each_other_once_in_either_order_and_all_modes() {
    for (first, second) in WAYS.iter().flat_map(|first| WAYS.map(|second| (*first, second))) {
        if first.1 != Mode::Takeover || second.1 != Mode::Takeover {
            attend(&[0, 1], &[first, second]);
            attend(&[1, 0], &[first, second]);
        }
    }
}

#[test]
fn three_supervisors_hear_each_other_once_in_every_order() {
    let mixes = [[0, 1, 2], [0, 1, 4], [3, 1, 2], [0, 0, 3], [2, 2, 2], [4, 4, 1]];
    for mix in mixes.map(|mix| mix.map(|way| WAYS[way])) {
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            attend(&order, &mix);
        }
    }
}
