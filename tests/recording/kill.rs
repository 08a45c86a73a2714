//! Recordings under kill -9: whatever was being recorded is there after the next start, plays, lacks less than half a second of its
//! end, and arrives once. The server is a process of its own, with phones of this one on it; the short form kills a few times. The
//! long one (minutes):
//!
//! ```sh
//! RECORD_KILLS=100 cargo test --test integration recording::kill -- --nocapture
//! ```

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::http::HeaderMap;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::time::{Duration, Instant, interval};
use wirechief::control::client::Client;
use wirechief::control::protocol::{CallInfo, Status, method};
use wirechief::outbox::{DeliveryState, Manifest, Outbox, State};

use crate::harness::{PATIENCE, Profile, Tone};
use crate::process::house::{House, Running, settings};

/// Calls in each round.
const CALLS: u64 = 10;
/// The longest end of a recording that may be lost: of one in a hundred, and of any.
const MOST_MS: [i64; 2] = [500, 1_000];

fn kills() -> u64 {
    std::env::var("RECORD_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(2)
}

/// A number that differs from round to round, and is the same in every run.
fn dice(round: u64) -> u64 {
    round.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40
}

/// A page that takes recordings by PUT: how often each came whole, by its idempotency key.
#[derive(Clone, Default)]
struct Crm(Arc<Mutex<BTreeMap<String, (String, u64)>>>);

impl Crm {
    async fn opens(&self) -> SocketAddr {
        let taken = self.clone();
        let page =
            axum::routing::any(move |headers: HeaderMap, body: Bytes| async move { taken.takes(&headers, &body) });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let app = axum::Router::new().fallback(page).layer(axum::extract::DefaultBodyLimit::disable());
        tokio::spawn(async move { axum::serve(listener, app).await });
        address
    }

    fn takes(&self, headers: &HeaderMap, body: &Bytes) -> String {
        let key = headers["idempotency-key"].to_str().expect("a key").to_owned();
        let sha256: String = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
        let mut taken = self.0.lock().unwrap();
        let times = taken.entry(key.clone()).or_insert_with(|| (sha256.clone(), 0));
        assert_eq!(times.0, sha256, "the same key for something else");
        times.1 += 1;
        serde_json::json!({"id": key, "sha256": sha256, "size": body.len()}).to_string()
    }
}

/// What was recorded when the server was killed.
struct Cut {
    call: String,
    killed: Timestamp,
}

async fn client(house: &House) -> Client {
    Client::connect(&house.socket()).await.expect("the control socket")
}

/// Lets calls be recorded for a time by chance, and kills the server.
async fn round(house: &House, number: u64) -> Vec<Cut> {
    let mut server = house.opens().await;
    let mut client = client(house).await;
    let status: Status = client.request(method::STATUS, &()).await.expect("a status");
    let address = status.sip[0].strip_prefix("udp://").and_then(|address| address.parse().ok()).expect("an address");
    let mut calls = Vec::new();
    for at in 0..CALLS {
        let phone = Profile::new(&format!("guest{at}"), address).plug_in().await;
        let mut call = phone.invite("echo").await;
        call.expects([200]).await.ack().await;
        call.says(Tone::A).await;
        calls.push((call, phone));
    }
    let (end, mut beat) = (Instant::now() + PATIENCE, interval(Duration::from_millis(20)));
    let live = loop {
        beat.tick().await;
        let live: Vec<CallInfo> = client.list(method::CALLS, &()).await.expect("the calls");
        if live.len() as u64 == CALLS && live.iter().all(|call| call.recorded) {
            break live;
        }
        assert!(Instant::now() < end, "not all are recorded: {live:?}");
    };
    // 0.5 to 2 s in packets of 20 ms; a call in ten ends just before.
    let packets = 25 + dice(number) % 75;
    calls[0].0.dialog.media.receives("a phone", packets as usize).await;
    let mut cuts: Vec<Cut> = live.into_iter().map(|call| Cut { call: call.uuid, killed: Timestamp::now() }).collect();
    if dice(number).is_multiple_of(2) {
        calls[9].0.hangs_up().await;
    }
    let killed = Timestamp::now();
    server.child.kill().await.expect("it runs");
    cuts.iter_mut().for_each(|cut| cut.killed = killed);
    cuts
}

/// Whether sox plays a file to its end.
fn plays(file: &std::path::Path) -> bool {
    let sox = Command::new("sox").arg(file).args(["-n", "stat"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    sox.is_ok_and(|status| status.success())
}

#[tokio::test]
async fn every_recording_of_a_killed_server_is_there_plays_and_arrives_once() {
    let crm = Crm::default();
    let page = crm.opens().await;
    let house = House::new();
    let keys = format!(
        "[guests]\ncontext = \"internal\"\n[recording]\nrecord = \"always\"\nfree_space_floor = \"0\"\n\
         [remotes.crm]\nurl = \"http://{page}/calls\"\nmethod = \"PUT\"\n"
    );
    house.writes("pbx.toml", &settings("127.0.0.1:0", &keys));
    let spool = house.path("wirechief/recordings");
    let mut late = Vec::new();
    let server = loop {
        let mut cuts = Vec::new();
        for number in 0..kills() {
            cuts.extend(round(&house, number).await);
        }
        let mut server = house.opens().await;
        let lost_ms = lost_ms(&spool, &cuts);
        let is_long = lost_ms.len() >= 100;
        if lost_ms[lost_ms.len() - 1] < MOST_MS[1] && (!is_long || at(&lost_ms, 99) < MOST_MS[0]) {
            break server;
        }
        // To a recorder that gets no time from a busy machine that can happen, but not time and again.
        late.push(lost_ms);
        assert!(!is_long && late.len() < 5, "{late:?}");
        server.child.kill().await.expect("it runs");
    };
    let outbox = Outbox::open(&spool).expect("the outbox");
    arrives(&crm, &outbox, (&manifests(&spool), &server)).await;
    let repeats: u64 = crm.0.lock().unwrap().values().map(|(_, times)| times - 1).sum();
    println!("{repeats} were offered again");
    drop::<Running>(server);
}

fn at(sorted: &[i64], percent: usize) -> i64 {
    sorted[(sorted.len() - 1) * percent / 100]
}

/// Every recording is there and plays; how much of each end is missing where one was cut, the least first.
fn lost_ms(spool: &std::path::Path, cuts: &[Cut]) -> Vec<i64> {
    let manifests = manifests(spool);
    let (mut lost_ms, mut late_ms) = (Vec::new(), Vec::new());
    for cut in cuts {
        let found: Vec<_> = manifests.iter().filter(|manifest| manifest.call == cut.call).collect();
        assert_eq!(found.len(), 1, "one recording of call {}", cut.call);
        let manifest = found[0];
        assert!(matches!(manifest.state, State::Interrupted | State::Finished), "{manifest:?}");
        assert!(plays(&spool.join(&manifest.file)), "{}", manifest.file);
        let answered = manifest.answered.expect("an answer");
        late_ms.push(manifest.started.as_millisecond() - answered.as_millisecond());
        if manifest.state == State::Interrupted {
            let length = i64::try_from(manifest.audio.frames * 1_000 / 8_000).expect("a length");
            lost_ms.push(cut.killed.as_millisecond() - manifest.started.as_millisecond() - length);
        }
    }
    lost_ms.sort_unstable();
    late_ms.sort_unstable();
    println!("they began {} ms (median) to {} ms after the answer", at(&late_ms, 50), at(&late_ms, 100));
    println!(
        "{} recordings over {} kills, {} of them cut: lost {} ms (median), {} ms (99 %), {} ms (most)",
        cuts.len(),
        kills(),
        lost_ms.len(),
        at(&lost_ms, 50),
        at(&lost_ms, 99),
        at(&lost_ms, 100)
    );
    lost_ms
}

fn manifests(spool: &std::path::Path) -> Vec<Manifest> {
    let files = std::fs::read_dir(spool).expect("the spool").flatten().map(|entry| entry.path());
    let files = files.filter(|path| path.extension().is_some_and(|ending| ending == "json"));
    files.map(|path| Manifest::parse(&std::fs::read(path).expect("a manifest")).expect("a manifest")).collect()
}

/// Waits until every recording is at the page, with a receipt of its own.
async fn arrives(crm: &Crm, outbox: &Outbox, (manifests, server): (&[Manifest], &Running)) {
    let (end, mut beat) = (Instant::now() + 6 * PATIENCE, interval(Duration::from_millis(100)));
    let is_there = |manifest: &Manifest| {
        let deliveries = outbox.deliveries(manifest.id).expect("deliveries");
        deliveries.len() == 1 && matches!(deliveries[0].state, DeliveryState::Delivered(_))
    };
    while !manifests.iter().all(is_there) {
        beat.tick().await;
        let arrived = crm.0.lock().unwrap().len();
        assert!(Instant::now() < end, "{arrived} of {} arrived: {:#?}", manifests.len(), server.lines());
    }
    let taken = crm.0.lock().unwrap();
    assert_eq!(taken.len(), manifests.len(), "each once and nothing else");
    for manifest in manifests {
        assert_eq!(taken[&manifest.id.to_string()].0, manifest.audio.sha256, "{}", manifest.file);
    }
}
