//! Pages of an Ogg stream (RFC 3533 §6), each with whole packets only. Above: `recorder::kept`, `source`, `outbox`.

use thiserror::Error;

/// The longest page, in bytes: 27 of header, 255 lengths, 255 times 255 bytes (§6).
pub const LARGEST_PAGE: usize = 27 + 255 + 255 * 255;
const HEADER: usize = 27;
const CAPTURE: &[u8; 4] = b"OggS";
/// Flags (§6, field 3).
const CONTINUED: u8 = 1;
const FIRST: u8 = 2;
const LAST: u8 = 4;
/// Where the flags, the position and the sum lie.
const FLAGS_AT: usize = 5;
const POSITION_AT: usize = 6;
const SUM_AT: usize = 22;

/// A page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<'a> {
    /// Whether it begins with the rest of a packet of the page before.
    pub is_continued: bool,
    /// Whether it is the first and the last of its stream.
    pub is_first: bool,
    /// The same.
    pub is_last: bool,
    /// The position after the last packet that ends in it; −1 in two's complement: none does.
    pub position: u64,
    /// Which stream.
    pub serial: u32,
    /// Which page of it.
    pub number: u32,
    lacing: &'a [u8],
    body: &'a [u8],
}

/// Why there is no page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Broken {
    /// It ends before its end.
    #[error("a page is cut short")]
    Short,
    /// No page begins here.
    #[error("there is no page")]
    NoPage,
    /// Some byte of it is not what it was.
    #[error("a page is damaged")]
    Sum,
}

impl<'a> Page<'a> {
    /// The page that `bytes` begin with, and how many of them it takes.
    ///
    /// # Errors
    /// There is none, or only a part of one, or a damaged one.
    pub fn parse(bytes: &'a [u8]) -> Result<(Self, usize), Broken> {
        let start = bytes.get(..CAPTURE.len().min(bytes.len())).unwrap_or_default();
        if !CAPTURE.starts_with(start) {
            return Err(Broken::NoPage);
        }
        let header = bytes.get(..HEADER).ok_or(Broken::Short)?;
        if header[4] != 0 {
            return Err(Broken::NoPage); // another version
        }
        let lacing = bytes.get(HEADER..HEADER + usize::from(header[26])).ok_or(Broken::Short)?;
        let body_at = HEADER + lacing.len();
        let length = body_at + lacing.iter().map(|&part| usize::from(part)).sum::<usize>();
        let whole = bytes.get(..length).ok_or(Broken::Short)?;
        let four = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        if sum(whole) != four(SUM_AT) {
            return Err(Broken::Sum);
        }
        let flags = header[FLAGS_AT];
        let page = Self {
            is_continued: flags & CONTINUED != 0,
            is_first: flags & FIRST != 0,
            is_last: flags & LAST != 0,
            position: u64::from(four(POSITION_AT)) | u64::from(four(POSITION_AT + 4)) << 32,
            serial: four(14),
            number: four(18),
            lacing,
            body: &whole[body_at..],
        };
        Ok((page, length))
    }

    /// Its packets; the last one may go on in the next page, when it is not whole.
    pub fn packets(&self) -> impl Iterator<Item = (&'a [u8], bool)> + use<'a> {
        let (mut lacing, mut body) = (self.lacing, self.body);
        std::iter::from_fn(move || {
            let end = lacing.iter().position(|part| *part < 255);
            let (parts, rest) = lacing.split_at(end.map_or(lacing.len(), |end| end + 1));
            if parts.is_empty() {
                return None;
            }
            let length = parts.iter().map(|&part| usize::from(part)).sum::<usize>();
            let (packet, after) = body.split_at_checked(length)?;
            (lacing, body) = (rest, after);
            Some((packet, end.is_some()))
        })
    }
}

/// Appends packets, each with the position after it, as pages of one stream; every page has whole packets only, so one of 65,025 bytes
/// or more is left out. `number` goes on with each page; page 0 begins its stream.
pub fn write_pages(packets: &[(Vec<u8>, u64)], (serial, number): (u32, &mut u32), out: &mut Vec<u8>) {
    let (mut lacing, mut body, mut last) = (Vec::new(), Vec::new(), 0);
    let mut end = |lacing: &mut Vec<u8>, body: &mut Vec<u8>, position: u64| {
        if !lacing.is_empty() {
            write_page((lacing, body), position, (serial, *number), out);
            *number = number.wrapping_add(1);
            lacing.clear();
            body.clear();
        }
    };
    for (packet, position) in packets {
        let parts = packet.len() / 255 + 1;
        if parts > 255 {
            continue;
        }
        if lacing.len() + parts > 255 {
            end(&mut lacing, &mut body, last);
        }
        lacing.extend(std::iter::repeat_n(255u8, parts - 1));
        lacing.push((packet.len() % 255) as u8); // below 255
        body.extend(packet);
        last = *position;
    }
    end(&mut lacing, &mut body, last);
}

fn write_page((lacing, body): (&[u8], &[u8]), position: u64, (serial, number): (u32, u32), out: &mut Vec<u8>) {
    let start = out.len();
    out.extend(CAPTURE);
    out.extend([0, if number == 0 { FIRST } else { 0 }]);
    out.extend(position.to_le_bytes());
    out.extend(serial.to_le_bytes());
    out.extend(number.to_le_bytes());
    out.extend([0; 4]);
    out.push(lacing.len() as u8); // 255 at most
    out.extend(lacing);
    out.extend(body);
    seal(&mut out[start..]);
}

/// Makes a page the last one of its stream, which ends at a position.
pub fn end_at(page: &mut [u8], position: u64) {
    if page.len() >= HEADER {
        page[FLAGS_AT] |= LAST;
        page[POSITION_AT..POSITION_AT + 8].copy_from_slice(&position.to_le_bytes());
        seal(page);
    }
}

/// Puts the sum of a page into it.
fn seal(page: &mut [u8]) {
    let sum = sum(page).to_le_bytes();
    page[SUM_AT..SUM_AT + 4].copy_from_slice(&sum);
}

/// The sum of a page, with zeros where its own stands (§6, field 7).
fn sum(page: &[u8]) -> u32 {
    let own = SUM_AT..SUM_AT + 4;
    page.iter().enumerate().fold(0, |sum, (at, &byte)| {
        let byte = if own.contains(&at) { 0 } else { byte };
        (sum << 8) ^ TABLE[usize::from((sum >> 24) as u8 ^ byte)] // its highest byte
    })
}

const TABLE: [u32; 256] = table();

/// The remainders of every first byte by the generator 0x04c11db7.
const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let (mut value, mut bit) = ((at as u32) << 24, 0);
        while bit < 8 {
            value = if value & 0x8000_0000 == 0 { value << 1 } else { (value << 1) ^ 0x04c1_1db7 };
            bit += 1;
        }
        table[at] = value;
        at += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pages(packets: &[(Vec<u8>, u64)]) -> Vec<u8> {
        let (mut out, mut number) = (Vec::new(), 0);
        write_pages(packets, (9, &mut number), &mut out);
        out
    }

    #[test]
    fn another_reader_finds_the_packets() {
        let packets: Vec<_> =
            [1, 254, 255, 510, 4_000].iter().map(|&length| (vec![5; length], length as u64)).collect();
        let mut bytes = pages(&packets);
        end_at(&mut bytes, 4_000);
        let mut reader = ogg::PacketReader::new(std::io::Cursor::new(bytes));
        for (packet, _) in &packets {
            let read = reader.read_packet_expected().expect("a packet");
            assert_eq!((read.data.len(), read.absgp_page(), read.stream_serial()), (packet.len(), 4_000, 9));
        }
    }

    #[test]
    fn a_page_cut_or_changed_anywhere_is_found_out() {
        let whole = pages(&[(vec![1, 2, 3], 960), (vec![4; 300], 1_920)]);
        let (page, length) = Page::parse(&whole).expect("a page");
        assert_eq!((length, page.position, page.is_first, page.is_last), (whole.len(), 1_920, true, false));
        assert_eq!(
            page.packets().map(|(packet, whole)| (packet.len(), whole)).collect::<Vec<_>>(),
            [(3, true), (300, true)]
        );
        for at in 0..whole.len() {
            assert_eq!(Page::parse(&whole[..at]), Err(Broken::Short), "{at}");
            let mut changed = whole.clone();
            changed[at] ^= 0x10;
            assert!(Page::parse(&changed).is_err(), "{at}");
        }
    }

    #[test]
    fn what_does_not_fit_into_one_page_makes_several_of_whole_packets() {
        let packets: Vec<_> = (0..300).map(|at| (vec![0; 260], at)).collect();
        let bytes = pages(&packets);
        let (mut rest, mut numbers, mut count) = (&bytes[..], Vec::new(), 0);
        while !rest.is_empty() {
            let (page, length) = Page::parse(rest).expect("a page");
            assert!(page.packets().all(|(packet, is_whole)| is_whole && packet.len() == 260));
            count += page.packets().count();
            assert_eq!(page.position, count as u64 - 1);
            numbers.push((page.number, page.is_first));
            rest = &rest[length..];
        }
        assert_eq!((count, numbers), (300, vec![(0, true), (1, false), (2, false)]));
    }

    proptest! {
        #[test]
        fn any_bytes_have_a_verdict(bytes in proptest::collection::vec(any::<u8>(), 0..300), starts in any::<bool>()) {
            let bytes = if starts { [b"OggS\0".as_slice(), &bytes].concat() } else { bytes };
            if let Ok((page, _)) = Page::parse(&bytes) {
                let _ = page.packets().count();
            }
        }
    }
}
