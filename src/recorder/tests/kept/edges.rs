//! The edges of pauses and masks, whatever packets say of themselves; changes of codec; packets that come late.

use super::*;

/// Sends a packet of 20 ms, or of what `toc` says, with a number in it, at a time with a time stamp in ms.
fn send(stand: &mut Stand, toc: u8, number: u32, (at_ms, stamp_ms): (u32, u32)) {
    let payload = [&[toc], &number.to_be_bytes()[..]].concat();
    stand.send(f64::from(at_ms), (Origin::Left, OPUS), (number as u16, stamp_ms * 48, 7), payload);
}

#[test]
fn what_a_frame_repeats_of_a_pause_or_a_mask_is_not_there() {
    for (toc, ms) in [(0x40, 10_u32), (0x48, 20), (0x50, 40), (0x58, 60), (0x78, 20)] {
        let mut stand = stand(|_| {});
        // Every frame has the one before in it.
        let repeats = 0x80_u32 >> ms.div_ceil(20) << 24;
        let count = 6_000 / ms;
        for number in 0..count {
            let end = (number + 1) * ms;
            let payload = [&[toc], &(number | repeats).to_be_bytes()[..]].concat();
            stand.send(f64::from(end), (Origin::Left, OPUS), (number as u16, number * ms * 48, 7), payload);
        }
        stand.wish(1_003, &Wish::Pause);
        stand.wish(2_011, &Wish::Resume);
        stand.wish(3_005, &Wish::Mask);
        stand.wish(4_001, &Wish::Unmask);
        stand.run(6_000);
        let finished = stand.session.finish(START_US + 6_000_000, &mut stand.tools);
        let heard: Vec<u32> = numbers(&frames(&finished, 0)).iter().map(|number| number & !repeats).collect();
        for number in &heard {
            let (from, until) = ((number * ms).saturating_sub(ms), (number + 1) * ms);
            assert!(
                [1_003..2_011, 3_005..4_001].iter().all(|at| until <= at.start || at.end <= from),
                "{toc:x}: {number}"
            );
        }
        let missing = count * ms - heard.len() as u32 * ms;
        assert!(missing <= 2_004 + 6 * ms + 40, "{toc:x}: {missing} ms are missing");
    }
}

#[test]
fn a_time_stamp_takes_nothing_out_of_a_mask_or_a_pause() {
    for (begin, end) in [(Wish::Mask, Wish::Unmask), (Wish::Pause, Wish::Resume)] {
        let mut stand = stand(|_| {});
        for number in 0..200 {
            // From two seconds on it says that it is later than it is.
            let ahead = if number >= 100 { 190 } else { 0 };
            send(&mut stand, 0xf8, number, ((number + 1) * 20, number * 20 + ahead));
        }
        stand.wish(2_000, &begin);
        stand.wish(2_180, &end);
        stand.run(4_500);
        let finished = stand.session.finish(START_US + 4_500_000, &mut stand.tools);
        let heard = numbers(&frames(&finished, 0));
        assert!(heard.iter().all(|number| !(100..109).contains(number)), "{begin:?}: {heard:?}");
        assert!(heard.len() > 170, "{begin:?}: {}", heard.len());
    }
}

#[test]
fn what_came_in_another_codec_beside_a_frame_is_told() {
    let mut stand = stand(|_| {});
    Talker::left().talk(&mut stand, 0, 980);
    let mut phone = Phone::new(Origin::Left, TOCS[7], 985.0);
    phone.talk(&mut stand, 2_000.0);
    stand.run(2_000);
    let finished = stand.session.finish(START_US + 2_000_000, &mut stand.tools);
    assert_eq!(frames(&finished, 0).iter().filter(|(at, _)| *at >= 960.0).count(), phone.sent as usize);
    let unfit: Vec<_> = gaps(&finished).into_iter().filter(|gap| gap.3 == Why::Unfit).collect();
    assert!(matches!(unfit[..], [(Side::Left, 960, 15..=25, _)]), "{unfit:?}");
}

#[test]
fn packets_of_any_length_may_come_late() {
    for (toc, ms, late) in [(0xf8, 20_u32, 155), (0x58, 60, 150), (0x59, 120, 140)] {
        let mut stand = stand(|_| {});
        let count = 12_000 / ms;
        for number in 0..count {
            let delay = if number % 7 == 3 { late } else { 0 };
            let mut payload = [&[toc], &number.to_be_bytes()[..]].concat();
            if toc & 3 == 1 {
                payload.extend(number.to_be_bytes());
            }
            let at = f64::from((number + 1) * ms + delay);
            stand.send(at, (Origin::Left, OPUS), (number as u16, number * ms * 48, 7), payload);
        }
        stand.run(12_400);
        let finished = stand.session.finish(START_US + 12_400_000, &mut stand.tools);
        let mut heard = numbers(&frames(&finished, 0));
        heard.dedup();
        assert_eq!(heard, (0..count).collect::<Vec<_>>(), "{toc:x}");
    }
}

#[test]
fn pages_that_a_failed_write_left_are_not_taken_for_the_end() {
    let (finished, _folder) = two_seconds();
    let path = &finished.files[0].path;
    let whole = std::fs::read(path).expect("the file");
    let middle =
        whole.len() / 2 + whole[whole.len() / 2..].windows(4).position(|four| four == b"OggS").expect("a page");
    std::fs::write(path, [&whole[..], &whole[middle..]].concat()).expect("written");
    let mended = repair(path).expect("mended");
    assert_eq!((mended.frames, mended.bytes), (finished.frames, whole.len() as u64));
    assert_eq!(std::fs::read(path).expect("the file"), whole);
}

#[test]
fn a_damaged_page_moves_nothing_behind_it() {
    let mut stand = stand(|_| {});
    let (mut left, mut right) = (Singer::new(Origin::Left, LEFT_HZ), Singer::new(Origin::Right, RIGHT_HZ));
    right.sing(&mut stand, 0..4_000);
    left.sing(&mut stand, 3_000..4_000);
    stand.run(4_000);
    let finished = stand.session.finish(START_US + 4_000_000, &mut stand.tools);
    let path = &finished.files[0].path;
    let mut bytes = std::fs::read(path).expect("the file");
    let third = bytes.len() / 3;
    bytes[third] ^= 1;
    std::fs::write(path, &bytes).expect("written");
    let sides = heard(&finished);
    assert!(is_quiet(&sides[0], 0..2_960) && is_heard(&sides[0], 3_060..3_940, LEFT_HZ));
}
