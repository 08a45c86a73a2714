//! The lines of the file as bytes: forwards from anywhere, and the one that ends somewhere. Nothing is believed about them here.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

use super::entry::genuine;
use super::head::Head;
use super::seal::Key;

/// Bytes of a line at most: more than any entry has. A longer line is none of ours, and its rest is not kept in memory.
const LINE_LIMIT: usize = 2 * 1024 * 1024;
const BLOCK: u64 = 64 * 1024;

/// A line without its newline.
#[derive(Debug)]
pub(super) struct Raw {
    pub(super) bytes: Vec<u8>,
    /// Where the next one begins.
    pub(super) end: u64,
    /// Whether it has its newline.
    pub(super) whole: bool,
}

/// Reads lines to the end of the file.
pub(super) struct Lines<R> {
    reader: R,
    at: u64,
}

impl<'a> Lines<BufReader<&'a File>> {
    /// From there on.
    pub(super) fn from(mut file: &'a File, at: u64) -> io::Result<Self> {
        file.seek(SeekFrom::Start(at))?;
        Ok(Self { reader: BufReader::with_capacity(256 * 1024, file), at })
    }
}

impl<R: BufRead> Lines<R> {
    pub(super) fn next(&mut self) -> io::Result<Option<Raw>> {
        let mut bytes = Vec::new();
        let mut read = self.reader.by_ref().take(LINE_LIMIT as u64).read_until(b'\n', &mut bytes)?;
        if read == 0 {
            return Ok(None);
        }
        let mut whole = bytes.pop_if(|last| *last == b'\n').is_some();
        while !whole && read >= LINE_LIMIT {
            let mut more = Vec::new();
            let part = self.reader.by_ref().take(LINE_LIMIT as u64).read_until(b'\n', &mut more)?;
            if part == 0 {
                break;
            }
            read += part;
            whole = more.last() == Some(&b'\n');
        }
        self.at += read as u64;
        Ok(Some(Raw { bytes, end: self.at, whole }))
    }
}

/// The line whose newline is the last byte before `end`, without it.
pub(super) fn line_ending_at(file: &File, end: u64) -> io::Result<Option<Vec<u8>>> {
    let Some(mut from) = end.checked_sub(1) else { return Ok(None) };
    if file.metadata()?.len() < end {
        return Ok(None);
    }
    let mut newline = [0];
    file.read_exact_at(&mut newline, from)?;
    if newline != *b"\n" {
        return Ok(None);
    }
    let mut tail: Vec<u8> = Vec::new();
    while from > 0 && tail.len() < LINE_LIMIT {
        let start = from.saturating_sub(BLOCK);
        let mut block = vec![0; usize::try_from(from - start).unwrap_or_default()];
        file.read_exact_at(&mut block, start)?;
        let newline = block.iter().rposition(|byte| *byte == b'\n');
        let kept = block.split_off(newline.map_or(0, |at| at + 1));
        tail.splice(0..0, kept);
        if newline.is_some() {
            break;
        }
        from = start;
    }
    Ok(Some(tail))
}

/// The last genuine entry of the whole file, or the one that `wanted` picks first.
pub(super) fn find(file: &File, key: &Key, wanted: impl Fn(&Head) -> bool) -> io::Result<(Option<Head>, Head)> {
    let mut lines = Lines::from(file, 0)?;
    let mut last = Head::START;
    while let Some(raw) = lines.next()? {
        let Some(place) = genuine(key, &raw.bytes).filter(|_| raw.whole) else { continue };
        let here = Head { seq: place.seq, hash: place.hash, size: raw.end };
        if wanted(&here) {
            return Ok((Some(here), here));
        }
        if here.seq > last.seq {
            last = here;
        }
    }
    Ok((None, last))
}
