//! `MixMonitor`, `StopMixMonitor`, `Monitor`, `PauseMonitor`, `Record` and `ChanSpy(…,r)` on calls.

use super::{
    PIECE, bob_hangs_up, both, conversation, holds, is_recorded, manifest, names, says, spool, tell, told, tracks,
    until,
};
use crate::call::both_answer;
use crate::chanspy::{MAY_LISTEN, carol_may};
use crate::harness::{Law, TestPbx, Tone, Unusual, WINDOW, calmly, only, sound_of};

const DIAL: &str = "Dial(SIP/bob)";

#[tokio::test]
async fn a_relative_name_lies_in_the_spool_and_what_is_there_is_never_overwritten() {
    calmly(async || {
        let plan = format!(
            "exten => 1,1,MixMonitor(calls/${{CALLERID(num)}}.wav,i(ID))\n same => n,{}\n same => n,{DIAL}\n",
            tell("${MIXMONITOR_FILENAME} ${MIXMONITOR(${ID},filename)}"),
        );
        let pbx = TestPbx::with(&plan).await;
        for name in ["calls/alice.wav", "calls/alice-2.wav"] {
            let (mut calling, mut called) = conversation(&pbx, "1").await;
            bob_hangs_up(&pbx, (&mut calling, &mut called)).await;
            let path = spool(&pbx).join(name);
            assert!(holds(&path, &both()), "{name}");
            assert_eq!(told(&pbx).last(), Some(&format!("{0} {0}", path.display())));
            let bytes = std::fs::read(&path).expect("a file");
            assert_eq!(bytes.get(20..22), Some(&[1, 0][..]), "PCM is format 1");
        }
        assert_eq!(names(&spool(&pbx)), ["calls/alice-2.wav", "calls/alice.wav"]);
    })
    .await;
}

#[tokio::test]
async fn s139_a_callers_name_leads_nowhere_and_a_path_outside_is_not_recorded_into() {
    calmly(async || {
    let plan = format!(
        "exten => 1,1,Set(CALLERID(name)=../../b o\\,b/.x)\n same => n,Set(WHERE=${{CALLERID(name)}})\n same => n,MixMonitor(${{WHERE}}.wav)\n \
         same => n,MixMonitor(/etc/${{EXTEN}}.wav)\n same => n,{DIAL}\n"
    );
    let pbx = TestPbx::with(&plan).await;
    let (mut calling, mut called) = conversation(&pbx, "1").await;
    bob_hangs_up(&pbx, (&mut calling, &mut called)).await;
    assert_eq!(names(&spool(&pbx)), ["bob.x.wav"]);
    })
    .await;
}

#[tokio::test]
async fn stopmixmonitor_ends_the_one_that_is_meant_and_it_is_complete_for_the_next_priority() {
    calmly(async || {
    let plan = format!(
        "exten => 1,1,Answer()\n same => n,MixMonitor(one.wav,i(ONE))\n same => n,MixMonitor(two.wav)\n same => n,Echo()\n \
         same => n,StopMixMonitor(${{ONE}})\n same => n,{}\n same => n,Echo()\n",
        tell("stopped [${MIXMONITOR(${ONE},filename)}]"),
    );
    let pbx = TestPbx::with(&plan).await;
    let mut call = pbx.phone("alice").await.invite("1").await;
    call.expects([200]).await.ack().await.says(Tone::A).await.hears(only(Tone::A)).await;
    let (one, two) = (spool(&pbx).join("one.wav"), spool(&pbx).join("two.wav"));
    for path in [&one, &two] {
        until("what is said first", || path.exists() && says(path, &only(Tone::A))).await;
    }
    call.presses("#").await;
    call.falls_silent().await.hears(Vec::new()).await;
    call.says(Tone::C).await.hears(only(Tone::C)).await;
    until("what is said then", || says(&two, &only(Tone::C))).await;
    assert_eq!(told(&pbx), ["stopped []"]);
    assert_eq!((manifest(&one)["state"].as_str(), manifest(&two)["state"].as_str()), (Some("finished"), Some("open")));
    assert_eq!([Tone::A, Tone::C].map(|tone| says(&one, &only(tone))), [true, false]);
    call.hangs_up().await;
    pbx.is_idle().await;
    assert_eq!([Tone::A, Tone::C].map(|tone| says(&two, &only(tone))), [true, true]);
    })
    .await;
}

#[tokio::test]
async fn the_command_runs_when_the_recording_is_complete_with_the_name_it_has() {
    calmly(async || {
        let folder = tempfile::tempdir().expect("a folder");
        let copy = folder.path().join("copy.wav");
        let plan = format!(
            "exten => 1,1,MixMonitor(a.wav,b,cp ^{{MIXMONITOR_FILENAME}} {})\n same => n,{DIAL}\n",
            copy.display()
        );
        let settings = "[dialplan]\nsystem = \"argv\"\nprograms = [\"/bin/cp\"]\n".to_owned();
        let pbx = TestPbx::unusual(&plan, Unusual { settings, ..Unusual::default() }).await;
        let (mut calling, mut called) = conversation(&pbx, "1").await;
        assert!(!copy.exists());
        bob_hangs_up(&pbx, (&mut calling, &mut called)).await;
        let whole = std::fs::metadata(spool(&pbx).join("a.wav")).expect("a recording").len();
        until("a copy", || std::fs::metadata(&copy).is_ok_and(|facts| facts.len() == whole)).await;
        assert!(holds(&copy, &both()));
    })
    .await;
}

#[tokio::test]
async fn monitor_puts_both_directions_into_one_file_and_a_pause_is_cut_out() {
    calmly(async || {
    let plan = "exten => 1,1,Answer()\n same => n,Monitor(wav,old)\n same => n,Echo()\n same => n,PauseMonitor()\n same => n,Echo()\n \
                same => n,UnpauseMonitor()\n same => n,Echo()\n same => n,StopMonitor()\n same => n,Echo()\n";
    let pbx = TestPbx::with(plan).await;
    let mut call = pbx.phone("alice").await.invite("1").await;
    call.expects([200]).await.ack().await;
    let path = spool(&pbx).join("old.wav");
    for tone in [Tone::A, Tone::B, Tone::C, Tone::D] {
        call.says(tone).await.hears(only(tone)).await;
        if [Tone::A, Tone::C].contains(&tone) {
            until("what is said", || path.exists() && says(&path, &only(tone))).await;
        }
        call.presses("#").await;
        call.falls_silent().await.hears(Vec::new()).await;
    }
    pbx.is_idle().await;
    let heard = [Tone::A, Tone::B, Tone::C, Tone::D].map(|tone| says(&path, &only(tone)));
    assert_eq!(heard, [true, false, true, false]);
    assert_eq!(manifest(&path)["pauses"].as_array().map(Vec::len), Some(1));
    })
    .await;
}

#[tokio::test]
async fn record_ends_by_a_key_by_silence_or_by_time_and_says_which() {
    calmly(async || {
    let plan = format!(
        "exten => 1,1,Record(msg-%d.wav,0,0,q)\n same => n,{0}\n same => n,Record(msg-%d.wav,0.3,0,q)\n same => n,{0}\n \
         same => n,Record(msg-%d.wav,,0.3,q)\n same => n,{0}\n same => n,Record(msg-%d.wav)\n\
         exten => h,1,{0}\n",
        tell("${RECORD_STATUS} ${RECORDED_FILE}")
    );
    let pbx = TestPbx::with(&plan).await;
    let mut call = pbx.phone("alice").await.invite("1").await;
    call.expects([200]).await.ack().await.says(Tone::A).await;
    let first = spool(&pbx).join("msg-0.wav");
    is_recorded(&first).await;
    call.presses("#").await.falls_silent().await;
    until("three recordings", || told(&pbx).len() == 3).await;
    call.hangs_up().await;
    pbx.is_idle().await;
    let file = |number: u32| spool(&pbx).join(format!("msg-{number}")).display().to_string();
    let told = told(&pbx);
    let wanted =
        ["DTMF", "SILENCE", "TIMEOUT"].into_iter().zip(0..).map(|(word, number)| format!("{word} {}", file(number)));
    assert!(told.iter().take(3).eq(&wanted.collect::<Vec<_>>()), "{told:?}");
    assert!(holds(&first, &[only(Tone::A)]), "one channel: what he says");
    assert!(told[3].starts_with("HANGUP") || told[3].starts_with("TIMEOUT"), "{told:?}");
    })
    .await;
}

#[tokio::test]
async fn s081_chanspy_records_what_is_heard_while_it_is() {
    calmly(async || {
        let plan = format!("exten => 1,1,{DIAL}\nexten => 9,1,ChanSpy(SIP/alice,qEr(qa))\n same => n,Hangup()\n");
        let pbx = TestPbx::unusual(&plan, carol_may(MAY_LISTEN)).await;
        let (mut calling, mut called) = conversation(&pbx, "1").await;
        let carol = pbx.phone("carol").await;
        let mut spying = carol.invite("9").await;
        spying.expects([200]).await.ack().await.hears(Tone::A + Tone::B).await;
        until("a recording", || !names(&spool(&pbx)).is_empty()).await;
        is_recorded(&spool(&pbx).join(&names(&spool(&pbx))[0])).await;
        called.hangs_up().await;
        calling.is_hung_up().await;
        spying.is_hung_up().await;
        pbx.is_idle().await;
        let all = names(&spool(&pbx));
        assert!(matches!(all.as_slice(), [name] if name.starts_with("qa-2")), "{all:?}");
        assert!(holds(&spool(&pbx).join(&all[0]), &both()));
    })
    .await;
}

#[tokio::test]
async fn what_record_records_is_delivered_to_nobody_and_a_call_is() {
    calmly(async || {
    let plan = "exten => 1,1,Answer()\n same => n,MixMonitor(call.wav)\n same => n,Record(prompt.wav,,0.3,q)\n same => n,Hangup()\n";
    let settings =
        "[remotes.disk]\nkind = \"folder\"\nwhen = \"manual\"\nfolder = { path = \"/no/such\" }\n".to_owned();
    let pbx = TestPbx::unusual(plan, Unusual { settings, ..Unusual::default() }).await;
    let mut call = pbx.phone("alice").await.invite("1").await;
    call.expects([200]).await.ack().await.is_hung_up().await;
    pbx.is_idle().await;
    let outbox = pbx.pbx.exchange().recordings.spool().outbox().expect("an outbox");
    let wanted = ["call.wav", "prompt.wav"].map(|name| {
        let id = manifest(&spool(&pbx).join(name))["id"].as_str().expect("an id").parse().expect("an id");
        outbox.deliveries(id).expect("a list").len()
    });
    assert_eq!(wanted, [1, 0]);
    })
    .await;
}

#[tokio::test]
async fn the_sides_that_r_and_t_name_are_recordings_of_their_own_and_end_with_the_one_they_belong_to() {
    calmly(async || {
    let plan = format!(
        "exten => 1,1,Set(CALLERID(name)=../../x)\n same => n,MixMonitor(all.wav,i(ID)r(in/${{CALLERID(name)}}.wav)t(all.wav))\n \
         same => n,Dial(SIP/bob,10,g)\n same => n,StopMixMonitor(${{ID}})\n same => n,{}\n same => n,Wait(60)\n",
        tell("stopped")
    );
    let pbx = TestPbx::with(&plan).await;
    let (mut calling, mut called) = conversation(&pbx, "1").await;
    until("what both say", || {
        let is_there = |name: &str, tone| spool(&pbx).join(name).exists() && says(&spool(&pbx).join(name), &only(tone));
        is_there("in/x.wav", Tone::A) && is_there("all-2.wav", Tone::B)
    })
    .await;
    called.hangs_up().await;
    until("the next priority", || told(&pbx) == ["stopped"]).await;
    let all = ["all.wav", "in/x.wav", "all-2.wav"].map(|name| spool(&pbx).join(name));
    let facts = all.clone().map(|path| manifest(&path));
    assert!(facts.iter().all(|facts| facts["state"] == "finished"), "{facts:?}");
    assert_eq!(
        [&facts[1], &facts[2]].map(|facts| (
            &facts["side"],
            &facts["beside"],
            facts["parties"].as_array().map(Vec::len)
        )),
        [(&"left".into(), &facts[0]["id"], Some(1)), (&"right".into(), &facts[0]["id"], Some(1))]
    );
    assert!(holds(&all[0], &both()) && holds(&all[1], &[only(Tone::A)]) && holds(&all[2], &[only(Tone::B)]));
    assert!(!says(&all[1], &only(Tone::B)) && !says(&all[1], &(Tone::A + Tone::B)), "one side is one side");
    calling.hangs_up().await;
    pbx.is_idle().await;
    })
    .await;
}

#[tokio::test]
async fn option_a_goes_on_in_the_file_of_a_call_before() {
    calmly(async || {
        let plan = format!("exten => 1,1,MixMonitor(,r(day.wav)a)\n same => n,{DIAL}\n");
        let pbx = TestPbx::with(&plan).await;
        let path = spool(&pbx).join("day.wav");
        let mut before = (Vec::new(), String::new());
        for round in 0..2 {
            let (mut calling, mut called) = conversation(&pbx, "1").await;
            until("what is said", || path.exists() && tracks(&path)[0].len() > before.0.len() + 4_000).await;
            bob_hangs_up(&pbx, (&mut calling, &mut called)).await;
            let (facts, samples) = (manifest(&path), tracks(&path).remove(0));
            assert_eq!(
                (facts["state"].as_str(), facts["audio"]["frames"].as_u64()),
                (Some("finished"), Some(samples.len() as u64))
            );
            assert!(samples.starts_with(&before.0), "what was there is there");
            assert_eq!(facts["continues"].as_str(), (round > 0).then_some(before.1.as_str()));
            before = (samples, facts["id"].as_str().expect("an id").to_owned());
        }
        assert_eq!(names(&spool(&pbx)), ["day.wav"]);
    })
    .await;
}

#[tokio::test]
async fn with_option_a_the_name_is_final_before_the_answer_whoever_answers_first() {
    calmly(async || {
        let plan = format!(
            "exten => _X.,1,MixMonitor(day.wav,a)\n same => n,{}\n same => n,Dial(SIP/${{EXTEN:1}})\n",
            tell("${CALLERID(num)} ${MIXMONITOR_FILENAME}"),
        );
        let pbx = TestPbx::with(&plan).await;
        let (mut calling, mut called) = conversation(&pbx, "1bob").await;
        bob_hangs_up(&pbx, (&mut calling, &mut called)).await;
        let (alice, carol) = (pbx.phone("alice").await, pbx.phone("carol").await);
        let (mut bob, mut dave) = (pbx.phone("bob").await, pbx.phone("dave").await);
        let mut first = alice.invite("1bob").await;
        let mut rung = bob.is_called().await;
        rung.rings().await;
        first.expects([180]).await;
        let mut other = carol.invite("1dave").await;
        let mut answering = dave.is_called().await;
        both_answer(&mut other, &mut answering).await;
        is_recorded(&spool(&pbx).join("day-2.wav")).await;
        both_answer(&mut first, &mut rung).await;
        until("a recording that goes on", || manifest(&spool(&pbx).join("day.wav"))["state"] == "open").await;
        for (calling, called) in [(&mut first, &mut rung), (&mut other, &mut answering)] {
            called.hangs_up().await;
            calling.is_hung_up().await;
        }
        pbx.is_idle().await;
        pbx.records(3).await;
        for (file, from) in [("day.wav", "alice"), ("day-2.wav", "carol")] {
            let path = spool(&pbx).join(file);
            assert_eq!(manifest(&path)["from"], from);
            assert_eq!(
                told(&pbx).iter().rfind(|said| said.starts_with(from)),
                Some(&format!("{from} {}", path.display()))
            );
        }
    })
    .await;
}

#[tokio::test]
async fn playback_finds_what_the_channel_recorded_by_its_path_and_by_its_name_and_nothing_else() {
    calmly(async || {
    let plan = format!(
        "exten => 1,1,Record(said.wav,,0.5,q)\n same => n,{0}\n same => n,Playback(${{RECORDED_FILE}}&${{RECORDED_FILE}}&${{RECORDED_FILE}})\n \
         same => n,{0}\n same => n,Record(said.wav,,0.5,q)\n same => n,{0}\n same => n,BackGround(said&said&said)\n \
         same => n,Playback(${{RECORDED_FILE}}/../../../state/recordings/said)\n same => n,{1}\nexten => 2,1,Playback(said)\n same => n,{1}\n",
        tell("recorded"),
        tell("${PLAYBACKSTATUS}")
    );
    let pbx = TestPbx::with(&plan).await;
    let alice = pbx.phone("alice").await;
    let mut call = alice.invite("1").await;
    call.expects([200]).await.ack().await.says(Tone::A).await;
    until("a recording", || told(&pbx).len() == 1).await;
    call.falls_silent().await.hears(only(Tone::A)).await.says(Tone::C).await;
    until("another one", || told(&pbx).len() == 3).await;
    call.falls_silent().await.hears(only(Tone::C)).await;
    call.is_hung_up().await;
    assert_eq!(told(&pbx).last().map(String::as_str), Some("FAILED"), "no path out");
    let mut other = alice.invite("2").await;
    other.expects([200]).await.ack().await.is_hung_up().await;
    assert_eq!(told(&pbx).last().map(String::as_str), Some("FAILED"), "another channel's");
    assert_eq!(names(&spool(&pbx)), ["said-2.wav", "said.wav"]);
    })
    .await;
}

#[tokio::test]
async fn one_that_cannot_go_on_in_a_file_that_is_being_written_has_its_own_and_is_found_there() {
    calmly(async || {
        let plan = format!(
            "exten => 1,1,Answer()\n same => n,MixMonitor(day.wav,a)\n same => n,{}\n same => n,Echo()\n \
         same => n,StopMixMonitor()\n same => n,Playback(day)\n",
            tell("${MIXMONITOR_FILENAME}"),
        );
        let pbx = TestPbx::with(&plan).await;
        let mut first = pbx.phone("alice").await.invite("1").await;
        first.expects([200]).await.ack().await.says(Tone::A).await.hears(only(Tone::A)).await;
        is_recorded(&spool(&pbx).join("day.wav")).await;
        let mut second = pbx.phone("bob").await.invite("1").await;
        second.expects([200]).await.ack().await.says(Tone::C).await.hears(only(Tone::C)).await;
        let own = spool(&pbx).join("day-2.wav");
        is_recorded(&own).await;
        assert_eq!(told(&pbx).last(), Some(&own.display().to_string()));
        second.falls_silent().await.hears(Vec::new()).await;
        second.presses("#").await.hears(only(Tone::C)).await;
        first.hangs_up().await;
        second.is_hung_up().await;
    })
    .await;
}

#[tokio::test]
async fn a_recording_that_is_called_as_a_sound_is_not_played_in_its_place() {
    calmly(async || {
    let plan = format!(
        "exten => 1,1,Answer()\n same => n,Set(CALLERID(name)=beep)\n same => n,MixMonitor(${{CALLERID(name)}}.wav)\n same => n,Echo()\n \
         same => n,StopMixMonitor()\n same => n,Playback(beep)\n same => n,{}\n same => n,Record(x.wav,,0.1)\n",
        tell("${PLAYBACKSTATUS}"),
    );
    let pbx = TestPbx::with(&plan).await;
    let mut call = pbx.phone("alice").await.invite("1").await;
    call.expects([200]).await.ack().await.says(Tone::A).await.hears(only(Tone::A)).await;
    is_recorded(&spool(&pbx).join("beep.wav")).await;
    call.falls_silent().await.hears(Vec::new()).await;
    let mark = call.dialog.media.received().len();
    call.presses("#").await.is_hung_up().await;
    assert_eq!(told(&pbx), ["SUCCESS"]);
    let heard = call.dialog.media.received().split_off(mark);
    let heard: Vec<i16> = heard.iter().flat_map(|one| one.payload.iter().map(|byte| Law::Ulaw.decode(*byte))).collect();
    let is_alice = |window: &[i16]| sound_of(window).as_ref() == Some(&only(Tone::A));
    assert!(heard.len() > WINDOW && !heard.windows(WINDOW).step_by(PIECE).any(is_alice));
    })
    .await;
}

#[tokio::test]
async fn where_one_of_its_names_is_wrong_none_of_its_recordings_begins() {
    calmly(async || {
    let plan = format!(
        "exten => 1,1,Set(X=/etc/x)\n same => n,MixMonitor(a.wav,r(${{X}}.wav))\n same => n,MixMonitor(b.wav)\n same => n,{DIAL}\n"
    );
    let pbx = TestPbx::with(&plan).await;
    let (mut calling, mut called) = conversation(&pbx, "1").await;
    bob_hangs_up(&pbx, (&mut calling, &mut called)).await;
    assert_eq!(names(&spool(&pbx)), ["b.wav"]);
    })
    .await;
}

#[tokio::test]
async fn channels_decides_mono_or_split_and_a_script_may_want_it_otherwise() {
    calmly(async || {
        let plan =
            format!("exten => 1,1,MixMonitor(mono.wav)\n same => n,MixMonitor(split.wav,D)\n same => n,{DIAL}\n");
        let settings = "[recording]\nchannels = \"mix\"\n".to_owned();
        let pbx = TestPbx::unusual(&plan, Unusual { settings, ..Unusual::default() }).await;
        let (mut calling, mut called) = conversation(&pbx, "1").await;
        is_recorded(&spool(&pbx).join("split.wav")).await;
        bob_hangs_up(&pbx, (&mut calling, &mut called)).await;
        let both_at_once = Tone::A + Tone::B;
        assert!(holds(&spool(&pbx).join("mono.wav"), &[both_at_once]));
        assert!(holds(&spool(&pbx).join("split.wav"), &both()));
    })
    .await;
}

/// How much of 20 ms is the tone that tells of a recording: 1.0 is all of it, as loud as it is sent.
fn beep(samples: &[i16]) -> f64 {
    let step = std::f64::consts::TAU * 1_400.0 / 8_000.0;
    let wave = |at: usize, sample: &i16| {
        (f64::from(*sample) * (step * at as f64).cos(), f64::from(*sample) * (step * at as f64).sin())
    };
    let (real, imaginary) = samples
        .iter()
        .enumerate()
        .map(|(at, sample)| wave(at, sample))
        .fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    // -18 dB of full scale.
    2.0 * f64::hypot(real, imaginary) / samples.len() as f64 / 4_125.0
}

#[tokio::test]
async fn a_beep_is_heard_by_both_at_its_interval_and_is_not_recorded() {
    calmly(async || {
        let plan = format!("exten => 1,1,MixMonitor(b.wav,B(1))\n same => n,{DIAL}\n");
        let pbx = TestPbx::with(&plan).await;
        let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
        let (mut calling, mut called) = crate::call::talk(&alice, &mut bob, "1").await;
        calling.dialog.media.receives("alice", 140).await;
        called.dialog.media.receives("bob", 1).await;
        for (who, call) in [("alice", &calling), ("bob", &called)] {
            let samples = call.dialog.media.samples(0);
            let sounds: &[bool] = &samples.chunks_exact(160).map(|piece| beep(piece) > 0.5).collect::<Vec<_>>();
            // Where each begins and ends, but for one that has begun before or still sounds.
            let edges = |from: bool| (1..sounds.len()).filter(move |&at| sounds[at - 1] == from && sounds[at] != from);
            let (begins, ends): (Vec<usize>, Vec<usize>) = (edges(false).collect(), edges(true).collect());
            let apart: Vec<usize> = begins.windows(2).map(|pair| pair[1] - pair[0]).collect();
            assert!(
                !apart.is_empty() && apart.iter().all(|pieces| (45..60).contains(pieces)),
                "{who}: a second: {apart:?}"
            );
            let long = |begin: &usize| ends.iter().find(|end| *end > begin).map(|end| end - begin);
            let long: Vec<usize> = begins.iter().filter_map(long).collect();
            assert!(
                !long.is_empty() && long.iter().all(|pieces| (23..=27).contains(pieces)),
                "{who}: half a second: {long:?}"
            );
        }
        bob_hangs_up(&pbx, (&mut calling, &mut called)).await;
        let tracks = tracks(&spool(&pbx).join("b.wav"));
        assert!(tracks.iter().all(|track| track.chunks_exact(160).all(|piece| beep(piece) < 0.05)));
    })
    .await;
}
