//! Tests of sound on a machine that may be busy with something else: phones, server and recorder share its processors, and one that gets
//! no time for a moment stutters or is late, as in life. Such a moment is noticed here, and only then is a test that failed done again.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt;

/// A thread that wakes up so late got no time: a phone or a server whose packets are so late may be heard to stutter.
const LATE: Duration = Duration::from_millis(25);
/// How often a test is done at most. `TRIES=1` in the environment shows each failure, to look for faults under load.
const TRIES: usize = 5;

static LATE_WAKES: AtomicU64 = AtomicU64::new(0);

/// Does a test, and again if it fails while the machine was busy; where it was not, and after the last try, a failure is one.
pub(crate) async fn calmly(test: impl AsyncFn()) {
    let tries = std::env::var("TRIES").ok().and_then(|tries| tries.parse().ok());
    at_most(tries.unwrap_or(TRIES), test).await;
}

async fn at_most(tries: usize, test: impl AsyncFn()) {
    for _ in 1..tries {
        let before = late_wakes();
        match AssertUnwindSafe(test()).catch_unwind().await {
            Ok(()) => return,
            Err(panic) if late_wakes() == before => resume_unwind(panic),
            Err(_) => {}
        }
    }
    test().await;
}

/// How often a thread that only sleeps for a moment woke up late, in this process.
fn late_wakes() -> u64 {
    static WATCH: Once = Once::new();
    WATCH.call_once(|| {
        std::thread::spawn(|| {
            loop {
                let began = Instant::now();
                std::thread::sleep(Duration::from_millis(5));
                if began.elapsed() > LATE {
                    LATE_WAKES.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    });
    LATE_WAKES.load(Ordering::Relaxed)
}

#[test]
fn a_failure_of_a_calm_machine_is_a_failure_and_one_of_a_busy_machine_is_tried_again() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let tries = AtomicU64::new(0);
    runtime.block_on(at_most(TRIES, async || {
        // As if the machine had been busy.
        LATE_WAKES.fetch_add(1, Ordering::Relaxed);
        assert!(tries.fetch_add(1, Ordering::Relaxed) == 2, "only the third try is well");
    }));
    assert_eq!(tries.load(Ordering::Relaxed), 3);
    let always = catch_unwind(AssertUnwindSafe(|| runtime.block_on(at_most(TRIES, async || panic!("a fault")))));
    assert!(always.is_err(), "what fails each time fails");
}
