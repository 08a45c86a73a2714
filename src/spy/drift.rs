//! Two clocks that are not quite the same: how far to bend the sample rate so that the queue between them keeps its length.
//! Above: `device::card`. Pure: time is the number of frames taken.

/// The most a rate is bent: ±0.1 %, which no ear notices and any two sound cards stay within.
pub const MOST_DRIFT: f64 = 0.001;

/// The bend for each millisecond of queue too much or too little; 20 ms off are answered by all there is.
const BEND_PER_MS: f64 = MOST_DRIFT / 20.0;
/// How much a new length counts beside the ones before: the average looks back over a second of frames.
const NEW_SHARE: f64 = 0.02;
/// A queue grows by that at each stutter, and never beyond [`MOST_MS`]: ms.
const STEP_MS: f64 = 10.0;
/// The longest queue that is ever aimed at, ms.
const MOST_MS: f64 = 200.0;

/// Watches a queue that one clock fills and another empties.
#[derive(Clone, Debug)]
pub struct Drift {
    aim_ms: f64,
    average_ms: Option<f64>,
}

impl Drift {
    /// Aims at a queue of that length, measured when a frame is handed over.
    pub fn new(aim_ms: f64) -> Self {
        Self { aim_ms, average_ms: None }
    }

    /// The length aimed at now, ms.
    pub fn aim_ms(&self) -> f64 {
        self.aim_ms
    }

    /// Longer than this, the queue is cut back to the aim: what piled up while something stood still would stay for good.
    pub fn too_long_ms(&self) -> f64 {
        self.aim_ms + 120.0
    }

    /// Takes the queue's length at a frame; gives the factor for the number of samples made from now on.
    pub fn factor(&mut self, length_ms: f64) -> f64 {
        let before = self.average_ms.unwrap_or(length_ms);
        let average_ms = before + NEW_SHARE * (length_ms - before);
        self.average_ms = Some(average_ms);
        let bend = BEND_PER_MS * (self.aim_ms - average_ms);
        1.0 + bend.clamp(-MOST_DRIFT, MOST_DRIFT)
    }

    /// The queue was cut or has begun anew: earlier lengths no longer count.
    pub fn restart(&mut self) {
        self.average_ms = None;
    }

    /// The queue ran dry: its frames come less evenly than was thought.
    pub fn stuttered(&mut self) {
        self.aim_ms = (self.aim_ms + STEP_MS).min(MOST_MS);
        self.restart();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The queue after each frame of a call of so many minutes; the card's clock is off by `drift` and frames are up to `late_ms` late.
    fn lengths(minutes: usize, drift: f64, late_ms: usize) -> Vec<f64> {
        let mut control = Drift::new(40.0);
        let (mut made_ms, mut played_ms, mut factor) = (40.0, 0.0, 1.0);
        let frame = |at: usize| {
            // A repeatable scatter of arrivals.
            let late_ms = (at * 7_919 % 101) as f64 / 100.0 * late_ms as f64;
            let now_ms = at as f64 * 20.0 + late_ms;
            played_ms = now_ms * (1.0 + drift);
            let length_ms = made_ms - played_ms;
            factor = control.factor(length_ms);
            made_ms += 20.0 * factor;
            length_ms
        };
        (0..minutes * 60 * 50).map(frame).collect()
    }

    #[test]
    fn an_hour_with_a_clock_that_is_off_neither_starves_nor_delays() {
        for drift in [-0.000_9, -0.000_2, 0.0, 0.000_2, 0.000_9] {
            for length_ms in lengths(60, drift, 15) {
                assert!((1.0..70.0).contains(&length_ms), "{drift}: {length_ms} ms");
            }
        }
    }

    #[test]
    fn the_rate_is_never_bent_by_more_than_a_thousandth() {
        let mut control = Drift::new(40.0);
        assert_eq!(control.factor(1_000.0), 1.0 - MOST_DRIFT);
        control.restart();
        assert_eq!(control.factor(0.0), 1.0 + MOST_DRIFT);
    }

    #[test]
    fn equal_clocks_and_the_right_length_bend_nothing() {
        let mut control = Drift::new(40.0);
        assert!((0..1_000).all(|_| control.factor(40.0) == 1.0));
    }

    #[test]
    fn stutters_make_the_queue_longer_up_to_a_fifth_of_a_second() {
        let mut control = Drift::new(40.0);
        control.stuttered();
        assert_eq!(control.aim_ms(), 50.0);
        (0..100).for_each(|_| control.stuttered());
        assert_eq!(control.aim_ms(), 200.0);
    }
}
