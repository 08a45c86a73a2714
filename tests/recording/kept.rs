//! Calls whose sound is kept as it came (`form = "as-came"`): in Ogg Opus with a stream for each party, in Matroska with a track of
//! G.722 for each, in WAV with a law's bytes.

use std::fs::File;
use std::path::Path;

use wirechief::audio::matroska::{CLUSTER_OCTETS, Head};
use wirechief::audio::source::{self, Source};
use wirechief::outbox::verify::{Depth, Finding, Scope};
use wirechief::outbox::{Manifest, Outbox, State, Undelivered};

use super::talks;
use crate::call::talk;
use crate::harness::{ABOVE_HZ, Call, Law, Phone, Profile, Tape, TestPbx, Tone, Unusual, calmly, only};
use crate::process::house::{House, settings};

const AS_CAME: &str = "[recording]\nrecord = \"always\"\nform = \"as-came\"\n";

async fn server(plan: &str, settings: &str, codecs: &'static str) -> TestPbx {
    TestPbx::unusual(plan, Unusual { settings: settings.to_owned(), codecs: Some(codecs), ..Unusual::default() }).await
}

async fn phone(pbx: &TestPbx, user: &str, laws: &[Law]) -> Phone {
    pbx.plugs_in(Profile { laws: laws.to_vec(), ..pbx.profile(user) }).await
}

/// Alice and bob talk, and say their tones for so many tenths of a second.
async fn call(pbx: &TestPbx, laws: &[Law], tenths: u32) -> (Call, Call) {
    let (alice, mut bob) = (phone(pbx, "alice", laws).await, phone(pbx, "bob", laws).await);
    let (calling, called) = both(&alice, &mut bob).await;
    tokio::join!(talks(&calling, tenths), talks(&called, tenths));
    (calling, called)
}

async fn both(alice: &Phone, bob: &mut Phone) -> (Call, Call) {
    let (mut calling, mut called) = talk(alice, bob, "bob").await;
    calling.says(Tone::A).await;
    called.says(Tone::B).await;
    (calling, called)
}

async fn ends(pbx: &TestPbx, mut calling: Call, mut called: Call) {
    calling.hangs_up().await;
    called.is_hung_up().await;
    pbx.is_idle().await;
    pbx.records(1).await;
}

/// The only recording of a spool: what is known of it, and how it sounds.
fn only_one(spool: &Path) -> (Manifest, Tape) {
    let outbox = Outbox::open(spool).expect("an outbox");
    let names = outbox.spool().names().expect("names");
    let found: Vec<_> = names.iter().filter(|name| name.ends_with(".json")).collect();
    assert_eq!(found.len(), 1, "{names:?}");
    let manifest = Manifest::parse(&std::fs::read(spool.join(found[0])).expect("a manifest")).expect("a manifest");
    let mut findings: Vec<Finding> = Vec::new();
    let scope = Scope { since: None, depth: Depth::Deep, calls: None, rule: &|_| None };
    outbox.verify(&scope, &mut |finding| findings.push(finding)).expect("verified");
    assert!(findings.is_empty(), "{findings:?}");
    let tape = heard(&spool.join(&manifest.file));
    assert_eq!(manifest.audio.frames, tape.tracks[0].len() as u64);
    assert_eq!(
        (manifest.audio.rate_hz as usize, usize::from(manifest.audio.channels)),
        (tape.rate_hz, tape.tracks.len())
    );
    (manifest, tape)
}

/// A file of any form, decoded.
fn heard(path: &Path) -> Tape {
    let mut source = source::open(File::open(path).expect("a file"), "").expect("a sound");
    let (rate_hz, sides) = (source.rate_hz() as usize, usize::from(source.channels()));
    let (mut tracks, mut block) = (vec![Vec::new(); sides], Vec::new());
    while source.next(&mut block).is_ok() && !block.is_empty() {
        for frame in block.chunks_exact(sides) {
            tracks.iter_mut().zip(frame).for_each(|(track, sample)| track.push(*sample));
        }
    }
    Tape { tracks, rate_hz }
}

fn is_most(tape: &Tape) -> bool {
    [(0, Tone::A), (1, Tone::B)].iter().all(|(track, tone)| tape.has(*track, &only(*tone)) >= tape.ms() / 100 * 6 / 10)
}

#[tokio::test]
async fn a_call_in_opus_is_kept_packet_by_packet_with_each_party_on_its_side() {
    calmly(async || {
        let pbx = server("exten => bob,1,Dial(SIP/bob,10)", AS_CAME, r#"["opus", "ulaw"]"#).await;
        let (calling, called) = call(&pbx, &[Law::Opus, Law::Ulaw], 15).await;
        let said = [&calling, &called].map(|call| call.dialog.media.sent());
        ends(&pbx, calling, called).await;
        let (manifest, tape) = only_one(&pbx.spool());
        assert!(manifest.file.ends_with(".opus"), "{}", manifest.file);
        assert_eq!((manifest.audio.format.as_str(), tape.rate_hz, tape.tracks.len()), ("opus", 48_000, 2));
        assert!(is_most(&tape), "{} ms", tape.ms());
        // What was said in the middle stands in the file, byte by byte, without the first byte of each packet.
        let bytes = std::fs::read(pbx.spool().join(&manifest.file)).expect("the file");
        for packets in said {
            let inner = &packets[packets.len() / 4..packets.len() / 2];
            assert!(inner.len() > 10);
            for packet in inner {
                let frame = &packet.payload[1..];
                assert!(bytes.windows(frame.len()).any(|window| window == frame), "a frame is missing");
            }
        }
    })
    .await;
}

/// The octets of each track of a recording in G.722.
fn octets(file: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(file).expect("the file");
    let tracks = Head::parse(&bytes).expect("a head").tracks;
    let mut found = vec![Vec::new(); tracks.count().into()];
    let clusters = bytes[tracks.head_bytes() as usize..].chunks(tracks.cluster_bytes(CLUSTER_OCTETS) as usize);
    for (nth, bytes) in (0..).zip(clusters) {
        let cluster = tracks.nth_cluster(nth, bytes).expect("a whole cluster");
        found.iter_mut().zip(cluster.tracks).for_each(|(track, octets)| track.extend(octets));
    }
    found
}

#[tokio::test]
async fn a_call_in_g722_is_kept_octet_by_octet_with_each_party_on_its_side() {
    calmly(async || {
        let pbx = server("exten => bob,1,Dial(SIP/bob,10)", AS_CAME, r#"["g722", "ulaw"]"#).await;
        let (calling, called) = call(&pbx, &[Law::G722, Law::Ulaw], 15).await;
        let said = [&calling, &called].map(|call| call.dialog.media.sent());
        ends(&pbx, calling, called).await;
        let (manifest, tape) = only_one(&pbx.spool());
        assert!(manifest.file.ends_with(".mka"), "{}", manifest.file);
        assert_eq!((manifest.audio.format.as_str(), tape.rate_hz, tape.tracks.len()), ("g722", 16_000, 2));
        assert!(is_most(&tape), "{} ms", tape.ms());
        for (packets, track) in said.into_iter().zip(octets(&pbx.spool().join(&manifest.file))) {
            let inner = &packets[packets.len() / 4..packets.len() / 2];
            assert!(inner.len() > 10);
            for packet in inner {
                // A clock that is followed may leave an octet out in the middle of a packet, or say it twice.
                let half = &packet.payload[..packet.payload.len() / 2 - 1];
                assert!(track.windows(half.len()).any(|window| window == half), "as it came");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_call_that_leaves_g722_and_comes_back_stays_in_its_file_and_is_heard_all_the_time() {
    calmly(async || {
        let pbx = server("exten => bob,1,Dial(SIP/bob,10)", AS_CAME, r#"["g722", "ulaw"]"#).await;
        let (mut calling, mut called) = call(&pbx, &[Law::G722, Law::Ulaw], 8).await;
        for law in [Law::Ulaw, Law::G722] {
            calling.offers(&[law]).await;
            tokio::join!(talks(&calling, 8), talks(&called, 8));
        }
        called.was_asked_to_change();
        ends(&pbx, calling, called).await;
        let (manifest, tape) = only_one(&pbx.spool());
        assert_eq!((manifest.audio.format.as_str(), tape.rate_hz, tape.tracks.len()), ("g722", 16_000, 2));
        assert!(manifest.file.ends_with(".mka") && is_most(&tape), "{} ms: {:?}", tape.ms(), manifest.gaps);
        let wide = tape.tenths_with(1, ABOVE_HZ[1]);
        assert!(wide.len() >= 8 && wide.len() < tape.ms() / 100 - 4, "{wide:?} of {} ms", tape.ms());
    })
    .await;
}

#[tokio::test]
async fn a_call_in_a_law_is_kept_byte_by_byte() {
    calmly(async || {
        for (law, codecs, format) in [(Law::Ulaw, r#"["ulaw"]"#, "ulaw"), (Law::Alaw, r#"["alaw"]"#, "alaw")] {
            let pbx = server("exten => bob,1,Dial(SIP/bob,10)", AS_CAME, codecs).await;
            let (calling, called) = call(&pbx, &[law], 12).await;
            let said = calling.dialog.media.sent();
            ends(&pbx, calling, called).await;
            let (manifest, tape) = only_one(&pbx.spool());
            assert_eq!((manifest.audio.format.as_str(), tape.rate_hz, tape.tracks.len()), (format, 8_000, 2));
            assert!(manifest.file.ends_with(".wav") && is_most(&tape), "{} ms", tape.ms());
            let bytes = std::fs::read(pbx.spool().join(&manifest.file)).expect("the file");
            let left: Vec<u8> = bytes[58..].iter().step_by(2).copied().collect();
            let packet = &said[said.len() / 3].payload;
            // A clock that is followed may leave a byte out of a packet, or say it twice.
            let half = &packet[..packet.len() / 2 - 1];
            assert!(left.windows(half.len()).any(|window| window == half), "as it came");
        }
    })
    .await;
}

#[tokio::test]
async fn a_name_of_the_dialplan_stays_a_wav_file_and_what_cannot_be_kept_so_is_refused() {
    calmly(async || {
    let plan = "exten => bob,1,MixMonitor(named.wav)\n same => n,MixMonitor(louder.wav,v(3))\n\
                same => n,Set(LOUDER=${MIXMONITOR_FILENAME})\n same => n,Monitor(wav,mixed,m)\n same => n,Dial(SIP/bob,10)";
    let pbx = server(plan, &AS_CAME.replace("always", "never"), r#"["opus", "ulaw"]"#).await;
    let (calling, called) = call(&pbx, &[Law::Opus, Law::Ulaw], 12).await;
    ends(&pbx, calling, called).await;
    let (manifest, tape) = only_one(&pbx.spool());
    assert_eq!(
        (manifest.file.as_str(), manifest.audio.format.as_str()),
        ("named.wav", "pcm16"),
        "the others are refused"
    );
    assert!(is_most(&tape), "{} ms", tape.ms());
    })
    .await;
}

#[tokio::test]
async fn a_killed_servers_opus_plays_to_less_than_half_a_second_before_its_end() {
    calmly(async || {
        plays_after_a_kill(Law::Opus, "opus").await;
    })
    .await;
}

#[tokio::test]
async fn a_killed_servers_g722_plays_to_less_than_half_a_second_before_its_end() {
    calmly(async || {
        plays_after_a_kill(Law::G722, "g722").await;
    })
    .await;
}

async fn plays_after_a_kill(law: Law, format: &str) {
    let house = House::new();
    let text = settings("127.0.0.1:0", &format!("{AS_CAME}free_space_floor = \"0\"\n"));
    house.writes("pbx.toml", &text.replace("[media]\n", &format!("[media]\ncodecs = [\"{format}\", \"ulaw\"]\n")));
    let laws = [law, Law::Ulaw];
    // To a recorder that gets no time from a busy machine it can happen that it writes late, but not time and again.
    let mut late = Vec::new();
    loop {
        let mut server = house.opens().await;
        let (alice, mut bob) = (house.phone_with("alice", &laws).await, house.phone_with("bob", &laws).await);
        let (calling, called) = both(&alice, &mut bob).await;
        tokio::join!(talks(&calling, 15), talks(&called, 15));
        let killed = jiff::Timestamp::now();
        server.child.kill().await.expect("it runs");
        let mut server = house.opens().await;
        let spool = house.path("wirechief/recordings");
        let (manifest, tape) = only_one(&spool);
        assert_eq!((manifest.state, manifest.audio.format.as_str()), (State::Interrupted, format));
        let lost = killed.as_millisecond() - manifest.started.as_millisecond() - tape.ms() as i64;
        if lost < 500 && is_most(&tape) {
            break;
        }
        late.push((lost, tape.ms()));
        assert!(late.len() < 5, "{late:?}: lost, of so many milliseconds");
        server.child.kill().await.expect("it runs");
        Outbox::open(&spool).and_then(|outbox| outbox.forget(manifest.id, Undelivered::Removed)).expect("it is there");
    }
}
