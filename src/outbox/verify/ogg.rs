//! A look at every page of an Ogg Opus file: whether it is whole to its last one, and how much sound it has.
//! Above: `header`. Below: `audio::ogg`; the bytes are anybody's.

use std::io::{self, Read};

use super::header::Head;
use crate::audio::ogg::{self, Broken, LARGEST_PAGE, Page};

/// Bytes read at once.
const WINDOW: u64 = 1 << 20;

/// Looks at a file from its beginning.
///
/// # Errors
/// The disk fails.
pub(super) fn pages(file: &mut impl Read) -> io::Result<Head> {
    let damaged = |what: &str| Ok(Head::Damaged(what.to_owned()));
    let (mut window, mut from, mut at, mut number) = (Vec::new(), 0, 0_u64, 0_u32);
    let (mut head, mut position, mut is_ended) = (None, 0_u64, false);
    loop {
        if window.len() - from < LARGEST_PAGE {
            window.drain(..from);
            from = 0;
            file.by_ref().take(WINDOW).read_to_end(&mut window)?;
        }
        let rest = window.get(from..).unwrap_or_default();
        if rest.is_empty() {
            break;
        }
        let (page, length) = match Page::parse(rest) {
            Ok(page) => page,
            Err(Broken::Short) => return damaged(&format!("it is cut short in the page at byte {at}")),
            Err(error) => return damaged(&format!("at byte {at}: {error}")),
        };
        if number == 0 {
            head = page.packets().next().and_then(|(packet, _)| ogg::Head::parse(packet));
        }
        if head.is_none() {
            return damaged("its head is damaged");
        }
        if page.number != number {
            return damaged(&format!(
                "the page at byte {at} is number {}, and number {number} is missing",
                page.number
            ));
        }
        if page.position != u64::MAX {
            position = page.position;
        }
        is_ended = page.is_last;
        number = number.wrapping_add(1);
        at += length as u64;
        from += length;
    }
    match head {
        Some(head) if is_ended => Ok(Head::Opus { frames: position.saturating_sub(head.pre_skip.into()) }),
        Some(_) => damaged("its last page is missing: its writer did not end it"),
        None => damaged("it has no head"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Vec<u8> {
        let (mut bytes, mut number) = (Vec::new(), 0);
        for packet in [ogg::Head::of_sides(2).print(), ogg::tags()] {
            ogg::write_pages(&[(packet, 0)], (1, &mut number), &mut bytes);
        }
        let last = bytes.len();
        ogg::write_pages(&[(vec![0xf8, 1, 0, 0xf8, 0], 960)], (1, &mut number), &mut bytes);
        ogg::end_at(&mut bytes[last..], 900);
        bytes
    }

    #[test]
    fn a_whole_file_tells_its_length() {
        assert_eq!(pages(&mut &file()[..]).unwrap(), Head::Opus { frames: 900 });
    }

    #[test]
    fn a_file_whose_first_page_of_sound_is_missing_is_damaged() {
        let (mut bytes, mut number) = (Vec::new(), 0);
        for packet in [ogg::Head::of_sides(2).print(), ogg::tags()] {
            ogg::write_pages(&[(packet, 0)], (1, &mut number), &mut bytes);
        }
        number += 1;
        let last = bytes.len();
        ogg::write_pages(&[(vec![0xf8, 1, 0, 0xf8, 0], 1_920)], (1, &mut number), &mut bytes);
        ogg::end_at(&mut bytes[last..], 1_920);
        let Head::Damaged(what) = pages(&mut &bytes[..]).unwrap() else { panic!("it is not whole") };
        assert!(what.ends_with("number 2 is missing"), "{what}");
    }

    #[test]
    fn r2_a_file_cut_or_changed_anywhere_is_damaged() {
        let whole = file();
        for at in 1..whole.len() {
            assert!(matches!(pages(&mut &whole[..at]).unwrap(), Head::Damaged(_)), "{at}");
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert!(matches!(pages(&mut &changed[..]).unwrap(), Head::Damaged(_)), "{at}");
        }
    }
}
