//! The stretches of a piece, kept in place as long as they are few: every step of a script makes and splits pieces.
//! Above: `piece`.

use std::ops::{Deref, DerefMut};

use super::template::Part;

/// Stretches that are kept in place.
const FEW: usize = 4;

/// Written text, or a substitution.
#[derive(Clone, Copy, Debug)]
pub(super) enum Bit<'a> {
    Text(&'a str),
    Code(&'a Part),
}

/// A list of stretches.
#[derive(Clone, Debug)]
pub(super) struct Bits<'a>(Kept<'a>);

#[derive(Clone, Debug)]
enum Kept<'a> {
    /// The first so many.
    InPlace(usize, [Bit<'a>; FEW]),
    Apart(Vec<Bit<'a>>),
}

impl<'a> Bits<'a> {
    /// Adds one at the end.
    pub(super) fn push(&mut self, bit: Bit<'a>) {
        match &mut self.0 {
            Kept::InPlace(count, bits) => match bits.get_mut(*count) {
                Some(place) => {
                    *place = bit;
                    *count += 1;
                }
                None => self.0 = Kept::Apart(bits.iter().copied().chain([bit]).collect()),
            },
            Kept::Apart(bits) => bits.push(bit),
        }
    }

    /// Without texts in which nothing is left.
    pub(super) fn without_empty(self) -> Self {
        if self.iter().any(|bit| matches!(bit, Bit::Text(""))) {
            self.iter().copied().filter(|bit| !matches!(bit, Bit::Text(""))).collect()
        } else {
            self
        }
    }
}

impl Default for Bits<'_> {
    fn default() -> Self {
        Self(Kept::InPlace(0, [Bit::Text(""); FEW]))
    }
}

impl<'a> Deref for Bits<'a> {
    type Target = [Bit<'a>];

    fn deref(&self) -> &Self::Target {
        match &self.0 {
            Kept::InPlace(count, bits) => bits.get(..*count).unwrap_or_default(),
            Kept::Apart(bits) => bits,
        }
    }
}

impl DerefMut for Bits<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        match &mut self.0 {
            Kept::InPlace(count, bits) => bits.get_mut(..*count).unwrap_or_default(),
            Kept::Apart(bits) => bits,
        }
    }
}

impl<'a> Extend<Bit<'a>> for Bits<'a> {
    fn extend<I: IntoIterator<Item = Bit<'a>>>(&mut self, more: I) {
        more.into_iter().for_each(|bit| self.push(bit));
    }
}

impl<'a> FromIterator<Bit<'a>> for Bits<'a> {
    fn from_iter<I: IntoIterator<Item = Bit<'a>>>(bits: I) -> Self {
        let mut all = Self::default();
        all.extend(bits);
        all
    }
}

impl<'a> From<Vec<Bit<'a>>> for Bits<'a> {
    fn from(bits: Vec<Bit<'a>>) -> Self {
        Self(Kept::Apart(bits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_a_few_are_kept_in_their_order_too() {
        let texts = ["a", "", "b", "c", "d", "", "e"];
        for count in 0..=texts.len() {
            let bits: Bits = texts.iter().take(count).map(|text| Bit::Text(text)).collect();
            let read = |bits: &Bits| -> Vec<String> { bits.iter().map(|bit| format!("{bit:?}")).collect() };
            let expected: Vec<_> = texts.iter().take(count).map(|text| format!("{:?}", Bit::Text(text))).collect();
            assert_eq!(read(&bits), expected);
            let full = expected.into_iter().filter(|text| text != "Text(\"\")");
            assert_eq!(read(&bits.without_empty()), full.collect::<Vec<_>>());
        }
    }
}
