//! Calls that must be recorded: refused before anybody's phone rings where it is known that they could not be, ended where the disk
//! fails in their middle.

use wirechief::outbox::Outbox;

use super::{finished, talks, with};
use crate::call::DIAL_BOB;
use crate::harness::{Call, Profile, TestPbx, Tone, Unusual, calmly};
use crate::process::house::{House, Running, settings};

/// More than any disk has.
const FULL: &str = "required = true\nfree_space_floor = \"9000000G\"";

#[tokio::test]
async fn a_call_that_must_be_recorded_and_cannot_be_is_refused_before_a_phone_rings() {
    calmly(async || {
        let plans = [
            ("record = \"always\"", DIAL_BOB.to_owned()),
            ("", "exten => bob,1,MixMonitor(a.wav)\n same => n,Dial(SIP/bob,10)".to_owned()),
            ("record = \"always\"", format!("exten => x,1,NoOp()\n{DIAL_BOB}\nexten => bob,2,Answer()")),
            ("record = \"in\"", "exten => bob,1,Answer()\n same => n,Dial(SIP/bob,10)".to_owned()),
            ("rooms = [\"1\"]", "exten => bob,1,ConfBridge(1)".to_owned()),
        ];
        for (rule, plan) in plans {
            let pbx = TestPbx::unusual(&plan, with(&format!("{FULL}\n{rule}"))).await;
            let mut bob = pbx.phone("bob").await;
            let guest = Profile::new("4178575309", pbx.address(crate::harness::Transport::Udp)).plug_in().await;
            let mut calling = guest.invite("bob").await;
            calling.expects([503]).await;
            let answer = calling.newest();
            assert_eq!(Call::cause(answer, "Q.850"), Some(41), "{plan}: {:?}", answer.headers);
            assert!(answer.all("Reason")[0].contains("must be recorded"), "{plan}: {:?}", answer.headers);
            pbx.is_idle().await;
            assert!(bob.was_not_called(), "{plan}");
            let (events, _) = pbx.pbx.exchange().journal.subscribe(Some(0));
            let failed = events.iter().filter(|event| event.kind == "recording.failed").count();
            assert_eq!(failed, 1, "{plan}");
            assert!(finished(&pbx).is_empty());
        }
    })
    .await;
}

#[tokio::test]
async fn a_phone_that_the_server_calls_does_not_ring_where_its_call_could_not_be_recorded() {
    calmly(async || {
    let plan = "exten => 1,1,Originate(SIP/bob,exten,internal,2,1)\n same => n,UserEvent(v,text:${ORIGINATE_STATUS})\nexten => 2,1,Wait(9)";
    let rule = Unusual { user_keys: vec![("bob", "record = \"always\"")], ..with(FULL) };
    let pbx = TestPbx::unusual(plan, rule).await;
    let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    alice.invite("1").await.is_refused(&[603]).await;
    pbx.is_idle().await;
    assert!(bob.was_not_called());
    })
    .await;
}

#[tokio::test]
async fn what_need_not_be_recorded_is_put_through_however_full_the_disk() {
    calmly(async || {
        let pbx = TestPbx::unusual(DIAL_BOB, with(FULL)).await;
        let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
        let (mut calling, mut called) = crate::call::talk(&alice, &mut bob, "bob").await;
        calling.hangs_up().await;
        called.is_hung_up().await;
    })
    .await;
}

#[tokio::test]
async fn a_disk_that_fails_in_its_middle_ends_a_call_that_must_be_recorded() {
    calmly(async || {
        let house = House::new();
        let keys = "[guests]\ncontext = \"internal\"\n[recording]\nrecord = \"always\"\nrequired = true\n\
                whispers = \"own-track\"\nfree_space_floor = \"0\"\n";
        house.writes("pbx.toml", &settings("127.0.0.1:0", keys));
        let spool = house.path("wirechief/recordings");
        std::fs::create_dir_all(house.path("wirechief")).expect("a folder");
        drop(Outbox::open(&spool).expect("an outbox"));
        // No file of the server's may be longer than 160 KiB: as on a disk that is full, a write fails (EFBIG).
        let pbx = env!("CARGO_BIN_EXE_pbx");
        let limited = format!("trap '' XFSZ; ulimit -f 160; exec {pbx} run");
        let server = Running::of(house.program("/bin/bash", &["-c", &limited])).await;
        server.says(" serves ").await;
        let status = house.asks_json(&["status"]).await;
        let address = status["sip"][0].as_str().and_then(|url| url.strip_prefix("udp://")?.parse().ok());
        let guest = Profile::new("guest", address.expect("the server's address")).plug_in().await;
        let mut call = guest.invite("echo").await;
        call.expects([200]).await.ack().await.says(Tone::A).await;
        talks(&call, 10).await;
        let bye = call.is_hung_up().await;
        assert_eq!(Call::cause(&bye, "Q.850"), Some(41), "{:?}", bye.headers);
        let line = server.says("[recording] required").await;
        assert!(line.contains("nothing is recorded for now, and the call ends"), "{line}");
        assert_eq!(server.lines().iter().filter(|line| line.contains("[recording] required")).count(), 1);
        let files = std::fs::read_dir(&spool).expect("a spool").flatten().map(|entry| entry.path());
        let wav = files.into_iter().find(|path| path.extension().is_some_and(|end| end == "wav")).expect("a recording");
        let length = hound::WavReader::open(&wav).expect("a whole file").duration();
        assert!(length > 16_000, "{length} samples were written before, and play");
    })
    .await;
}
