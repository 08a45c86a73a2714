//! A disk that fails while calls are recorded: they go on, it is told once, and what was recorded is whole as soon as it can be.

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use tokio::time::{Duration, Instant, interval};
use wirechief::call::recording::Phase;
use wirechief::control::client::Client;
use wirechief::control::protocol::{EventRecord, EventsSince, method};
use wirechief::outbox::{Manifest, State};

use super::{SAID, finished_in, only_one, talks, with};
use crate::call::{DIAL_BOB, hear_each_other, talk};
use crate::harness::{PATIENCE, Profile, Tape, TestPbx, Tone, calmly, only};
use crate::process::house::{House, PBX, Running, settings};

/// Lets a program write so many bytes into a file, and none beyond; `None`: as many as before.
fn limit(server: &Running, bytes: Option<u64>) {
    let (pid, usual) = (Pid::from_raw(server.pid().cast_signed()), getrlimit(Resource::Fsize));
    let wanted = Rlimit { current: bytes.or(usual.current), ..usual };
    prlimit(pid, Resource::Fsize, wanted).expect("a limit");
}

/// Its next events, up to one of this kind.
async fn events(house: &House, last: &str) -> Vec<EventRecord> {
    let client = Client::connect(&house.socket()).await.expect("the control socket");
    let wanted = EventsSince { since: Some(0), types: vec!["recording".to_owned()] };
    let mut events = client.stream(method::EVENTS, &wanted).await.expect("events");
    let mut all: Vec<EventRecord> = Vec::new();
    while all.last().is_none_or(|event| event.kind != last) {
        let next = tokio::time::timeout(PATIENCE, events.next()).await;
        all.push(next.unwrap_or_else(|_| panic!("no {last} behind {all:?}")).expect("an event").expect("an event"));
    }
    all
}

#[tokio::test]
async fn a_disk_that_takes_nothing_for_a_while_costs_neither_call_nor_recording_and_is_told_once() {
    calmly(async || {
        let house = House::new();
        let keys = "[guests]\ncontext = \"internal\"\n[recording]\nrecord = \"always\"\nfree_space_floor = \"0\"\n";
        house.writes("pbx.toml", &settings("127.0.0.1:0", keys));
        // Who writes beyond a limit is sent a signal, which a full disk does not send.
        let server = Running::of(house.program("/bin/sh", &["-c", "trap '' XFSZ; exec \"$0\" run", PBX])).await;
        server.says(" serves ").await;
        let status = house.asks_json(&["status"]).await;
        let address = status["sip"][0].as_str().and_then(|url| url.strip_prefix("udp://")?.parse().ok());
        let phone = Profile::new("guest", address.expect("an address")).plug_in().await;
        let mut call = phone.invite("echo").await;
        call.expects([200]).await.ack().await.says(Tone::A).await.hears(only(Tone::A)).await;
        talks(&call, 5).await;
        limit(&server, Some(0));
        server.says("nothing is recorded for now").await;
        talks(&call, 5).await;
        call.says(Tone::B).await.hears(only(Tone::B)).await;
        limit(&server, None);
        server.says("a recording goes on").await;
        talks(&call, 3).await;
        call.hangs_up().await;
        let told = events(&house, "recording.finished").await;
        let kinds: Vec<_> = told.iter().map(|event| event.kind.as_str()).collect();
        assert_eq!(kinds, ["recording.started", "recording.failed", "recording.finished"]);
        let spool = house.path("wirechief/recordings");
        let (manifest, tape) = finished_in(&spool).remove(0);
        let error = told[1].fields["error"].as_str().expect("an error");
        assert!(error.contains(&manifest.file) && told[1].fields["uuid"] == manifest.call.as_str(), "{:?}", told[1]);
        let lines: Vec<_> = server.lines().into_iter().filter(|line| line.contains("ERROR")).collect();
        assert_eq!(lines.len(), 1, "{lines:#?}");
        assert!(lines[0].contains(&manifest.call) && lines[0].contains(&manifest.id.to_string()), "{}", lines[0]);
        assert!(!manifest.gaps.iter().any(|gap| gap.why == "disk"), "it was kept in memory: {:?}", manifest.gaps);
        assert!(manifest.extra["error"].as_str().is_some_and(|error| error.contains(&manifest.file)));
        let [first, then] = [Tone::A, Tone::B].map(|tone| tape.has(0, &only(tone)));
        assert!(first >= SAID as usize && then >= 3, "{first} and {then} tenths of {} ms", tape.ms());
    })
    .await;
}

#[tokio::test]
async fn what_could_not_be_finished_is_tried_again_every_thirty_seconds_until_it_is() {
    calmly(async || {
        let pbx = TestPbx::unusual(DIAL_BOB, with("record = \"always\"")).await;
        let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
        let (mut calling, mut called) = talk(&alice, &mut bob, "bob").await;
        hear_each_other(&mut calling, &mut called).await;
        talks(&calling, 5).await;
        let recordings = &pbx.pbx.exchange().recordings;
        let recording = recordings.all().remove(0);
        let (there, away) = (recording.path(), recording.path().with_extension("away"));
        std::fs::rename(&there, &away).expect("it is there");
        calling.hangs_up().await;
        called.is_hung_up().await;
        let record = pbx.records(1).await.remove(0);
        assert_eq!(record["recorded"][0], recording.id().to_string(), "the call's record names it all the same");
        assert!(matches!(recording.phase(), Phase::Failed(_)));
        let outbox = recordings.spool().outbox().expect("an outbox");
        let state = || outbox.get(recording.id()).expect("the queue").map(|manifest| manifest.state);
        assert_eq!(state(), Some(State::Open));
        let events = || {
            let (all, _) = pbx.pbx.exchange().journal.subscribe(Some(0));
            all.into_iter()
                .filter(|event| event.kind.starts_with("recording."))
                .map(|event| event.kind)
                .collect::<Vec<_>>()
        };
        assert_eq!(events(), ["recording.started", "recording.failed"]);
        drop((alice, bob, calling, called));
        pbx.is_idle().await;
        // From here on time goes by as fast as nothing is to be done.
        tokio::time::pause();
        tokio::time::sleep(Duration::from_secs(45)).await;
        assert_eq!(state(), Some(State::Open), "it is still not there");
        std::fs::rename(&away, &there).expect("it is there again");
        tokio::time::sleep(Duration::from_secs(31)).await;
        // What was begun then is done by a thread that has its own time; a next attempt would come later than this.
        tokio::time::resume();
        let (end, mut beat) = (Instant::now() + Duration::from_secs(25), interval(Duration::from_millis(50)));
        while events().len() < 3 {
            beat.tick().await;
            assert!(Instant::now() < end, "it is not tried again: {:?}", events());
        }
        assert_eq!(events()[2], "recording.finished");
        let (manifest, tape): (Manifest, Tape) = only_one(&pbx);
        assert_eq!(manifest.id, recording.id());
        assert!(tape.has(0, &only(Tone::A)) >= 3 && manifest.audio.sha256.len() == 64);
    })
    .await;
}
