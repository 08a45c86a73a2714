//! Many recordings through a network and a CRM that fail in every way: all arrive, none twice, each as it was.
//!
//! A short form runs always; the whole of it, by one request for each recording and by resumable uploads:
//!
//! ```sh
//! CHAOS=10000 cargo test --test integration delivery_chaos -- --nocapture
//! CHAOS=10000 cargo test --test integration r5_what_is_sent_twice -- --nocapture
//! ```

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use wirechief::config;
use wirechief::config::{Limits, ServeSettings};
use wirechief::outbox::push::{BackOff, Options, Outcome, PushError, Summary, Until, Verdict, run};
use wirechief::outbox::remote::{Lookup, Remotes, SystemLookup, from_settings};
use wirechief::outbox::verify::{Depth, Scope};
use wirechief::outbox::{DeliveryState, Filter, Manifest, Outbox, RecordingId, Which};
use wirechief::receiver::{Receiver, Setup};

use crate::harness::{Chaos, Fault, StubCrm, Weather};

/// Requests that go wrong at the CRM itself, of a hundred.
const AT_THE_CRM: [(u64, Fault); 8] = [
    (4, Fault::Status(429, Some("0"))),
    (4, Fault::Status(500, None)),
    (4, Fault::Status(503, Some("0"))),
    (2, Fault::CommitThenDrop),
    (1, Fault::WrongHash),
    (1, Fault::WrongSize),
    (1, Fault::NoReceipt),
    (1, Fault::ResetHalfWay),
];

/// Xorshift64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % end
    }

    fn fault(&mut self) -> Fault {
        let mut roll = self.below(100);
        for (share, fault) in AT_THE_CRM {
            if roll < share {
                return fault;
            }
            roll -= share;
        }
        Fault::Good
    }
}

/// Less than a second of sound, no two alike.
const SHORT: (u64, u64) = (500, 2_000);

/// Sound of as many frames, no two alike.
fn wav(chance: &mut Chance, (least, most): (u64, u64)) -> Vec<u8> {
    let frames = least + chance.below(most - least);
    let bytes = u32::try_from(frames * 4).unwrap();
    let mut wav = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x02\0\x40\x1f\0\0\0\x7d\0\0\x04\0\x10\0data".to_vec();
    wav.extend(bytes.to_le_bytes());
    wav.extend((0..bytes).map(|_| chance.below(256) as u8));
    wav
}

fn record(outbox: &Outbox, chance: &mut Chance, frames: (u64, u64)) -> Manifest {
    let begun = Manifest {
        from: "1001".into(),
        to: "4178575309".into(),
        ..Manifest::new("day/call.wav", jiff::Timestamp::now())
    };
    let mut begun = outbox.begin(&begun).unwrap();
    let audio = wav(chance, frames);
    begun.audio.frames = (audio.len() as u64 - 44) / 4;
    std::fs::write(outbox.spool().path_of(&begun.file).unwrap(), audio).unwrap();
    outbox.finish(begun).unwrap()
}

fn remotes(folder: &Path, lines: &str) -> Remotes {
    let main = folder.join("pbx.toml");
    std::fs::write(&main, format!("[remotes.crm]\n{lines}\nconnect_timeout = '1s'\nidle_timeout = '1s'\n")).unwrap();
    let config = config::load(&[main], &|path: &Path| std::fs::read_to_string(path)).unwrap();
    let lookup: Arc<dyn Lookup> = Arc::new(SystemLookup);
    Remotes::from([("crm".to_owned(), from_settings(&config.remotes["crm"], &lookup).unwrap())])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delivery_chaos_leaves_every_recording_in_the_crm_once() {
    let count: usize = std::env::var("CHAOS").ok().and_then(|text| text.parse().ok()).unwrap_or(150);
    let home = crate::harness::folder();
    let crm = StubCrm::start().await;
    let mut chance = Chance(0x6a09_e667_f3bc_c908);
    crm.fail((0..count * 4).map(|_| chance.fault()));
    let weather = Weather { resets: 30, damages: 5, stalls: 1, refusals: 0, within: 8_000 };
    let chaos = Chaos::start(crm.address, weather, 11).await;
    let remotes = remotes(home.path(), &format!("url = '{}'", chaos.url("/api/recordings")));
    let outbox = Outbox::open(&home.path().join("spool")).unwrap();
    outbox.set_remotes(&["crm"]).unwrap();
    let began = Instant::now();
    let all: Vec<Manifest> = (0..count).map(|_| record(&outbox, &mut chance, SHORT)).collect();
    let recorded = began.elapsed();
    let began = Instant::now();
    let Told { runs, cut, failed } = push_all(&outbox, &remotes, count).await;
    let sent: u64 = all.iter().map(|manifest| manifest.audio.bytes).sum();
    println!(
        "{count} recordings ({sent} bytes): recorded in {recorded:.1?}, delivered in {:.1?}, {runs} runs, {cut} uploads cut short, \
         {failed} told again; {} connections, {} bytes of bodies",
        began.elapsed(),
        crm.connections(),
        crm.body_bytes()
    );
    check(&outbox, &crm, &all);
}

/// What came of the runs.
struct Told {
    runs: u32,
    cut: usize,
    failed: usize,
}

/// After which a run is ended.
const TIME: Duration = Duration::from_secs(2);

/// As cron would: one run after another, each ended in the middle of what it does.
async fn push_all(outbox: &Outbox, remotes: &Remotes, count: usize) -> Told {
    let back_off = BackOff { first: Duration::from_millis(5), most: Duration::from_millis(100) };
    let options = Options { back_off, max_time: Some(TIME), until: Until::Done, ..Options::default() };
    let mut told = Told { runs: 0, cut: 0, failed: 0 };
    let began = Instant::now();
    loop {
        assert!(began.elapsed() < Duration::from_secs(600 + count as u64), "it does not end");
        let (one, other) = (run(outbox, remotes, &options, &()), run(outbox, remotes, &options, &()));
        let both_began = Instant::now();
        let (one, other) = tokio::join!(one, other);
        let summary = match (one, other) {
            (Ok(summary), Err(PushError::Locked { .. })) | (Err(PushError::Locked { .. }), Ok(summary)) => summary,
            // one had nothing left to do, and ended before the other looked
            (Ok(one), Ok(other)) if one.items.is_empty() || other.items.is_empty() => {
                if one.items.is_empty() {
                    other
                } else {
                    one
                }
            }
            // the other did not look before the time of the first was over
            (Ok(mut one), Ok(other)) if both_began.elapsed() >= TIME => {
                one.items.extend(other.items);
                Summary { items: one.items, ..other }
            }
            // the lock is still held by a program that another test has just begun to start, with all that was open then
            (Err(PushError::Locked { .. }), Err(PushError::Locked { .. })) => continue,
            both => panic!("two runs at once: {both:?}"),
        };
        told.runs += 1;
        told.cut += summary.items.iter().filter(|(_, outcome)| *outcome == Outcome::CutShort).count();
        told.failed += summary.items.iter().filter(|(item, _)| item.attempt > 1).count();
        match summary.verdict() {
            Verdict::Done => return told,
            // it waits by itself for what is due next, until its time is over
            Verdict::Waiting => {}
            Verdict::Parked => panic!("{:?}", summary.items.last()),
        }
    }
}

/// A server of recordings in this process, without a login for readers.
async fn receiver(folder: &Path) -> (SocketAddr, Outbox) {
    let token = folder.join("token");
    std::fs::write(&token, "the-token\n").unwrap();
    std::fs::set_permissions(&token, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let spool = folder.join("there");
    let setup = Setup {
        settings: ServeSettings { token_file: Some(token), ..ServeSettings::default() },
        state: folder.to_owned(),
        spool: spool.clone(),
        groups: Default::default(),
        limits: Limits::default(),
        told: Default::default(),
    };
    let receiver = Receiver::open(setup).unwrap();
    tokio::spawn(receiver.serve(listener, std::future::pending()));
    (address, Outbox::open(&spool).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r5_what_is_sent_twice_by_resumable_uploads_is_a_fifth_at_most() {
    let count: usize = std::env::var("CHAOS").ok().and_then(|text| text.parse().ok()).unwrap_or(80);
    let home = crate::harness::folder();
    let (address, there) = receiver(home.path()).await;
    let mut chance = Chance(0xbb67_ae85_84ca_a73b);
    let weather = Weather { resets: 30, damages: 5, stalls: 1, refusals: 12, within: 60_000 };
    let chaos = Chaos::start(address, weather, 12).await;
    let url = chaos.url("/api/uploads");
    let remotes = remotes(home.path(), &format!("kind = 'tus'\nurl = '{url}'\ntoken_file = 'token'"));
    let outbox = Outbox::open(&home.path().join("spool")).unwrap();
    outbox.set_remotes(&["crm"]).unwrap();
    let all: Vec<Manifest> = (0..count).map(|_| record(&outbox, &mut chance, (4_000, 12_000))).collect();
    let began = Instant::now();
    let Told { runs, cut, failed } = push_all(&outbox, &remotes, count).await;
    let sent: u64 = all.iter().map(|manifest| manifest.audio.bytes).sum();
    let waste = chaos.body_bytes() as f64 / sent as f64 - 1.0;
    println!(
        "{count} recordings ({sent} bytes) in {:.1?}, {runs} runs, {cut} uploads cut short, {failed} gone on with; {} bytes of bodies \
         on the line: {:.1} % for nothing",
        began.elapsed(),
        chaos.body_bytes(),
        waste * 100.0
    );
    assert!((0.0..=0.2).contains(&waste), "{:.1} % of the bytes were sent for nothing", waste * 100.0);
    assert_eq!(there.count(&Filter::default()).unwrap(), all.len() as u64);
    for manifest in &all {
        let arrived = there.get(manifest.id).unwrap().unwrap();
        assert_eq!(arrived.audio.sha256, manifest.audio.sha256);
        let delivery = outbox.deliveries(manifest.id).unwrap().remove(0);
        assert!(matches!(delivery.state, DeliveryState::Delivered(_)), "{delivery:?}");
    }
    let left = std::fs::read_dir(there.spool().path().join(".uploads")).unwrap().count();
    assert_eq!(left, 0, "no upload is left over");
}

/// Nothing is missing, nothing is there twice, and both sides say so.
fn check(outbox: &Outbox, crm: &StubCrm, all: &[Manifest]) {
    let stored = crm.stored();
    assert_eq!(stored.len(), all.len());
    for manifest in all {
        let key = manifest.id.to_string();
        let there = &stored[&key];
        assert_eq!(there.sha256, manifest.audio.sha256);
        assert_eq!(there.manifest["id"], key);
        let delivery = outbox.deliveries(manifest.id).unwrap().remove(0);
        let DeliveryState::Delivered(receipt) = delivery.state else { panic!("{delivery:?}") };
        assert_eq!((receipt.id, receipt.sha256.as_ref()), (format!("crm-{key}"), Some(&manifest.audio.sha256)));
    }
    let ids: std::collections::BTreeSet<RecordingId> = all.iter().map(|manifest| manifest.id).collect();
    assert_eq!(ids.len(), all.len());
    assert_eq!(outbox.count(&Filter { which: Which::Unsent, ..Filter::default() }).unwrap(), 0);
    let scope = Scope { since: None, depth: Depth::Deep, calls: None, rule: &|_| None };
    let verified = outbox.verify(&scope, &mut |finding| panic!("{finding:?}")).unwrap();
    assert_eq!(verified.recordings, all.len() as u64);
}
