//! Tests of sound on a machine that may be busy with something else: phones, server and recorder share its processors, and one that gets
//! no time for a moment stutters or is late, as in life. Such a moment is noticed here, and only then is a test that failed done again.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, Once};
use std::time::{Duration, Instant};

use futures_util::FutureExt;

/// A thread that wakes up so late got no time: a phone or a server whose packets are so late may be heard to stutter.
const LATE: Duration = Duration::from_millis(25);
/// So long afterwards it may still be heard: buffers that have grown become shorter again.
const AFTERMATH: Duration = Duration::from_secs(30);
/// How often a test is done at most. `TRIES=1` in the environment shows each failure, to look for faults under load.
const TRIES: usize = 10;

static LAST_LATE: Mutex<Option<Instant>> = Mutex::new(None);

/// Does a test, and again if it fails while the machine was busy; where it was not, and after the last try, a failure is one.
pub(crate) async fn calmly(test: impl AsyncFn()) {
    let tries = std::env::var("TRIES").ok().and_then(|tries| tries.parse().ok());
    watch();
    at_most(tries.unwrap_or(TRIES), was_busy_in, test).await;
}

async fn at_most(tries: usize, was_busy_in: impl Fn(Instant) -> bool, test: impl AsyncFn()) {
    for _ in 1..tries {
        let began = Instant::now();
        match AssertUnwindSafe(test()).catch_unwind().await {
            Ok(()) => return,
            Err(_) if was_busy_in(began) => {}
            Err(panic) => resume_unwind(panic),
        }
    }
    test().await;
}

/// Notes from now on when a thread that only sleeps for a moment wakes up late.
fn watch() {
    static WATCH: Once = Once::new();
    WATCH.call_once(|| {
        std::thread::spawn(|| {
            loop {
                let began = Instant::now();
                std::thread::sleep(Duration::from_millis(5));
                if began.elapsed() > LATE {
                    *LAST_LATE.lock().unwrap() = Some(Instant::now());
                }
            }
        });
    });
}

/// Whether the machine was busy, or had just been, in a test that began then.
fn was_busy_in(began: Instant) -> bool {
    LAST_LATE.lock().unwrap().is_some_and(|late| late + AFTERMATH > began)
}

#[test]
fn a_failure_of_a_calm_machine_is_a_failure_and_one_of_a_busy_machine_is_tried_again() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    // How often a test is done that is well at that try, or that ends in failure.
    let tries = |was_busy: bool, well_at: usize| {
        let tries = Cell::new(0);
        let test = async || {
            tries.set(tries.get() + 1);
            assert!(tries.get() == well_at, "it is well at try {well_at}");
        };
        let ended = catch_unwind(AssertUnwindSafe(|| runtime.block_on(at_most(TRIES, |_| was_busy, test))));
        (tries.get(), ended.is_ok())
    };
    assert_eq!([tries(false, 1), tries(true, 1)], [(1, true); 2]);
    assert_eq!([tries(false, 3), tries(true, 3)], [(1, false), (3, true)]);
    assert_eq!(tries(true, TRIES + 1), (TRIES, false), "what fails each time fails");
}
