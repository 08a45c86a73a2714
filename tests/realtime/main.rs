//! The media threads over real loopback sockets, and the proof that they allocate nothing while calls run.
//!
//! An allocator that counts is the allocator of this whole program, so the tests take turns.

mod counting;
mod recording;
mod stage;

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use wirechief::audio::codec::Codec;
use wirechief::audio::tone;
use wirechief::media::{Command, Event, OpenPort, PlayId, RoomId, Sides, Source, TapAudio, TapId};

use counting::{ALLOCATIONS, Counting};
use stage::{LOCALHOST, PATIENCE, Phone, Stage};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn two_joined_phones_hear_each_other_unchanged() {
    let stage = Stage::new(|_| {});
    let (mut a, mut b) = (stage.phone(), stage.phone());
    stage.join(&a, &b);
    let (mut first, mut filled, mut last) = (None, 0, Instant::now());
    for n in 1..=50u8 {
        let said = Instant::now();
        a.say(&[n; 160]);
        let (header, payload, silent) = b.hear_behind_silence();
        assert_eq!(payload, [n; 160]);
        if first.is_some() {
            filled += silent;
        }
        let first = *first.get_or_insert(header.sequence.wrapping_sub(n.into()));
        assert_eq!(header.sequence.wrapping_sub(first), u16::from(n) + filled, "none missing, none added");
        // Where this machine was busy with something else for half a second, the server has filled the pause.
        assert!(silent == 0 || n == 1 || last.elapsed() > Duration::from_millis(500), "{silent} of silence");
        last = said;
        b.say(&[n + 100; 160]);
        assert_eq!(a.hear_sound().1, [n + 100; 160]);
    }
    stage.engine.send(Command::Close { port: a.id() });
    let Event::Closed { stats, .. } = a.event() else { panic!("closed") };
    assert_eq!((stats.packets_in, stats.bytes_in, stats.lost, stats.malformed), (50, 8_000, 0, 0));
}

#[test]
fn a_port_plays_to_the_end_then_sends_silence_steadily() {
    let stage = Stage::new(|_| {});
    // A thread that gets no time from this machine for two ticks leaves one out, but not each time.
    let mut wrong = Vec::new();
    while let Err(what) = plays_steadily(&stage) {
        wrong.push(what);
        assert!(wrong.len() < 6, "{wrong:#?}");
    }
}

/// Plays a second to a new port and listens a little longer; where its time stamps are not steady.
fn plays_steadily(stage: &Stage) -> Result<(), String> {
    let mut phone = stage.phone();
    let mut samples = vec![0i16; 16_000];
    tone::Oscillator::new([1_000.0, 0.0], -10.0).fill(&mut samples);
    let source = Source::Samples { rate_hz: 16_000, samples: samples.into(), repeat: false };
    stage.engine.send(Command::Play { port: phone.id(), id: PlayId(7), source });
    let mut heard = Vec::new();
    let (first, payload) = phone.hear_sound();
    let mut samples = [0; 160];
    Codec::Pcmu.decode(&payload, &mut samples);
    heard.extend(samples);
    let mut uneven = 0;
    for n in 1..=55u16 {
        let (header, payload) = phone.hear();
        assert_eq!(header.sequence, first.sequence.wrapping_add(n));
        uneven += u32::from(header.timestamp != first.timestamp.wrapping_add(u32::from(n) * 160));
        Codec::Pcmu.decode(payload, &mut samples);
        heard.extend(samples);
    }
    // The oscillator counts samples of 8 kHz: at 16 kHz its tone is twice as high. After a second comes nothing.
    assert!((tone::level_db(&heard[..7_900], 2_000.0) + 10.0).abs() < 0.5);
    assert_eq!(heard[8_160..], [0; 8_960 - 8_160]);
    assert_eq!(phone.event(), Event::Played { id: PlayId(7), finished: true });
    stage.engine.send(Command::Close { port: phone.id() });
    if uneven == 0 { Ok(()) } else { Err(format!("{uneven} of 55 time stamps are not a tick each behind the first")) }
}

#[test]
fn an_echo_returns_sound_and_digits() {
    let stage = Stage::new(|_| {});
    let mut phone = stage.phone();
    stage.engine.send(Command::Echo { port: phone.id(), on: true });
    phone.say(&[9; 160]);
    assert_eq!(phone.hear_sound().1, [9; 160]);
    let mut event = phone.next.to_bytes().to_vec();
    event[1] = 101;
    event.extend([11, 0x8a, 3, 0x20]); // '#', end, 800 units
    phone.rtp.send_to(&event, phone.port.rtp).expect("sent");
    assert_eq!(phone.event(), Event::Digit { port: phone.id(), digit: '#', ms: 100 });
    loop {
        let (header, payload) = phone.hear();
        if header.payload_type == 101 {
            assert_eq!(payload, [11, 0x8a, 3, 0x20]);
            break;
        }
    }
}

#[test]
fn a_running_call_with_a_supervisor_allocates_nothing() {
    let stage = Stage::new(|config| config.rtcp_interval = Duration::from_millis(100));
    let (mut a, mut b, mut c) = (stage.phone(), stage.phone(), stage.phone());
    stage.join(&a, &b);
    let (out, mut frames) = rtrb::RingBuffer::new(64);
    let (mut voice, said) = rtrb::RingBuffer::new(64);
    let (events, _ended) = mpsc::channel(4);
    let audio = TapAudio { out, voice: said, events };
    stage.engine.send(Command::Attach {
        tap: TapId(1),
        left: Some(a.id()),
        right: Some(b.id()),
        hears: Sides::BOTH,
        heard_by: Sides::LEFT,
        audio,
    });
    let mut music = vec![0i16; 80_000];
    tone::Oscillator::new([440.0, 0.0], -10.0).fill(&mut music);
    let source = Source::Samples { rate_hz: 8_000, samples: music.into(), repeat: true };
    stage.engine.send(Command::Play { port: c.id(), id: PlayId(1), source });
    // A second of call, to the beat of the port that plays; the first ten packets are not counted.
    let mut before = 0;
    let mut mixed = 0;
    for n in 0..60u8 {
        c.hear_sound();
        if n == 10 {
            before = ALLOCATIONS.load(Ordering::SeqCst);
        }
        let _ = voice.push([7_000; 160]);
        a.say(&[n + 1; 160]);
        assert_eq!(b.hear_sound().1, [n + 1; 160], "towards b nobody speaks");
        b.say(&[n + 1; 160]);
        mixed += u32::from(a.hear_sound().1 != [n + 1; 160]);
        while frames.pop().is_ok() {}
    }
    let during = ALLOCATIONS.load(Ordering::SeqCst) - before;
    assert!(mixed > 40, "{mixed} of 60 packets towards a were mixed");
    assert_eq!(during, 0, "allocations while three ports, a bridge, a tap and reports were running");
}

#[test]
fn supervisors_phones_taps_hold_and_sound_played_over_allocate_nothing() {
    let stage = Stage::new(|config| (config.rtcp_interval, config.threads) = (Duration::from_millis(100), 2));
    let (mut a, mut b) = (stage.phone(), stage.phone());
    stage.join(&a, &b);
    // Two supervisors on phones of either thread, and one without, who only listens.
    let mut phones = [stage.phone(), stage.phone()];
    for (number, phone) in (1..).zip(&phones) {
        let (out, heard) = rtrb::RingBuffer::new(64);
        let (voice, said) = rtrb::RingBuffer::new(10);
        let audio = TapAudio { out, voice: said, events: mpsc::channel(4).0 };
        let (hears, heard_by) = (Sides::BOTH, Sides::BOTH);
        let (tap, left, right) = (TapId(number), Some(a.id()), Some(b.id()));
        stage.engine.send(Command::Attach { tap, left, right, hears, heard_by, audio });
        stage.engine.send(Command::Supervise { port: phone.id(), heard, voice });
        stage.engine.send(Command::SetVolume { port: phone.id(), steps: 2 });
    }
    let (out, mut frames) = rtrb::RingBuffer::new(64);
    let audio = TapAudio { out, voice: rtrb::RingBuffer::new(1).1, events: mpsc::channel(4).0 };
    let (tap, left, right) = (TapId(3), Some(a.id()), Some(b.id()));
    let (hears, heard_by) = (Sides::BOTH, Sides::NONE);
    stage.engine.send(Command::Attach { tap, left, right, hears, heard_by, audio });
    let steps = [wirechief::media::ToneStep { hz: [440.0, 0.0], ms: 100, level_db: -10.0 }];
    let tones = || Source::Tones { steps: steps.into(), repeat: true };
    stage.engine.send(Command::PlayOver { port: a.id(), id: PlayId(1), source: tones() });
    stage.engine.send(Command::PlayOver { port: phones[0].id(), id: PlayId(2), source: tones() });
    let mut held = stage.phone();
    let other = stage.phone();
    stage.join(&held, &other);
    stage.engine.send(Command::Hold { port: held.id(), music: tones() });
    let mut keys = tone::Oscillator::new([697.0, 1_209.0], -12.0);
    let mut before = 0;
    let (mut mixed, mut heard_others) = (0, 0);
    for n in 0..70u8 {
        held.hear_sound();
        if n == 20 {
            before = ALLOCATIONS.load(Ordering::SeqCst);
        }
        a.say(&[n + 1; 160]);
        b.say(&[n + 1; 160]);
        mixed += u32::from(a.hear_sound().1 != [n + 1; 160]);
        b.hear_sound();
        for (phone, is_pressing) in phones.iter_mut().zip([n / 10 % 2 == 0, false]) {
            let (mut samples, mut payload) = ([9_000; 160], [0x90; 160]);
            if is_pressing {
                keys.fill(&mut samples);
            }
            Codec::Pcmu.encode(&samples, &mut payload);
            phone.say(&payload);
            phone.hear();
        }
        while let Ok(frame) = frames.pop() {
            heard_others += u32::from(frame[320..].iter().any(|&sample| sample != 0));
        }
    }
    let during = ALLOCATIONS.load(Ordering::SeqCst) - before;
    let mut digit = None;
    while let Ok(event) = phones[0].events.try_recv() {
        digit = if let Event::Digit { digit, .. } = event { Some(digit) } else { digit };
    }
    assert!(mixed > 40 && heard_others > 20, "{mixed} mixed, {heard_others} frames of other supervisors");
    assert_eq!(digit, Some('1'), "keys were found meanwhile");
    assert_eq!(
        during, 0,
        "allocations while supervisors' phones, three taps, a hold and tones over calls were running"
    );
}

#[test]
fn a_tap_follows_its_ports_from_thread_to_thread() {
    let stage = Stage::new(|config| config.threads = 2);
    let (a, b) = (stage.phone(), stage.phone());
    let (out, mut frames) = rtrb::RingBuffer::new(64);
    let audio = TapAudio { out, voice: rtrb::RingBuffer::new(1).1, events: mpsc::channel(4).0 };
    let (hears, heard_by) = (Sides::BOTH, Sides::NONE);
    let (tap, left, right) = (TapId(1), Some(a.id()), None);
    stage.engine.send(Command::Attach { tap, left, right, hears, heard_by, audio });
    let mut hears = |phone: &mut Phone| {
        for _ in 0..500 {
            phone.say(&[0x90; 160]);
            phone.hear();
            while let Ok(frame) = frames.pop() {
                if frame[..160].iter().any(|&sample| sample != 0) {
                    return;
                }
            }
        }
        panic!("not heard");
    };
    let (mut a, mut b) = (a, b);
    for _ in 0..3 {
        stage.engine.send(Command::MoveTap { tap, left: Some(a.id()), right: None });
        hears(&mut a);
        stage.engine.send(Command::MoveTap { tap, left: Some(b.id()), right: Some(a.id()) });
        hears(&mut b);
    }
    stage.engine.send(Command::Detach { tap });
}

#[test]
fn a_room_of_members_who_talk_press_keys_and_hear_music_allocates_nothing() {
    const ROOM: RoomId = RoomId(1);
    let stage = Stage::new(|config| (config.rtcp_interval, config.threads) = (Duration::from_millis(100), 2));
    let mut phones: Vec<Phone> = (0..5).map(|_| stage.phone()).collect();
    for phone in &phones {
        stage.engine.send(Command::EnterRoom { room: ROOM, port: phone.id(), muted: false });
    }
    let mut music = vec![0i16; 80_000];
    tone::Oscillator::new([440.0, 0.0], -30.0).fill(&mut music);
    let source = Source::Samples { rate_hz: 8_000, samples: music.into(), repeat: true };
    stage.engine.send(Command::PlayToRoom { room: ROOM, source });
    let mut before = 0;
    let mut loudest = 0;
    for n in 0..60u8 {
        if n == 10 {
            before = ALLOCATIONS.load(Ordering::SeqCst);
        }
        for phone in &mut phones {
            phone.say(&[0xb0; 160]);
        }
        if n % 10 == 5 {
            let mut packet = [0; 16];
            packet[..12].copy_from_slice(&phones[4].next.to_bytes());
            packet[1] = 101;
            packet[12..].copy_from_slice(&[n / 10, 0x8a, 3, 0x20]); // its end, 800 units
            phones[4].rtp.send_to(&packet, phones[4].port.rtp).expect("sent");
        }
        let mut samples = [0i16; 160];
        for phone in &mut phones {
            let (_, payload) = phone.hear();
            Codec::Pcmu.decode(payload, &mut samples);
            loudest = loudest.max(samples[80]);
        }
    }
    let during = ALLOCATIONS.load(Ordering::SeqCst) - before;
    let mut one = [0i16];
    Codec::Pcmu.decode(&[0xb0], &mut one);
    assert!(loudest > 3 * one[0], "four others at {} each, {loudest} in all", one[0]);
    assert_eq!(during, 0, "allocations while a room of five was running");
    for phone in &mut phones {
        stage.engine.send(Command::LeaveRoom { port: phone.id() });
    }
    assert_eq!(stage.engine.stats().send_failures, 0);
}

#[test]
fn a_supervisor_hears_both_parties_soon() {
    let stage = Stage::new(|_| {});
    let (mut a, mut b) = (stage.phone(), stage.phone());
    stage.join(&a, &b);
    // The phones are as steady as this machine lets them: it may be busy with something else, but not each time.
    let mut wrong = Vec::new();
    let (tap, mut ended) = loop {
        let tap = TapId(1 + wrong.len() as u64);
        let (events, ended) = mpsc::channel(4);
        match listens(&stage, [&mut a, &mut b], (tap, events)) {
            Ok(()) => break (tap, ended),
            Err(what) => wrong.push(what),
        }
        assert!(wrong.len() < 20, "{wrong:#?}");
        stage.engine.send(Command::Detach { tap });
    };
    stage.engine.send(Command::Close { port: a.id() });
    assert_eq!(ended.blocking_recv(), Some(Event::SideEmpty { tap }));
}

/// Listens for 1.2 s to two who say a tone each; what is wrong with that.
fn listens(stage: &Stage, [a, b]: [&mut Phone; 2], (tap, events): (TapId, mpsc::Sender<Event>)) -> Result<(), String> {
    let mut tones = [tone::Oscillator::new([450.0, 0.0], -10.0), tone::Oscillator::new([700.0, 0.0], -10.0)];
    let (out, mut frames) = rtrb::RingBuffer::new(64);
    let (_voice, said) = rtrb::RingBuffer::new(64);
    let audio = TapAudio { out, voice: said, events };
    let (left, right) = (Some(a.id()), Some(b.id()));
    let (hears, heard_by) = (Sides::BOTH, Sides::NONE);
    stage.engine.send(Command::Attach { tap, left, right, hears, heard_by, audio });
    let mut heard = [Vec::new(), Vec::new()];
    let mut clock = stage.phone();
    for _ in 0..60 {
        clock.hear();
        for (phone, tone) in [&mut *a, &mut *b].into_iter().zip(&mut tones) {
            let (mut samples, mut payload) = ([0; 160], [0; 160]);
            tone.fill(&mut samples);
            Codec::Pcmu.encode(&samples, &mut payload);
            phone.say(&payload);
        }
        while let Ok(frame) = frames.pop() {
            heard[0].extend_from_slice(&frame[..160]);
            heard[1].extend_from_slice(&frame[160..320]);
        }
    }
    let checks = |is_so: bool, what: String| if is_so { Ok(()) } else { Err(what) };
    checks(heard[0].len() >= 55 * 160, format!("{} samples in 1.2 s", heard[0].len()))?;
    for (heard, (own, other)) in heard.iter().zip([(450.0, 700.0), (700.0, 450.0)]) {
        let steady = &heard[2_400..8_000];
        let [own_db, other_db] = [own, other].map(|hz| tone::level_db(steady, hz));
        checks(own_db > -12.0 && other_db < -45.0, format!("{own} Hz at {own_db} dB, {other} Hz at {other_db} dB"))?;
        let first = heard.iter().position(|sample: &i16| sample.unsigned_abs() > 500).unwrap_or(heard.len());
        checks(first <= 800, format!("first sound after {} ms", first / 8))?;
    }
    Ok(())
}

#[test]
fn a_stranger_neither_reaches_a_port_nor_hears_it() {
    let stage = Stage::new(|_| {});
    let (mut a, mut b) = (stage.phone(), stage.phone());
    stage.join(&a, &b);
    let stranger = UdpSocket::bind((LOCALHOST, 0)).expect("a socket");
    stranger.set_nonblocking(true).expect("a flag");
    a.say(&[200; 160]);
    assert_eq!(b.hear_sound().1, [200; 160], "configured: from now on the kernel knows whom to let in");
    for n in 1..=50u8 {
        let mut forged = a.next.to_bytes().to_vec();
        forged.extend([0xee; 160]);
        stranger.send_to(&forged, a.port.rtp).expect("sent");
        a.say(&[n; 160]);
        assert_eq!(b.hear_sound().1, [n; 160]);
    }
    assert!(stranger.recv(&mut [0; 16]).is_err(), "never answered");
    stage.engine.send(Command::Close { port: a.id() });
    let Event::Closed { stats, .. } = a.event() else { panic!("closed") };
    assert_eq!((stats.packets_in, stats.strangers), (51, 0), "dropped before they reached the thread");
}

#[test]
fn behind_a_nat_the_source_is_learnt_and_answered() {
    let stage = Stage::new(|_| {});
    // Described at an address where nobody is; signalling came from 127.0.0.1.
    let nowhere: SocketAddr = "127.9.9.9:9".parse().expect("an address");
    let mut a = stage.phone_with(|stream| (stream.remote, stream.nat_source) = (nowhere, Some(LOCALHOST)));
    let mut b = stage.phone();
    stage.join(&a, &b);
    for n in 1..=4u8 {
        a.say(&[n; 160]);
        assert_eq!(b.hear_sound().1, [n; 160]);
    }
    let remote = a.rtp.local_addr().expect("an address");
    assert_eq!(a.event(), Event::Latched { port: a.id(), remote });
    b.say(&[77; 160]);
    assert_eq!(a.hear_sound().1, [77; 160]);
}

#[test]
fn ports_of_two_threads_are_brought_together() {
    let stage = Stage::new(|config| config.threads = 2);
    let (mut a, mut b) = (stage.phone(), stage.phone());
    for _ in 0..3 {
        stage.join(&a, &b);
        a.say(&[5; 160]);
        assert_eq!(b.hear_sound().1, [5; 160]);
        b.say(&[6; 160]);
        assert_eq!(a.hear_sound().1, [6; 160]);
    }
    assert_eq!(stage.engine.stats().send_failures, 0);
}

#[test]
fn reports_come_and_end_with_a_goodbye() {
    let stage = Stage::new(|config| config.rtcp_interval = Duration::from_millis(200));
    let mut phone = stage.phone();
    let mut buffer = [0; 200];
    let length = phone.rtcp.recv(&mut buffer).expect("a report in time");
    let ours = phone.hear().0.ssrc;
    let report = wirechief::rtp::rtcp::parse(&buffer[..length], 0).expect("RTCP");
    assert_eq!(report.sender.map(|(ssrc, _)| ssrc), Some(ours));
    stage.engine.send(Command::Close { port: phone.id() });
    loop {
        let length = phone.rtcp.recv(&mut buffer).expect("a goodbye in time");
        if wirechief::rtp::rtcp::parse(&buffer[..length], 0).expect("RTCP").leaving {
            break;
        }
    }
}

#[test]
fn ports_are_even_skipped_when_taken_and_drained_before_reuse() {
    // An address that nobody else has a port at.
    let own = IpAddr::from([127, 0, 49, 1]);
    let stage = Stage::new(|config| {
        (config.bind, config.ports, config.drain) = (own, 49_000..=49_007, Duration::from_millis(300));
    });
    // RTCP of the second pair is taken: the pair is skipped.
    let _taken = UdpSocket::bind((own, 49_003)).expect("a socket");
    let open = || stage.engine.open(None, mpsc::channel(4).0);
    let ports: Vec<OpenPort> = std::iter::from_fn(|| open().ok()).collect();
    let mut numbers: Vec<u16> = ports.iter().map(|port| port.rtp.port()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [49_000, 49_004, 49_006]);
    let message = open().expect_err("all taken").to_string();
    assert_eq!(message, "all RTP ports from 49000 to 49007 on 127.0.49.1 are taken");
    // A port that heard nobody is free at once.
    let free = |port: &OpenPort| {
        let closed = Instant::now();
        stage.engine.send(Command::Close { port: port.id });
        loop {
            match open() {
                Ok(again) => {
                    assert_eq!(again.rtp, port.rtp);
                    return (again, closed.elapsed());
                }
                Err(_) => assert!(closed.elapsed() < PATIENCE, "a closed port is free again"),
            }
            std::thread::yield_now();
        }
    };
    let (again, _) = free(&ports[0]);
    let (events, told) = mpsc::channel(4);
    stage.engine.send(Command::Close { port: again.id });
    let heard = loop {
        if let Ok(port) = stage.engine.open(None, events.clone()) {
            break port;
        }
    };
    let mut phone = Phone::new(heard, told);
    stage.engine.send(Command::Configure { port: heard.id, stream: phone.stream() });
    stage.engine.send(Command::Echo { port: heard.id, on: true });
    phone.say(&[1; 160]);
    phone.hear();
    assert!(free(&heard).1 >= Duration::from_millis(300), "late packets must not meet the next call");
}

#[test]
fn an_engine_ends_with_its_last_handle() {
    let stage = Stage::new(|_| {});
    let mut phone = stage.phone();
    let Stage { engine, _turn } = stage;
    let other = engine.clone();
    drop(engine);
    assert!(matches!(other.open(None, mpsc::channel(1).0), Ok(OpenPort { .. })));
    other.shutdown();
    assert!(matches!(phone.event(), Event::Closed { .. }));
    assert!(other.open(None, mpsc::channel(1).0).is_err());
}
