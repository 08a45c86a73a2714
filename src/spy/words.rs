//! A session in words: who hears the supervisor, what is heard, the status line. Above: `screen`, `session`. Pure.

use std::time::Duration;

use unicode_width::UnicodeWidthChar;

use super::meter::{Meter, SILENCE_DB};
use super::sound::Volume;
use crate::control::supervision::{Mode, PartyFacts, Role, Side, SpyFacts, SpyState};

/// Characters of a level meter.
const BAR: usize = 10;
/// Longest number shown beside a meter.
const LABEL: usize = 12;

/// What a status line shows.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The session as it stands.
    pub facts: &'a SpyFacts,
    /// Since the session began.
    pub running: Duration,
    /// The level of the party that called.
    pub a: &'a Meter,
    /// The level of the party that answered.
    pub b: &'a Meter,
    /// The listener's volume.
    pub volume: Volume,
    /// Who else listens to this call.
    pub others: &'a [String],
    /// A passing message; it stands in the meters' place.
    pub notice: Option<&'a str>,
}

/// The mode in force: `WHISPER to agent 1001 - customer cannot hear you`.
pub fn mode(facts: &SpyFacts) -> String {
    if facts.state == SpyState::Waiting {
        return "WAITING for a call - nobody hears you".to_owned();
    }
    let spoken_to = facts.party(facts.to);
    let other = facts.party(other_side(facts.to));
    match facts.mode {
        Mode::Listen => "LISTEN - nobody hears you".to_owned(),
        Mode::Whisper if other.role == Role::Absent => format!("WHISPER to {}, who is alone", full_name(spoken_to)),
        Mode::Whisper => format!("WHISPER to {} - {} cannot hear you", full_name(spoken_to), short_name(other)),
        Mode::Barge => format!("BARGE - {} and {} hear you", full_name(&facts.target), full_name(&facts.peer)),
        Mode::Takeover => {
            let heard_by: Vec<_> = facts.talks.iter().map(|side| full_name(facts.party(*side))).collect();
            format!("TAKEOVER - you talk with {}, the other party is on hold", heard_by.join(" and "))
        }
    }
}

/// The mode in force, and where the target is unless it is in a call that is heard.
pub fn standing(facts: &SpyFacts) -> String {
    match facts.state {
        SpyState::Call | SpyState::Waiting => mode(facts),
        state => format!("{} ({})", mode(facts), place(state)),
    }
}

/// The parties of the call: `agent 1001 with customer 0791112233`, or where the target is instead.
pub fn parties(facts: &SpyFacts) -> String {
    let target = full_name(&facts.target);
    match facts.state {
        SpyState::Call => format!("{target} with {}", full_name(&facts.peer)),
        SpyState::Waiting => "none yet".to_owned(),
        _ => format!("{target}, {}", place(facts.state)),
    }
}

/// Where a target is that talks with nobody.
fn place(state: SpyState) -> &'static str {
    match state {
        SpyState::Call => "in a call",
        SpyState::Alone => "alone",
        SpyState::Room => "in a conference room, where nobody is heard",
        SpyState::Apart => "where it may not be heard",
        SpyState::Undecodable => "in a codec that cannot be decoded, so nobody is heard",
        SpyState::Waiting => "not there yet",
    }
}

/// What came from a side: `agent 1001 at -21 dB`, or `customer silent` with the reason, where one is known.
pub fn heard(party: &PartyFacts, loudest_db: f32, reason: Option<&str>) -> String {
    let name = full_name(party);
    if loudest_db > SILENCE_DB {
        return format!("{name} at {loudest_db:.0} dB");
    }
    match reason {
        Some(reason) => format!("{name} silent ({})", clean(reason)),
        None => format!("{name} silent"),
    }
}

/// Whether that side is among those heard.
pub fn hears(facts: &SpyFacts, side: Side) -> bool {
    facts.hears.contains(&side)
}

/// One line of at most `columns`, mode first, without any control character: the richest form that fits.
pub fn status_line(view: &View<'_>, columns: usize) -> String {
    let facts = view.facts;
    let call: String = facts.call.chars().take(8).collect();
    let time = format!("{:02}:{:02}", view.running.as_secs() / 60, view.running.as_secs() % 60);
    let mode = mode(facts);
    if let Some(notice) = view.notice {
        return fit(&format!("{mode} | {notice}"), columns);
    }
    let volume =
        if view.volume == Volume::default() { String::new() } else { format!(" vol {:+}", view.volume.step()) };
    let by_number = meters(view, BAR, |side| label(facts.party(side)));
    let by_side = meters(view, BAR / 2, |side| side_letter(side).to_owned());
    let others = if view.others.is_empty() { String::new() } else { format!(" | also {}", view.others.join(", ")) };
    let mode = standing(facts);
    let forms = [
        format!("{mode} | {call} {time} | {by_number}{volume}{others}"),
        format!("{mode} | {call} {time} | {by_side}{volume}{others}"),
        format!("{mode} | {call} {time} | {by_number}{volume}"),
        format!("{mode} | {call} {time} | {by_side}{volume}"),
        format!("{mode} | {time} | {by_side}"),
        format!("{mode} | {by_side}"),
    ];
    let fitting = forms.iter().find(|form| width(form) <= columns);
    fit(fitting.unwrap_or(&mode), columns)
}

fn meters(view: &View<'_>, bar: usize, name: impl Fn(Side) -> String) -> String {
    let shown = [(Side::A, view.a), (Side::B, view.b)].map(|(side, meter)| {
        let level = if hears(view.facts, side) { meter.bar(bar) } else { "(off)".to_owned() };
        format!("{} {level}", name(side))
    });
    shown.join(" ")
}

/// The text without what could steer a terminal: control characters and changes of direction.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if is_safe(c) { c } else { '?' }).collect()
}

/// JSON text with such characters as JSON's own escapes: they stand only within its strings.
pub fn clean_json(text: &str) -> String {
    let escaped = |c: char| if is_safe(c) { c.to_string() } else { format!("\\u{:04x}", u32::from(c)) };
    text.chars().map(escaped).collect()
}

fn is_safe(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// At most so many columns of a terminal; characters of East Asian scripts take two.
pub(super) fn fit(text: &str, columns: usize) -> String {
    let mut used = 0;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used <= columns
    };
    clean(text).chars().take_while(fits).collect()
}

pub(super) fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

fn side_letter(side: Side) -> &'static str {
    match side {
        Side::A => "A",
        Side::B => "B",
    }
}

fn other_side(side: Side) -> Side {
    match side {
        Side::A => Side::B,
        Side::B => Side::A,
    }
}

fn short_name(party: &PartyFacts) -> &'static str {
    match (party.role, party.side) {
        (Role::Agent, _) => "agent",
        (Role::Customer, _) => "customer",
        (Role::Absent, _) => "nobody",
        (Role::Unknown, Side::A) => "party A",
        (Role::Unknown, Side::B) => "party B",
    }
}

fn full_name(party: &PartyFacts) -> String {
    let number = clean(&party.number);
    if number.is_empty() { short_name(party).to_owned() } else { format!("{} {number}", short_name(party)) }
}

fn label(party: &PartyFacts) -> String {
    if party.number.is_empty() { short_name(party).to_owned() } else { party.number.chars().take(LABEL).collect() }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::control::supervision::Hear;

    /// The target is A.
    pub(in crate::spy) fn facts(mode: Mode, to: Side, roles: [Role; 2]) -> SpyFacts {
        let party = |side, role, number: &str| PartyFacts { role, number: number.into(), ..PartyFacts::nobody(side) };
        SpyFacts {
            session: "5e55".into(),
            call: "c7709e9c-1517-11dc-842a-d3a3942d3d63".into(),
            state: SpyState::Call,
            target: party(Side::A, roles[0], "1001"),
            peer: party(Side::B, roles[1], "0791112233"),
            mode,
            to,
            hear: Hear::Both,
            hears: vec![Side::A, Side::B],
            talks: Vec::new(),
            allowed: Mode::Barge,
        }
    }

    const USERS: [[Role; 2]; 3] =
        [[Role::Agent, Role::Customer], [Role::Customer, Role::Agent], [Role::Unknown, Role::Unknown]];

    #[test]
    fn every_mode_says_who_hears_for_every_role() {
        let words = |at, to| USERS.map(|roles| mode(&facts(at, to, roles)));
        assert_eq!(words(Mode::Listen, Side::A), ["LISTEN - nobody hears you"; 3]);
        assert_eq!(words(Mode::Listen, Side::B), ["LISTEN - nobody hears you"; 3]);
        assert_eq!(
            words(Mode::Whisper, Side::A),
            [
                "WHISPER to agent 1001 - customer cannot hear you",
                "WHISPER to customer 1001 - agent cannot hear you",
                "WHISPER to party A 1001 - party B cannot hear you",
            ]
        );
        assert_eq!(
            words(Mode::Whisper, Side::B),
            [
                "WHISPER to customer 0791112233 - agent cannot hear you",
                "WHISPER to agent 0791112233 - customer cannot hear you",
                "WHISPER to party B 0791112233 - party A cannot hear you",
            ]
        );
        let both = [
            "BARGE - agent 1001 and customer 0791112233 hear you",
            "BARGE - customer 1001 and agent 0791112233 hear you",
            "BARGE - party A 1001 and party B 0791112233 hear you",
        ];
        assert_eq!(words(Mode::Barge, Side::A), both);
        assert_eq!(words(Mode::Barge, Side::B), both);
    }

    #[test]
    fn whisper_to_either_side_is_right_when_the_target_is_the_party_that_answered() {
        let mut turned = facts(Mode::Whisper, Side::B, [Role::Agent, Role::Customer]);
        std::mem::swap(&mut turned.target, &mut turned.peer);
        assert_eq!(mode(&turned), "WHISPER to customer 0791112233 - agent cannot hear you");
        turned.to = Side::A;
        assert_eq!(mode(&turned), "WHISPER to agent 1001 - customer cannot hear you");
    }

    fn line(facts: &SpyFacts, columns: usize, notice: Option<&str>) -> String {
        let (mut a, b) = (Meter::default(), Meter::default());
        a.push(&[16_384; 160]);
        let running = Duration::from_secs(125);
        status_line(&View { facts, running, a: &a, b: &b, volume: Volume::new(-2), others: &[], notice }, columns)
    }

    #[test]
    fn the_status_line_has_mode_call_time_two_meters_and_volume() {
        assert_eq!(
            line(&facts(Mode::Listen, Side::A, USERS[0]), 200, None),
            "LISTEN - nobody hears you | c7709e9c 02:05 | 1001 #########. 0791112233 .......... vol -2"
        );
    }

    #[test]
    fn who_else_listens_is_shown_where_there_is_room() {
        let facts = facts(Mode::Listen, Side::A, USERS[0]);
        let (a, b) = (Meter::default(), Meter::default());
        let others = ["boss".to_owned(), "admin".to_owned()];
        let (running, volume) = (Duration::ZERO, Volume::default());
        let view = View { facts: &facts, running, a: &a, b: &b, volume, others: &others, notice: None };
        assert!(status_line(&view, 200).ends_with(".......... | also boss, admin"));
        assert!(!status_line(&view, 60).contains("also"));
    }

    #[test]
    fn where_there_is_no_call_the_words_say_so() {
        let mut facts = facts(Mode::Whisper, Side::A, USERS[0]);
        facts.state = SpyState::Waiting;
        assert_eq!(mode(&facts), "WAITING for a call - nobody hears you");
        (facts.state, facts.peer) = (SpyState::Alone, PartyFacts::nobody(Side::B));
        assert_eq!(mode(&facts), "WHISPER to agent 1001, who is alone");
        assert_eq!(parties(&facts), "agent 1001, alone");
        facts.mode = Mode::Listen;
        assert!(line(&facts, 200, None).starts_with("LISTEN - nobody hears you (alone) | c7709e9c"));
    }

    #[test]
    fn a_side_that_is_not_listened_to_has_no_meter() {
        let mut facts = facts(Mode::Listen, Side::A, USERS[0]);
        facts.hears = vec![Side::A];
        assert!(line(&facts, 200, None).contains("0791112233 (off)"));
    }

    #[test]
    fn a_narrow_line_first_gives_up_what_matters_least() {
        let facts = facts(Mode::Whisper, Side::A, USERS[0]);
        let mode = "WHISPER to agent 1001 - customer cannot hear you";
        assert_eq!(line(&facts, 90, None), format!("{mode} | c7709e9c 02:05 | A ##### B ..... vol -2"));
        assert_eq!(line(&facts, 79, None), format!("{mode} | 02:05 | A ##### B ....."));
        assert_eq!(line(&facts, 70, None), format!("{mode} | A ##### B ....."));
        assert_eq!(line(&facts, 60, None), mode);
        assert_eq!(line(&facts, 20, None), &mode[..20]);
    }

    #[test]
    fn a_passing_message_stands_in_the_place_of_the_meters() {
        let facts = facts(Mode::Listen, Side::A, USERS[0]);
        assert_eq!(line(&facts, 79, Some("barge is not allowed")), "LISTEN - nobody hears you | barge is not allowed");
    }

    #[test]
    fn a_number_from_outside_cannot_steer_the_terminal() {
        let mut facts = facts(Mode::Whisper, Side::A, USERS[0]);
        facts.target.number = "\u{1b}]0;x\u{7}\n\u{9b}31m\u{202e}".into();
        for text in [line(&facts, 300, None), line(&facts, 300, Some("\u{1b}[2J")), mode(&facts), parties(&facts)] {
            assert!(text.chars().all(is_safe), "{text:?}");
        }
    }

    #[test]
    fn json_keeps_its_meaning_without_characters_a_terminal_obeys() {
        let value = serde_json::json!({"number": "\u{1b}\u{9b}31m\u{202e}é"});
        let text = clean_json(&value.to_string());
        assert!(text.chars().all(is_safe), "{text:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).expect("JSON"), value);
    }

    #[test]
    fn wide_characters_count_twice() {
        assert_eq!(fit("日本語", 5), "日本");
        assert_eq!(fit("Müller", 3), "Mül");
        assert_eq!(fit("x", 0), "");
    }

    #[test]
    fn what_is_heard_is_a_level_or_a_reason() {
        let facts = facts(Mode::Listen, Side::A, USERS[0]);
        assert_eq!(heard(&facts.target, -20.6, None), "agent 1001 at -21 dB");
        assert_eq!(heard(&facts.peer, f32::NEG_INFINITY, None), "customer 0791112233 silent");
        assert_eq!(heard(&facts.peer, -75.0, Some("on hold")), "customer 0791112233 silent (on hold)");
    }
}
