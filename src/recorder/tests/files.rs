//! What is in the files: layouts, forms, levels, pauses, masks, further parts, and recordings that go on.

use super::*;
use crate::recorder::Rate;
use crate::recorder::order::{Form, Layout, Levels, RecorderError, Whispers};
use std::time::Duration;

#[test]
fn a_mix_has_both_parties_at_full_level_and_saturates() {
    let mut stand = Stand::new(|order| order.layout = Layout::Mix);
    Talker::left().talk(&mut stand, 0, 1_000);
    Talker::right().talk(&mut stand, 0, 1_000);
    for (ssrc, origin) in [(1, Origin::Left), (2, Origin::Right)] {
        let numbers = (0, 0, ssrc);
        stand.send(1_520.0, (origin, Content::Sound(Codec::Pcmu)), numbers, vec![0x80; 160]);
    }
    let (finished, tracks) = stand.finish(1_600);
    assert_eq!((finished.channels, finished.frames), (1, 12_800));
    assert!(sounds(&tracks[0], 0..1_000, LEFT_HZ) && sounds(&tracks[0], 0..1_000, RIGHT_HZ));
    assert_eq!(tracks[0][12_080], i16::MAX);
}

#[test]
fn what_supervisors_say_is_left_out_or_has_a_track_of_its_own() {
    for whispers in [Whispers::LeaveOut, Whispers::OwnTrack] {
        let mut stand = Stand::new(|order| order.whispers = whispers);
        Talker::left().talk(&mut stand, 0, 1_000);
        Talker::right().talk(&mut stand, 0, 1_000);
        // Two supervisors, who share the track.
        for (ssrc, hz) in [(1, 1_000.0), (2, 1_300.0)] {
            let mut oscillator = Oscillator::new([hz, 0.0], -10.0);
            for at in 0..50 {
                let mut samples = [0; 160];
                oscillator.fill(&mut samples);
                let payload = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
                stand.send(f64::from(at * 20 + 20), (Origin::Supervisor, Content::Samples), (0, 0, ssrc), payload);
            }
        }
        let (finished, tracks) = stand.finish(1_000);
        for party in &tracks[..2] {
            assert!(tone::level_db(party, 1_000.0) < -60.0 && tone::level_db(party, 1_300.0) < -60.0);
        }
        match whispers {
            Whispers::LeaveOut => assert_eq!(finished.channels, 2),
            Whispers::OwnTrack => {
                assert!(sounds(&tracks[2], 0..1_000, 1_000.0) && sounds(&tracks[2], 0..1_000, 1_300.0));
                assert!(tone::level_db(&tracks[2], LEFT_HZ) < -60.0);
            }
        }
    }
}

#[test]
fn a_pause_cuts_time_out_and_keeps_nothing_of_it() {
    let mut stand = Stand::new(|_| {});
    let mut left = Talker::left();
    left.talk(&mut stand, 0, 1_000);
    left.oscillator = Oscillator::new([1_500.0, 0.0], -10.0); // the number of a card
    left.talk(&mut stand, 1_000, 4_000);
    left.oscillator = Oscillator::new([LEFT_HZ, 0.0], -10.0);
    left.talk(&mut stand, 4_000, 6_000);
    stand.wish(1_000, &Wish::Pause);
    stand.wish(4_000, &Wish::Resume);
    let (finished, tracks) = stand.finish(6_000);
    assert_eq!((finished.frames, gaps(&finished)), (24_000, vec![]));
    assert_eq!(finished.pauses.iter().map(|pause| (pause.from_ms, pause.ms)).collect::<Vec<_>>(), [(1_000, 3_000)]);
    assert!(tone::level_db(&tracks[0], 1_500.0) < -60.0, "nothing of the pause");
    assert!(sounds(&tracks[0], 0..998, LEFT_HZ) && sounds(&tracks[0], 1_002..3_000, LEFT_HZ));
}

#[test]
fn what_was_said_in_a_pause_is_not_kept_though_it_comes_after_it() {
    let mut stand = Stand::new(|_| {});
    let mut left = Talker::left();
    left.talk(&mut stand, 0, 1_000);
    left.oscillator = Oscillator::new([1_500.0, 0.0], -10.0);
    for at in 0..50 {
        left.speak(&mut stand, f64::from(1_020 + at * 20) + if at > 40 { 150.0 } else { 0.0 });
    }
    left.oscillator = Oscillator::new([LEFT_HZ, 0.0], -10.0);
    left.talk(&mut stand, 2_000, 3_000);
    stand.wish(1_000, &Wish::Pause);
    stand.wish(2_000, &Wish::Resume);
    let (finished, tracks) = stand.finish(3_000);
    assert_eq!(finished.frames, 16_000);
    assert!(tone::level_db(&tracks[0], 1_500.0) < -60.0);
    assert!(sounds(&tracks[0], 1_200..2_000, LEFT_HZ));
}

#[test]
fn a_time_stamp_takes_nothing_out_of_a_mask_or_a_pause() {
    for rate in [Rate::Hz8000, Rate::Hz16000] {
        for (begin, end) in [(Wish::Mask, Wish::Unmask), (Wish::Pause, Wish::Resume)] {
            let mut stand = Stand::new(|order| order.rate = rate);
            let mut left = Talker::left();
            left.talk(&mut stand, 0, 1_000);
            left.timestamp = left.timestamp.wrapping_add(190 * 8); // it says that it is later than it is
            left.oscillator = Oscillator::new([1_500.0, 0.0], -10.0); // the number of a card
            left.talk(&mut stand, 1_000, 1_180);
            left.oscillator = Oscillator::new([LEFT_HZ, 0.0], -10.0);
            left.talk(&mut stand, 1_180, 3_000);
            stand.wish(1_000, &begin);
            stand.wish(1_180, &end);
            let (_, tracks) = stand.finish(3_000);
            let (factor, per_ms) = (8_000.0 / rate.hz() as f32, rate.hz() as usize / 1_000);
            let secret = &tracks[0][1_000 * per_ms..1_400 * per_ms];
            let level = tone::level_db(secret, 1_500.0 * factor);
            assert!(level < -45.0, "{rate:?}, {begin:?}: {level}");
            assert!(tone::level_db(&tracks[0][..900 * per_ms], LEFT_HZ * factor) > -11.0);
        }
    }
}

#[test]
fn a_mask_is_silence_in_its_place() {
    let mut stand = Stand::new(|_| {});
    Talker::left().talk(&mut stand, 0, 4_000);
    Talker::right().talk(&mut stand, 0, 4_000);
    stand.wish(1_000, &Wish::Mask);
    stand.wish(2_500, &Wish::Unmask);
    stand.wish(3_500, &Wish::Mask);
    let (finished, tracks) = stand.finish(4_000);
    assert_eq!(finished.frames, 32_000);
    let masks: Vec<(u64, u64)> = finished.masks.iter().map(|mask| (mask.from_ms, mask.ms)).collect();
    assert_eq!(masks, [(1_000, 1_500), (3_500, 500)]);
    for (track, hz) in tracks.iter().zip([LEFT_HZ, RIGHT_HZ]) {
        assert!(sounds(track, 0..1_000, hz) && is_silent(track, 1_000..2_500));
        assert!(sounds(track, 2_500..3_500, hz) && is_silent(track, 3_500..4_000));
    }
}

#[test]
fn levels_are_those_of_mixmonitor() {
    let mut stand = Stand::new(|order| order.levels = Levels { spoken: 2, heard: -4 });
    Talker::left().talk(&mut stand, 0, 1_000);
    Talker::right().talk(&mut stand, 0, 1_000);
    let (_, tracks) = stand.finish(1_000);
    assert!((tone::level_db(&tracks[0], LEFT_HZ) + 4.0).abs() < 0.5, "twice is 6 dB more");
    assert!((tone::level_db(&tracks[1], RIGHT_HZ) + 22.0).abs() < 0.5, "a fourth is 12 dB less");
}

#[test]
fn a_file_is_followed_by_another_before_it_is_too_large() {
    let mut stand = Stand::new(|order| order.roll_at_bytes = 44 + 4 * 8_000);
    std::fs::write(stand.path("call-3.wav"), "another's").expect("written");
    Talker::left().talk(&mut stand, 0, 3_500);
    let names = ["call.wav", "call-2.wav", "call-4.wav", "call-5.wav"].map(|name| stand.path(name));
    let folder = stand.folder.path().to_owned();
    stand.run(3_500);
    let finished = stand.session.finish(START_US + 3_500_000, &mut stand.tools);
    let tracks = tracks(&finished);
    assert_eq!(finished.files.iter().map(|part| &part.path).collect::<Vec<_>>(), names.iter().collect::<Vec<_>>());
    assert_eq!(finished.files.iter().map(|part| part.frames).collect::<Vec<_>>(), [8_000, 8_000, 8_000, 4_000]);
    assert!(sounds(&tracks[0], 0..3_500, LEFT_HZ));
    assert_eq!(std::fs::read(folder.join("call-3.wav")).expect("read"), b"another's");
}

#[test]
fn segments_are_files_of_one_length() {
    let mut stand = Stand::new(|order| order.segment = Some(Duration::from_secs(2)));
    Talker::left().talk(&mut stand, 0, 5_000);
    let (finished, tracks) = stand.finish(5_000);
    assert_eq!(finished.files.iter().map(|part| part.frames).collect::<Vec<_>>(), [16_000, 16_000, 8_000]);
    assert!(sounds(&tracks[0], 0..5_000, LEFT_HZ));
}

#[test]
fn appended_sound_follows_what_was_there() {
    let mut stand = Stand::new(|_| {});
    Talker::left().talk(&mut stand, 0, 1_000);
    let path = stand.path("call.wav");
    stand.run(1_000);
    let folder = stand.folder;
    stand.session.finish(START_US + 1_000_000, &mut stand.tools);
    let again = Order { append: true, ..Order::new(&path) };
    let mut stand = Stand::within(folder, Arc::new(System), again);
    Talker::right().talk(&mut stand, 0, 1_000);
    stand.wish(500, &Wish::Mask);
    stand.wish(600, &Wish::Unmask);
    let (finished, tracks) = stand.finish(1_000);
    assert_eq!((finished.frames, finished.masks[0].from_ms), (16_000, 1_500));
    assert!(sounds(&tracks[0], 0..1_000, LEFT_HZ) && is_silent(&tracks[0], 1_001..2_000));
    assert!(is_silent(&tracks[1], 0..999) && sounds(&tracks[1], 1_001..1_499, RIGHT_HZ));
}

#[test]
fn files_that_exist_are_never_written_over_nor_appended_to_in_another_form() {
    let stand = Stand::new(|_| {});
    let path = stand.path("call.wav");
    let start = |order: Order| {
        let key = CopyLink::new().0.recording(mpsc::channel(1).0).1;
        Session::open(order, key, Arc::new(System), START_US).map(|_| ())
    };
    assert!(matches!(start(Order::new(&path)), Err(RecorderError::File { .. })));
    let mono = Order { append: true, layout: Layout::Mix, ..Order::new(&path) };
    assert!(matches!(start(mono), Err(RecorderError::OtherForm { .. })));
    std::os::unix::fs::symlink(&path, stand.path("link.wav")).expect("a link");
    let link = Order { append: true, ..Order::new(stand.path("link.wav")) };
    assert!(matches!(start(link), Err(RecorderError::File { .. })));
    std::os::unix::fs::symlink(stand.path("nowhere.wav"), stand.path("dangling.wav")).expect("a link");
    assert!(start(Order::new(stand.path("dangling.wav"))).is_err() && !stand.path("nowhere.wav").exists());
}

#[test]
fn files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let stand = Stand::new(|_| {});
    let mode = std::fs::metadata(stand.path("call.wav")).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_law_is_kept_byte_by_byte_and_gaps_are_its_silence() {
    let mut stand = Stand::new(|order| order.form = Form::AsCame(Codec::Pcma));
    let content = Content::Sound(Codec::Pcma);
    for (at, numbers) in [(0, (1, 160, 5)), (2, (3, 480, 5))] {
        let payload = (0..160).map(|byte| (byte + at) as u8).collect();
        stand.send(f64::from(at * 20 + 20), (Origin::Left, content), numbers, payload);
    }
    stand.run(400);
    let path = stand.path("call.wav");
    let finished = stand.session.finish(START_US + 100_125, &mut stand.tools);
    let bytes = std::fs::read(&path).expect("a file");
    assert_eq!(finished.frames, bytes.len() as u64 / 2 - 29);
    let left: Vec<u8> = bytes[58..].iter().step_by(2).copied().collect();
    assert_eq!(left[..160], (0..160).collect::<Vec<u8>>());
    assert_eq!(left[160..320], [0xd5; 160]);
    assert_eq!(left[320..480], (2..162).collect::<Vec<u8>>());
    assert!(bytes[59..].iter().step_by(2).all(|&byte| byte == 0xd5), "nothing came of the right party");
    let sound = crate::audio::file::decode(&bytes).expect("a WAV file that others read");
    assert_eq!((sound.rate_hz, sound.samples.len() as u64), (8_000, finished.frames));
    let mixed = Order { layout: Layout::Mix, form: Form::AsCame(Codec::Pcma), ..Order::new("/nowhere/x.wav") };
    let key = CopyLink::new().0.recording(mpsc::channel(1).0).1;
    let refused = Session::open(mixed, key, Arc::new(System), START_US);
    assert!(matches!(refused, Err(RecorderError::NotAsCame)));
}

#[test]
fn a_call_is_never_more_than_half_a_second_ahead_of_its_file() {
    let mut stand = Stand::new(|_| {});
    Talker::left().talk(&mut stand, 0, 5_000);
    let path = stand.path("call.wav");
    for ms in (260..5_000).step_by(20) {
        stand.run(ms);
        let there = u64::from(hound::WavReader::open(&path).expect("a WAV file").duration()) / 8;
        assert!(there <= ms && ms - there < 360, "{there} of {ms} ms are in the file");
    }
}
