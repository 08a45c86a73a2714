//! Regular expressions, by trying everything: letters, `.`, `[a-z]`, `[0-9]`, `*`, `+`, `|` and one group.

/// Where a match ends, and the group.
type End = (usize, Option<(usize, usize)>);

/// The longest match that starts at `at`.
pub(super) fn longest(pattern: &str, text: &str, at: usize) -> Option<End> {
    let all = ends(pattern, text, at);
    let longest = all.iter().map(|(end, _)| *end).max()?;
    all.into_iter().find(|(end, _)| *end == longest)
}

/// Where a match starting at `at` can end, with the group, the preferred first.
fn ends(pattern: &str, text: &str, at: usize) -> Vec<End> {
    let mut depth = 0;
    for (index, c) in pattern.char_indices() {
        depth += i32::from(c == '(') - i32::from(c == ')');
        if c == '|' && depth == 0 {
            let mut all = ends(&pattern[..index], text, at);
            all.extend(ends(&pattern[index + 1..], text, at));
            return all;
        }
    }
    if pattern.is_empty() {
        return vec![(at, None)];
    }
    let atom = match pattern.as_bytes()[0] {
        b'(' => pattern.find(')').unwrap() + 1,
        b'[' => pattern.find(']').unwrap() + 1,
        _ => 1,
    };
    let (atom, rest) = pattern.split_at(atom);
    let (sign, rest) = match rest.as_bytes().first() {
        Some(b'*' | b'+') => rest.split_at(1),
        _ => ("", rest),
    };
    let mut firsts = once(atom, text, at);
    if !sign.is_empty() {
        let mut latest = firsts.clone();
        while let Some((end, _)) = latest.pop().filter(|(end, _)| *end > at) {
            let next = once(atom, text, end);
            firsts.splice(0..0, next.clone());
            latest = next;
        }
        if sign == "*" {
            firsts.push((at, None));
        }
    }
    let follow = |(end, group): End| ends(rest, text, end).into_iter().map(move |(end, later)| (end, later.or(group)));
    firsts.into_iter().flat_map(follow).collect()
}

fn once(atom: &str, text: &str, at: usize) -> Vec<End> {
    if let Some(inside) = atom.strip_prefix('(') {
        let inside = inside.strip_suffix(')').unwrap();
        return ends(inside, text, at).into_iter().map(|(end, _)| (end, Some((at, end)))).collect();
    }
    let Some(c) = text[at..].chars().next() else { return Vec::new() };
    let fits = match atom {
        "." => true,
        "[a-z]" => c.is_ascii_lowercase(),
        "[0-9]" => c.is_ascii_digit(),
        letter => letter.starts_with(c),
    };
    if fits { vec![(at + c.len_utf8(), None)] } else { Vec::new() }
}
