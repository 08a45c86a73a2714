//! A second, naive matcher: every pattern written out as lists of characters, sorted by comparing the lists, tried one by one.

/// What one position accepts; a list of characters, or the rest of the number.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Characters(Vec<u8>),
    /// The shortest rest that is accepted.
    Rest(usize),
}

/// What a context finds for a number: the first that accepts it of all its names, literals first.
pub(crate) fn find<'a>(names: &[&'a str], number: &str) -> Option<&'a str> {
    let number = plain(number);
    if let Some(name) = names.iter().find(|name| !name.starts_with('_') && plain(name) == number) {
        return Some(name);
    }
    let mut patterns: Vec<(Vec<Place>, &str)> =
        names.iter().filter(|name| name.starts_with('_')).map(|name| (places(name), *name)).collect();
    patterns.sort_by_key(|(places, _)| order(places));
    patterns.into_iter().find(|(places, _)| accepts(places, number.as_bytes())).map(|(_, name)| name)
}

fn plain(text: &str) -> String {
    text.replace('-', "")
}

/// Sets are read with their ranges; dashes outside of them do not count.
fn places(pattern: &str) -> Vec<Place> {
    let mut places = Vec::new();
    let mut set: Option<Vec<u8>> = None;
    let bytes = pattern.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        let byte = bytes[at];
        at += 1;
        if let Some(characters) = &mut set {
            if byte == b']' {
                characters.sort_unstable();
                characters.dedup();
                places.extend(set.take().filter(|characters| !characters.is_empty()).map(Place::Characters));
            } else if bytes.get(at) == Some(&b'-') && bytes.get(at + 1).is_some_and(|last| *last != b']') {
                characters.extend(byte..=bytes[at + 1]);
                at += 2;
            } else {
                characters.push(byte);
            }
            continue;
        }
        match byte {
            b'-' => {}
            b'[' => set = Some(Vec::new()),
            b'X' | b'x' => places.push(Place::Characters((b'0'..=b'9').collect())),
            b'Z' | b'z' => places.push(Place::Characters((b'1'..=b'9').collect())),
            b'N' | b'n' => places.push(Place::Characters((b'2'..=b'9').collect())),
            b'.' => places.push(Place::Rest(1)),
            b'!' => places.push(Place::Rest(0)),
            other => places.push(Place::Characters(vec![other])),
        }
    }
    places
}

fn accepts(places: &[Place], number: &[u8]) -> bool {
    match (places.split_first(), number.split_first()) {
        (None, rest) => rest.is_none(),
        (Some((Place::Rest(least), _)), _) => number.len() >= *least,
        (Some((Place::Characters(characters), places)), Some((byte, number))) => {
            characters.contains(byte) && accepts(places, number)
        }
        (Some(_), None) => false,
    }
}

/// Few characters before many; of as many, those with the lower characters first; then `.`, `!`, and the end.
fn order(places: &[Place]) -> Vec<(usize, Vec<u8>)> {
    let place = |place: &Place| match place {
        Place::Characters(characters) => (characters.len(), characters.clone()),
        Place::Rest(1) => (1_000, Vec::new()),
        Place::Rest(_) => (1_001, Vec::new()),
    };
    places.iter().map(place).chain([(1_002, Vec::new())]).collect()
}
