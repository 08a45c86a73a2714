//! A few samples more or fewer, to follow a drift or catch up. Above: `rtp/jitter`, `audio/steady`. No allocation.

/// Plays `from` in the time of `to`, which has a few samples more or fewer, along straight lines. `from` has at least one.
pub fn stretch_into(from: &[i16], to: &mut [i16]) {
    let (steps, last) = (to.len(), from.len() - 1);
    if steps == 0 {
        return;
    }
    // From sample to sample the place moves on by the same: nothing is divided for it.
    let (whole_step, part_step) = (from.len() / steps, from.len() % steps);
    let (mut whole, mut part) = (0, 0);
    for sample in to {
        let (a, b) = (i32::from(from[whole.min(last)]), i32::from(from[(whole + 1).min(last)]));
        *sample = (a + (b - a) * part as i32 / steps as i32) as i16; // between a and b
        (whole, part) = (whole + whole_step, part + part_step);
        if part >= steps {
            (whole, part) = (whole + 1, part - steps);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slope_stays_a_slope() {
        let from: Vec<i16> = (0..168).map(|at| at * 100).collect();
        let mut to = [0; 160];
        stretch_into(&from, &mut to);
        assert!(to.windows(2).all(|pair| (100..=110).contains(&(pair[1] - pair[0]))), "{to:?}");
        assert_eq!(to[0], 0);
    }
}
