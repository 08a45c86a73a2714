//! The pages of a file one after the other; what is damaged between them is passed over. Above: `source`. Below: `page`.

use std::io::{self, Read};

use super::page::{LARGEST_PAGE, Page};

/// Bytes read at once.
const WINDOW: u64 = 2 * LARGEST_PAGE as u64;

/// Reads pages.
#[derive(Debug)]
pub struct Pages<R> {
    from: R,
    window: Vec<u8>,
    /// The place in the window that is looked at next.
    at: usize,
    is_over: bool,
}

impl<R: Read> Pages<R> {
    /// Of what is read from here on.
    pub fn new(from: R) -> Self {
        Self { from, window: Vec::new(), at: 0, is_over: false }
    }

    /// The next page that is whole; `None` at the end. Which ones are missing before it its number tells.
    ///
    /// # Errors
    /// What the system says.
    pub fn next_whole(&mut self) -> io::Result<Option<Page<'_>>> {
        let found = self.find()?;
        let page = found.and_then(|from| Page::parse(self.window.get(from..)?).ok());
        Ok(page.map(|(page, _)| page))
    }

    /// Where it begins in the window.
    fn find(&mut self) -> io::Result<Option<usize>> {
        loop {
            if !self.is_over && self.window.len() - self.at < LARGEST_PAGE {
                self.fill()?;
            }
            let rest = self.window.get(self.at..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(None);
            }
            if let Ok((_, length)) = Page::parse(rest) {
                let from = self.at;
                self.at += length;
                return Ok(Some(from));
            }
            // The next place where one may begin, half of it perhaps not read yet.
            let next = memchr::memmem::find(rest.get(1..).unwrap_or_default(), b"OggS");
            self.at += next.map_or(rest.len().saturating_sub(3).max(1), |next| next + 1);
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        self.window.drain(..self.at);
        self.at = 0;
        let read = self.from.by_ref().take(WINDOW).read_to_end(&mut self.window)?;
        self.is_over = (read as u64) < WINDOW;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ogg::write_pages;

    /// Pages of a second each, with some that are damaged and bytes of somebody else between them.
    fn file(pages: u32, is_damaged: impl Fn(u32) -> bool) -> Vec<u8> {
        let (mut bytes, mut number) = (Vec::new(), 0);
        for nth in 0..pages {
            let from = bytes.len();
            let packets: Vec<_> = (0..9).map(|_| (vec![nth as u8; 3_000], u64::from(nth))).collect();
            write_pages(&packets, (7, &mut number), &mut bytes);
            if is_damaged(nth) {
                bytes[from + 200] ^= 1;
                bytes.extend(b"OggOggS");
            }
        }
        bytes
    }

    fn numbers(bytes: &[u8]) -> Vec<u32> {
        let mut pages = Pages::new(bytes);
        std::iter::from_fn(|| pages.next_whole().unwrap().map(|page| page.number)).collect()
    }

    #[test]
    fn pages_that_are_whole_are_found_wherever_others_are_damaged_or_cut_off() {
        let is_odd = |nth: u32| nth % 3 == 1;
        let whole: Vec<u32> = (0..40).filter(|nth| !is_odd(*nth)).collect();
        let bytes = file(40, is_odd);
        assert_eq!(numbers(&bytes), whole);
        assert_eq!(numbers(&bytes[..bytes.len() - 1]), whole[..whole.len() - 1]);
        assert_eq!(numbers(b"OggS"), Vec::<u32>::new());
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_come_to_an_end(mut bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..600)) {
            bytes.extend_from_slice(b"OggS\0");
            proptest::prop_assert!(numbers(&bytes).len() < 20);
        }
    }
}
