//! Chance that follows from a number, and what it does to a message.

/// Numbers that follow from a seed (splitmix64).
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which is not 0.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).expect("below a usize")
    }

    pub(super) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub(super) fn of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }
}

/// Bytes that mean something to a reader of SIP.
const TELLING: &[&[u8]] = &[
    b"\r\n",
    b"\r\n\r\n",
    b"\r\n ",
    b"\n",
    b"\r",
    b"\0",
    b"\t",
    b" ",
    b"\"",
    b"\\",
    b"<",
    b">",
    b";",
    b";;",
    b",",
    b":",
    b"@",
    b"%",
    b"%00",
    b"%4",
    b"?",
    b"&",
    b"=",
    b"[",
    b"]",
    b"[::1]",
    b"*",
    b"/",
    b"(",
    b")",
    b"{",
    b"0",
    b"-1",
    b"65536",
    b"4294967295",
    b"4294967296",
    b"18446744073709551616",
    b"99999999999999999999999999",
    b"1e9",
    b"\xff\xfe",
    b"\xc3\x28",
    b"\xf0\x9f\x93\x9e",
    b"sip:",
    b"sips:",
    b"tel:",
    b"urn:",
    b"SIP/2.0",
    b"SIP/3.0",
    b"z9hG4bK",
    b";tag=",
    b";branch=",
    b";received=",
    b";rport",
    b";maddr=224.0.1.75",
    b";lr",
    b";expires=0",
    b";q=2",
    b"INVITE",
    b"ACK",
    b"CANCEL",
    b"BYE",
    b"PRACK",
    b"UPDATE",
    b"REGISTER",
];

/// Whole lines, each to be put before another.
const LINES: &[&[u8]] = &[
    b"Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKother\r\n",
    b"v: SIP/2.0/TCP [2001:db8::9]:5061;branch=z9hG4bK\r\n",
    b"Require: 100rel\r\n",
    b"Require: nothing\r\n",
    b"Supported: 100rel\r\n",
    b"RSeq: 1\r\n",
    b"RAck: 1 1 INVITE\r\n",
    b"Record-Route: <sip:192.0.2.9;lr>,<sip:192.0.2.8>\r\n",
    b"Route: <sip:192.0.2.9;lr>\r\n",
    b"Contact: <sip:x@192.0.2.9>;expires=4294967295\r\n",
    b"Contact: *\r\n",
    b"Expires: 1\r\n",
    b"Content-Length: 0\r\n",
    b"l: 99999\r\n",
    b"Content-Type: multipart/mixed;boundary=b\r\n",
    b"Content-Encoding: gzip\r\n",
    b"Content-Disposition: session;handling=optional\r\n",
    b"Accept: text/plain\r\n",
    b"Max-Forwards: 0\r\n",
    b"Timestamp: 1.5\r\n",
    b"Reason: Q.850;cause=16;text=\"x\"\r\n",
    b"Authorization: Digest username=\"a\",realm=\"b\",nonce=\"\",uri=\"sip:x\",response=\"\",nc=zz\r\n",
    b" folded\r\n",
    b"X\r\n",
];

/// Numbers at the edges of what a reader keeps.
const NUMBERS: &[&[u8]] =
    &[b"0", b"1", b"2", b"3", b"7", b"00000000001", b"255", b"256", b"65536", b"2147483648", b"4294967296"];

/// Changes a message in one to three places; one in sixteen stays as it is. `other` is a message to take pieces from.
pub(super) fn mutate(bytes: &mut Vec<u8>, other: &[u8], chance: &mut Chance) {
    if chance.one_in(16) {
        return;
    }
    for _ in 0..=chance.below(3) {
        match chance.below(4) {
            0 | 1 => change_bytes(bytes, other, chance),
            _ => change_lines(bytes, chance),
        }
    }
}

/// Any place, or one of the places where a reader decides something.
fn place(bytes: &[u8], chance: &mut Chance) -> usize {
    let at = chance.below(bytes.len() + 1);
    if chance.one_in(2) {
        return at;
    }
    let decides = |byte: &u8| b"\r\n:;,=<>@\" ".contains(byte);
    bytes[at..].iter().position(decides).map_or(at, |found| at + found)
}

fn change_bytes(bytes: &mut Vec<u8>, other: &[u8], chance: &mut Chance) {
    let at = place(bytes, chance);
    let end = (at + 1 + chance.below(8) * chance.below(8)).min(bytes.len());
    match chance.below(8) {
        0 => drop(bytes.splice(at..at.saturating_add(1).min(bytes.len()), [chance.below(256) as u8])),
        1 => drop(bytes.drain(at..end)),
        2 | 3 => drop(bytes.splice(at..at, chance.of(TELLING).iter().copied())),
        4 => drop(bytes.splice(at..end, chance.of(TELLING).iter().copied())),
        5 => {
            let copy = bytes[at..end].to_vec();
            let most = if chance.one_in(16) { 400 } else { 4 };
            let times = 1 + chance.below(most);
            bytes.splice(at..at, copy.repeat(times));
        }
        6 if chance.one_in(4) => bytes.truncate(at),
        6 => bytes[at..end].iter_mut().for_each(|byte| *byte ^= 0x20), // the other case
        _ => {
            let from = chance.below(other.len());
            let until = (from + 1 + chance.below(80)).min(other.len());
            bytes.splice(at..end, other[from..until].iter().copied());
        }
    }
}

fn change_lines(bytes: &mut Vec<u8>, chance: &mut Chance) {
    let mut starts = vec![0];
    starts.extend(memchr::memmem::find_iter(bytes, b"\r\n").map(|end| end + 2));
    let line = chance.below(starts.len());
    let (start, end) = (starts[line], starts.get(line + 1).copied().unwrap_or(bytes.len()));
    let elsewhere = *chance.of(&starts);
    let copy = bytes[start..end].to_vec();
    match chance.below(5) {
        0 => drop(bytes.drain(start..end)),
        1 => drop(bytes.splice(elsewhere..elsewhere, copy)),
        2 => {
            bytes.drain(start..end);
            let to = elsewhere.min(bytes.len());
            bytes.splice(to..to, copy);
        }
        3 => drop(bytes.splice(start..start, chance.of(LINES).iter().copied())),
        _ => change_number(bytes, (start, end), chance),
    }
}

/// Puts another number where the line has one.
fn change_number(bytes: &mut Vec<u8>, (start, end): (usize, usize), chance: &mut Chance) {
    let Some(first) = bytes[start..end].iter().position(u8::is_ascii_digit).map(|found| start + found) else { return };
    let last = bytes[first..].iter().position(|byte| !byte.is_ascii_digit()).map_or(bytes.len(), |found| first + found);
    let number = chance.of(NUMBERS);
    bytes.splice(first..last, number.iter().copied());
}

/// What of a message is made new, so that it is not taken for a repeat.
#[derive(Clone, Copy)]
pub(super) enum Renewal {
    /// The branch: a request of its own within the same dialog.
    Transaction,
    /// The Call-ID too: a call of its own.
    Call,
}

/// Puts a mark of its own wherever a branch, and a Call-ID, begins.
pub(super) fn renew(bytes: &[u8], renewal: Renewal, serial: u64) -> Vec<u8> {
    let mark = format!("n{serial}x");
    let renewed = put_behind(b"branch=z9hG4bK", mark.as_bytes(), bytes);
    match renewal {
        Renewal::Transaction => renewed,
        Renewal::Call => put_behind(b"Call-ID: ", mark.as_bytes(), &renewed),
    }
}

fn put_behind(wanted: &[u8], mark: &[u8], mut bytes: &[u8]) -> Vec<u8> {
    let mut renewed = Vec::with_capacity(bytes.len() + 4 * mark.len());
    while let Some(at) = memchr::memmem::find(bytes, wanted) {
        let (before, after) = bytes.split_at(at + wanted.len());
        renewed.extend_from_slice(before);
        renewed.extend_from_slice(mark);
        bytes = after;
    }
    renewed.extend_from_slice(bytes);
    renewed
}
