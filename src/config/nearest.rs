//! The nearest known word to a mistyped one, for "did you mean". Used here and by the dialplan reader.

/// The candidate with the smallest edit distance to `word`, if it is near enough to be meant; letter case does not count.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.chars().take(64).flat_map(char::to_lowercase).collect();
    let most = (word.len() / 3).max(2);
    candidates
        .into_iter()
        .map(|candidate| (distance(&word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= most && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions, replacements and swaps of neighbours that make `candidate` of `word`.
fn distance(word: &[char], candidate: &str) -> usize {
    let candidate: Vec<char> = candidate.chars().flat_map(char::to_lowercase).collect();
    let width = candidate.len() + 1;
    let mut rows: Vec<Vec<usize>> = vec![(0..width).collect()];
    for (row, a) in word.iter().enumerate() {
        let mut line = vec![row + 1; width];
        for (column, b) in candidate.iter().enumerate() {
            let replaced = rows[row][column] + usize::from(a != b);
            let mut least = replaced.min(rows[row][column + 1] + 1).min(line[column] + 1);
            if row > 0 && column > 0 && word[row - 1] == *b && *a == candidate[column - 1] {
                least = least.min(rows[row - 1][column - 1] + 1);
            }
            line[column + 1] = least;
        }
        rows.push(line);
    }
    rows[word.len()][width - 1]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_of_the_finger_finds_the_word_meant() {
        let known = ["bind", "advertise", "realm", "rtp_timeout"];
        for (typed, meant) in
            [("bnid", "bind"), ("Realm", "realm"), ("rtp-timeout", "rtp_timeout"), ("advertize", "advertise")]
        {
            assert_eq!(nearest(typed, known), Some(meant), "{typed}");
        }
    }

    #[test]
    fn a_word_unlike_any_gets_no_hint() {
        assert_eq!(nearest("zebra_crossing", ["bind", "realm"]), None);
        assert_eq!(nearest("", ["a", "bind"]), None);
    }
}
