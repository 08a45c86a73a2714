//! Delivery: what arrives, what waits, what is parked, and that nothing arrives twice.

use std::collections::{BTreeMap, VecDeque};
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::{Home, manifest};
use crate::outbox::manifest::RecordingId;
use crate::outbox::push::{
    BackOff, Eagerness, Event, Options, Outcome, PushError, Summary, Until, Verdict, Watcher, run,
};
use crate::outbox::remote::{
    Configured, DeliveryError, Parcel, Policy, Progress, Receipt, ReceiptKind, Remote, Remotes, Retry,
};
use crate::outbox::{Delivery, DeliveryState, Order, Outbox};

/// What a stub does with the next parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Take,
    /// Takes it, and the answer is lost.
    TakeSilently,
    Fail(Option<Duration>),
    Refuse,
    /// Takes it with a byte changed on the way.
    Corrupt,
    /// Says nothing more.
    Hang,
    /// Takes half of it, and says where it can go on.
    Half,
}

/// A remote that remembers.
#[derive(Default)]
pub(super) struct Stub {
    moods: Mutex<VecDeque<Mood>>,
    then: Mutex<Option<Mood>>,
    /// By idempotency key.
    taken: Mutex<BTreeMap<String, Vec<u8>>>,
    /// Keys and attempts, in order.
    pub(super) asked: Mutex<Vec<(String, u32)>>,
    resumed: Mutex<Vec<(String, u64)>>,
}

impl Stub {
    pub(super) fn in_moods(moods: &[Mood]) -> Arc<Self> {
        let stub = Self::default();
        stub.moods.lock().unwrap().extend(moods);
        Arc::new(stub)
    }

    pub(super) fn always(mood: Mood) -> Arc<Self> {
        let stub = Self::default();
        *stub.then.lock().unwrap() = Some(mood);
        Arc::new(stub)
    }

    pub(super) fn taken(&self) -> usize {
        self.taken.lock().unwrap().len()
    }

    pub(super) fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    async fn has_been_asked(&self, times: usize) {
        until("enough attempts", || self.asked() >= times).await;
    }

    async fn take(&self, parcel: &Parcel, progress: &dyn Progress) -> Result<Receipt, DeliveryError> {
        let later = |what: &str, after| DeliveryError { what: what.into(), retry: Retry::Later { after } };
        self.asked.lock().unwrap().push((parcel.key.clone(), parcel.attempt));
        if let Some(resume) = &parcel.resume {
            self.resumed.lock().unwrap().push((resume.token.clone(), resume.offset));
        }
        let next = self.moods.lock().unwrap().pop_front().or(*self.then.lock().unwrap());
        let mood = next.unwrap_or(Mood::Take);
        tokio::task::yield_now().await;
        let mut audio = Vec::new();
        parcel.open().unwrap().read_to_end(&mut audio).unwrap();
        progress.sent(audio.len() as u64);
        match mood {
            Mood::Fail(after) => return Err(later("503 Service Unavailable\u{1b}[31m", after)),
            Mood::Refuse => return Err(DeliveryError { what: "413 Too Large".into(), retry: Retry::Never }),
            Mood::Hang => std::future::pending().await,
            Mood::Half => {
                progress.resume_at("upload-1", 2).await;
                return Err(later("reset", None));
            }
            Mood::Corrupt => audio[0] ^= 1,
            Mood::Take | Mood::TakeSilently => {
                let before = self.taken.lock().unwrap().insert(parcel.key.clone(), audio.clone());
                assert!(before.is_none_or(|before| before == audio), "one key, two recordings");
            }
        }
        if mood == Mood::TakeSilently {
            return Err(later("the connection was closed before the answer", None));
        }
        let sha256 = crate::outbox::spool::hex(&<sha2::Sha256 as sha2::Digest>::digest(&audio));
        Ok(Receipt { id: "17".into(), sha256: Some(sha256), size: Some(audio.len() as u64), ..Receipt::default() })
    }
}

impl Remote for Stub {
    fn deliver<'a>(
        &'a self,
        parcel: &'a Parcel,
        progress: &'a dyn Progress,
    ) -> BoxFuture<'a, Result<Receipt, DeliveryError>> {
        Box::pin(self.take(parcel, progress))
    }

    fn place(&self) -> String {
        "https://crm.example/api".into()
    }
}

/// Lets the others go on until something is so. A minute of the real clock is too long: time that is paused passes only where everybody
/// waits.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = std::time::Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "waited a minute for {what}");
        tokio::task::yield_now().await;
    }
}

pub(super) fn remotes(all: &[(&str, &Arc<Stub>)]) -> Remotes {
    let policy = Policy { give_up_attempts: 3, give_up_after: Duration::ZERO, ..Policy::default() };
    let configured = |stub: &Arc<Stub>| Configured { remote: Arc::<Stub>::clone(stub), policy: policy.clone() };
    all.iter().map(|(name, stub)| ((*name).to_owned(), configured(stub))).collect()
}

pub(super) fn quick() -> Options {
    let back_off = BackOff { first: Duration::from_millis(1), most: Duration::from_millis(8) };
    Options { back_off, until: Until::Done, ..Options::default() }
}

/// What has failed is not due again in this test, however busy the machine is.
pub(super) fn slow() -> Options {
    let minutes = Duration::from_secs(600);
    Options { back_off: BackOff { first: minutes, most: minutes }, until: Until::Idle, ..Options::default() }
}

pub(super) async fn push(home: &Home, stub: &Arc<Stub>, options: &Options) -> Summary {
    run(&home.outbox, &remotes(&[("crm", stub)]), options, &()).await.unwrap()
}

pub(super) fn with(recordings: usize) -> (Home, Vec<RecordingId>) {
    let home = Home::new();
    home.outbox.set_remotes(&["crm"]).unwrap();
    let ids = (0..recordings).map(|n| home.finished("n.wav", format!("audio {n}").as_bytes()).id).collect();
    (home, ids)
}

pub(super) fn state(outbox: &Outbox, id: RecordingId) -> Delivery {
    outbox.deliveries(id).unwrap().into_iter().next().unwrap()
}

#[tokio::test]
async fn at_most_eight_are_on_the_way() {
    let (home, _) = with(12);
    let stub = Stub::always(Mood::Hang);
    let all_asked = async {
        stub.has_been_asked(8).await;
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
    };
    let options = slow();
    tokio::select! {
        summary = push(&home, &stub, &options) => panic!("{summary:?}"),
        () = all_asked => {}
    }
    assert_eq!(stub.asked(), 8);
}

#[tokio::test]
async fn everything_arrives_and_nothing_is_deleted() {
    let (home, ids) = with(30);
    let stub = Stub::in_moods(&[]);
    let summary = push(&home, &stub, &slow()).await;
    assert_eq!((summary.delivered, summary.verdict(), summary.items.len()), (30, Verdict::Done, 30));
    assert_eq!(stub.taken(), 30);
    for id in ids {
        let DeliveryState::Delivered(receipt) = state(&home.outbox, id).state else { panic!("{id}") };
        assert_eq!(receipt.id, "17");
    }
    assert!(home.spool().join("n.wav").exists(), "nothing is deleted by push");
    assert_eq!(push(&home, &stub, &slow()).await.items, []);
    assert_eq!(stub.asked(), 30);
}

#[tokio::test]
async fn r4_an_answer_that_was_lost_sends_the_same_key_again_and_is_there_once() {
    let (home, ids) = with(20);
    let stub = Stub::in_moods(&[Mood::TakeSilently; 20]);
    let summary = push(&home, &stub, &quick()).await;
    assert_eq!((summary.delivered, summary.verdict()), (20, Verdict::Done));
    assert_eq!((stub.taken(), stub.asked()), (20, 40));
    assert!(ids.iter().all(|id| stub.taken.lock().unwrap().contains_key(&id.to_string())));
}

#[tokio::test]
async fn a_failure_waits_its_time_on_the_disk_and_tells_everything() {
    let (home, ids) = with(1);
    let stub = Stub::in_moods(&[Mood::Fail(None)]);
    let summary = push(&home, &stub, &slow()).await;
    assert_eq!((summary.waiting, summary.verdict()), (1, Verdict::Waiting));
    let Outcome::Waiting { error, .. } = &summary.items[0].1 else { panic!("{summary:?}") };
    for part in [&ids[0].to_string(), "unknown", "n.wav", "crm", "https://crm.example/api", "attempt 1", "503"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert!(!error.contains('\u{1b}'), "{error}");
    // Another run, another process: it is not due.
    let again = run(&home.other(), &remotes(&[("crm", &stub)]), &slow(), &()).await.unwrap();
    assert_eq!((again.waiting, again.items.len(), stub.asked()), (1, 0, 1));
    assert!(again.next.is_some_and(|next| next <= slow().back_off.first), "it knows when: {:?}", again.next);
    assert_eq!(state(&home.outbox, ids[0]).error.as_deref(), Some(error.as_str()));
    let now = Options { now: Eagerness::Now, ..slow() };
    assert_eq!(push(&home, &stub, &now).await.verdict(), Verdict::Done);
    assert_eq!(stub.asked.lock().unwrap()[1].1, 2, "the attempts go on counting");
}

#[tokio::test]
async fn what_a_remote_asks_to_wait_is_waited_for() {
    let (home, ids) = with(1);
    let stub = Stub::in_moods(&[Mood::Fail(Some(Duration::from_secs(1800)))]);
    let summary = push(&home, &stub, &slow()).await;
    assert!(matches!(summary.items[0].1, Outcome::Waiting { after, .. } if after == Duration::from_secs(1800)));
    let due = state(&home.outbox, ids[0]).due.unwrap();
    assert!((due - jiff::Timestamp::now()).total(jiff::Unit::Second).unwrap() > 1700.0);
}

#[tokio::test]
async fn r12_a_clock_that_was_put_back_keeps_nothing_waiting() {
    let (home, ids) = with(1);
    let stub = Stub::in_moods(&[Mood::Fail(None)]);
    push(&home, &stub, &slow()).await;
    // As if it had failed while the clock was a day ahead.
    let sql = "UPDATE deliveries SET failed_ms = failed_ms + 86400000, due_ms = due_ms + 86400000";
    rusqlite::Connection::open(home.spool().join("outbox.sqlite3")).unwrap().execute(sql, ()).unwrap();
    assert_eq!(push(&home, &stub, &slow()).await.verdict(), Verdict::Done);
    assert!(matches!(state(&home.outbox, ids[0]).state, DeliveryState::Delivered(_)));
}

#[tokio::test]
async fn what_is_refused_or_fails_too_often_is_parked_until_somebody_asks() {
    let (home, ids) = with(2);
    let stub = Stub::in_moods(&[Mood::Refuse, Mood::Fail(None), Mood::Fail(None), Mood::Fail(None)]);
    let summary = push(&home, &stub, &Options { uploads: 1, ..quick() }).await;
    assert_eq!((summary.parked, summary.waiting, summary.verdict()), (2, 0, Verdict::Parked));
    assert_eq!(state(&home.outbox, ids[0]).state, DeliveryState::Parked("refused".into()));
    assert_eq!(state(&home.outbox, ids[1]).state, DeliveryState::Parked("given up".into()));
    assert_eq!(push(&home, &stub, &quick()).await.items, []);
    home.outbox.retry(ids[0]).unwrap();
    assert_eq!(push(&home, &stub, &quick()).await.verdict(), Verdict::Parked);
    let now = Options { now: Eagerness::Now, ..quick() };
    assert_eq!(push(&home, &stub, &now).await.verdict(), Verdict::Done);
    assert_eq!(stub.taken(), 2);
}

#[tokio::test]
async fn a_recording_that_vanished_or_changed_is_parked_and_never_sent() {
    let (home, _) = with(0);
    let names = ["gone", "longer", "flipped", "linked", "fine"];
    let ids: Vec<_> = names.iter().map(|name| home.finished(&format!("{name}.wav"), b"audio").id).collect();
    std::fs::remove_file(home.spool().join("gone.wav")).unwrap();
    home.write("longer.wav", b"audio!");
    home.write("flipped.wav", b"audip");
    std::fs::rename(home.spool().join("linked.wav"), home.spool().join("elsewhere.wav")).unwrap();
    std::os::unix::fs::symlink("elsewhere.wav", home.spool().join("linked.wav")).unwrap();
    let stub = Stub::in_moods(&[]);
    let summary = push(&home, &stub, &quick()).await;
    assert_eq!((summary.delivered, summary.parked, stub.asked()), (1, 4, 1));
    let reasons: Vec<_> = ids.iter().map(|id| state(&home.outbox, *id).state).collect();
    let parked = |reason: &str| DeliveryState::Parked(reason.into());
    assert_eq!(reasons[..4], [parked("vanished"), parked("changed"), parked("changed"), parked("changed")]);
}

#[tokio::test]
async fn a_receipt_for_something_else_is_none_and_it_is_sent_again() {
    let (home, ids) = with(1);
    let stub = Stub::in_moods(&[Mood::Corrupt, Mood::Corrupt]);
    let summary = push(&home, &stub, &quick()).await;
    assert_eq!((summary.delivered, stub.asked()), (1, 3));
    assert!(matches!(state(&home.outbox, ids[0]).state, DeliveryState::Delivered(_)));
}

#[tokio::test]
async fn an_upload_goes_on_where_it_was_in_another_process_too() {
    let (home, _) = with(1);
    let stub = Stub::in_moods(&[Mood::Half]);
    push(&home, &stub, &slow()).await;
    let now = Options { now: Eagerness::Now, ..slow() };
    let done = run(&home.other(), &remotes(&[("crm", &stub)]), &now, &()).await.unwrap();
    assert_eq!(done.verdict(), Verdict::Done);
    assert_eq!(*stub.resumed.lock().unwrap(), [("upload-1".to_owned(), 2)]);
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_stalls_fails_and_a_run_ends_in_its_time() {
    let (home, ids) = with(1);
    let stub = Stub::always(Mood::Hang);
    let stalls = Options { stall: Duration::from_millis(20), ..slow() };
    let summary = push(&home, &stub, &stalls).await;
    assert!(matches!(&summary.items[0].1, Outcome::Waiting { error, .. } if error.contains("nothing moved")));
    let short = Options { max_time: Some(Duration::from_millis(500)), now: Eagerness::Now, ..slow() };
    let summary = push(&home, &stub, &short).await;
    assert_eq!((&summary.items[0].1, summary.waiting), (&Outcome::CutShort, 1));
    let delivery = state(&home.outbox, ids[0]);
    assert_eq!((delivery.state, delivery.attempts), (DeliveryState::Pending, 1), "it is no failure of the remote's");
}

#[tokio::test]
async fn a_run_that_is_killed_leaves_what_it_sent_to_the_next() {
    let ((home, _), hanging, options) = (with(3), Stub::always(Mood::Hang), slow());
    tokio::select! {
        summary = push(&home, &hanging, &options) => panic!("{summary:?}"),
        () = hanging.has_been_asked(3) => {}
    }
    let stub = Stub::in_moods(&[]);
    assert_eq!(push(&home, &stub, &slow()).await.delivered, 3);
}

#[tokio::test(start_paused = true)]
async fn two_runs_at_once_are_one_and_one_that_says_so() {
    let (home, _) = with(3);
    let hanging = Stub::always(Mood::Hang);
    let stub = Stub::in_moods(&[]);
    let first = Options { max_time: Some(Duration::from_millis(300)), ..slow() };
    let other = home.other();
    let second = async {
        hanging.has_been_asked(1).await;
        let all = remotes(&[("crm", &stub)]);
        let refused = run(&other, &all, &slow(), &()).await;
        assert!(matches!(refused, Err(PushError::Locked { .. })), "{refused:?}");
        let patient = Options { wait_lock: Duration::from_secs(60), ..slow() };
        run(&other, &all, &patient, &()).await.unwrap().delivered
    };
    let (_, delivered) = tokio::join!(push(&home, &hanging, &first), second);
    assert_eq!(delivered, 3);
}

#[tokio::test]
async fn runs_are_limited_by_ids_remotes_age_number_and_order() {
    let home = Home::new();
    home.outbox.set_remotes(&["crm", "copy"]).unwrap();
    let ids: Vec<_> = (0..4).map(|n| home.finished("n.wav", format!("audio {n}").as_bytes()).id).collect();
    let (crm, copy, late) = (Stub::in_moods(&[]), Stub::in_moods(&[]), Stub::in_moods(&[]));
    let all = remotes(&[("crm", &crm), ("copy", &copy), ("late", &late)]);
    let of = |options: Options| {
        let (outbox, all) = (home.outbox.clone(), all.clone());
        async move { run(&outbox, &all, &options, &()).await }
    };
    // The recordings began long ago.
    let young = Options { max_age: Some(Duration::from_secs(60)), ..slow() };
    let summary = of(young.clone()).await.unwrap();
    assert_eq!((summary.items.len(), summary.waiting), (0, 8));
    assert_eq!(of(Options { until: Until::Done, ..young }).await.unwrap().items.len(), 0);
    let one = Options { to: vec!["crm".into()], limit: Some(1), order: Order::Newest, ..slow() };
    let summary = of(one).await.unwrap();
    assert_eq!((summary.delivered, summary.waiting, summary.items[0].0.id), (1, 3, ids[3]));
    let one = Options { to: vec!["copy".into()], ids: vec![ids[1]], ..slow() };
    assert_eq!(of(one).await.unwrap().items.len(), 1);
    // One that was configured later.
    let later = Options { to: vec!["late".into()], ids: vec![ids[0]], ..slow() };
    assert_eq!(of(later).await.unwrap().verdict(), Verdict::Done);
    assert_eq!((crm.taken(), copy.taken(), late.taken()), (1, 1, 1));
    let error = of(Options { to: vec!["crn".into()], ..slow() }).await.unwrap_err().to_string();
    assert!(error.contains("`crn`") && error.contains("crm"), "{error}");
}

#[tokio::test]
async fn what_waits_for_a_remote_that_is_gone_is_parked_until_it_is_back() {
    let (home, ids) = with(1);
    let stub = Stub::in_moods(&[]);
    home.outbox.set_remotes(&["other"]).unwrap();
    let summary = run(&home.outbox, &remotes(&[("other", &stub)]), &slow(), &()).await.unwrap();
    assert_eq!(summary.verdict(), Verdict::Parked);
    assert_eq!(state(&home.outbox, ids[0]).state, DeliveryState::Parked("no remote".into()));
    home.outbox.set_remotes(&["crm"]).unwrap();
    assert_eq!(push(&home, &stub, &slow()).await.verdict(), Verdict::Done);
}

#[tokio::test]
async fn a_run_that_stays_sends_what_is_finished_meanwhile() {
    let (home, _) = with(1);
    let stub = Stub::in_moods(&[]);
    let stays = Options { until: Until::Stopped, ..quick() };
    let more = async {
        until("the first", || stub.taken() == 1).await;
        home.finished("late.wav", b"late");
        until("what was finished meanwhile", || stub.taken() == 2).await;
    };
    tokio::select! {
        summary = push(&home, &stub, &stays) => panic!("{summary:?}"),
        () = more => {}
    }
}

#[tokio::test]
async fn every_file_of_a_rolled_recording_arrives_under_a_key_of_its_own() {
    let home = Home::new();
    home.outbox.set_remotes(&["crm"]).unwrap();
    let mut begun = home.outbox.begin(&manifest("r.wav")).unwrap();
    home.write("r.wav", b"one");
    home.write("r.part2.wav", b"two");
    let part = |file: &str| crate::outbox::manifest::Part { file: file.into(), ..Default::default() };
    begun.parts = vec![part("r.wav"), part("r.part2.wav")];
    let done = home.outbox.finish(begun).unwrap();
    assert_eq!(done.parts[1].bytes, 3);
    let stub = Stub::in_moods(&[]);
    assert_eq!(push(&home, &stub, &slow()).await.delivered, 2);
    let taken = stub.taken.lock().unwrap().clone();
    let expected = [(done.id.to_string(), b"one".to_vec()), (format!("{}.2", done.id), b"two".to_vec())];
    assert_eq!(taken.into_iter().collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn where_a_yes_is_enough_the_receipt_may_be_empty() {
    struct Yes;
    impl Remote for Yes {
        fn deliver<'a>(
            &'a self,
            _parcel: &'a Parcel,
            _progress: &'a dyn Progress,
        ) -> BoxFuture<'a, Result<Receipt, DeliveryError>> {
            Box::pin(async { Ok(Receipt::default()) })
        }
        fn place(&self) -> String {
            "here".into()
        }
    }
    let (home, _) = with(1);
    for (receipt, expected) in [(ReceiptKind::Full, Verdict::Waiting), (ReceiptKind::Status, Verdict::Done)] {
        let configured = Configured { remote: Arc::new(Yes), policy: Policy { receipt, ..Policy::default() } };
        let all = Remotes::from([("crm".to_owned(), configured)]);
        let now = Options { now: Eagerness::Now, ..slow() };
        assert_eq!(run(&home.outbox, &all, &now, &()).await.unwrap().verdict(), expected);
    }
}

#[tokio::test]
async fn a_watcher_sees_every_attempt_begin_move_and_end() {
    #[derive(Default)]
    struct Seen(Mutex<Vec<String>>);
    impl Watcher for Seen {
        fn event(&self, event: &Event<'_>) {
            let text = match event {
                Event::Started(item) => format!("started {}", item.attempt),
                Event::Sent(_, bytes) => format!("sent {bytes}"),
                Event::Ended(_, Outcome::Delivered) => "delivered".into(),
                Event::Ended(_, outcome) => format!("{outcome:?}").chars().take(7).collect(),
            };
            self.0.lock().unwrap().push(text);
        }
    }
    let (home, _) = with(1);
    let stub = Stub::in_moods(&[Mood::Fail(None)]);
    let seen = Seen::default();
    run(&home.outbox, &remotes(&[("crm", &stub)]), &quick(), &seen).await.unwrap();
    let expected = ["started 1", "sent 7", "Waiting", "started 2", "sent 7", "delivered"];
    assert_eq!(*seen.0.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_run_with_jitter_begins_at_a_time_by_chance() {
    // There is nothing to send: an upload would wait for those of other tests, and paused time passes meanwhile.
    let (home, _) = with(0);
    let (hour, mut begins) = (Duration::from_secs(3_600), Vec::new());
    for _ in 0..4 {
        let (stub, began) = (Stub::in_moods(&[]), tokio::time::Instant::now());
        push(&home, &stub, &Options { jitter: hour, ..slow() }).await;
        begins.push(began.elapsed());
    }
    assert!(begins.iter().all(|begin| *begin <= hour + Duration::from_secs(1)), "{begins:?}");
    assert!(begins.iter().any(|begin| begin.abs_diff(begins[0]) > Duration::from_secs(1)), "{begins:?}");
}
