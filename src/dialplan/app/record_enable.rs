//! The macro `record-enable` for dialplans that have none of their own: it names the recording as FreePBX's did, and begins it.
//! Above: `Macro` and `Gosub`. Below: `call::recording`.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::mixmonitor::{FILENAME, NAME};
use super::{Next, Outcome};
use crate::call::Channel;
use crate::call::recording::{By, Until, Wish};
use crate::dialplan::exec::Argument;
use crate::dialplan::recorded::{self, ENDING};

/// The contexts by which it is called.
const CONTEXTS: [&str; 2] = ["macro-record-enable", "sub-record-enable"];

/// Whether a macro or subroutine that is not in the dialplan is this one.
pub(super) fn is_meant(context: &str) -> bool {
    CONTEXTS.contains(&context)
}

/// Begins the recording of whom the first argument names, in the direction that the second does. It is complete when the Dial
/// that comes has ended, before the script goes on.
pub(super) async fn run(chan: &mut Channel, arguments: Vec<Argument>) -> Outcome {
    let argument = |at: usize| arguments.get(at).map(|argument| argument.value.as_str()).unwrap_or_default();
    let (who, method) = (argument(0), argument(1));
    let Some(name) = call_file_name((who, method), chan.uuid(), Timestamp::now()) else { return Ok(Next::Continue) };
    let wish = Wish {
        file: Some(recorded::file(chan, &format!("{name}.{ENDING}"))?),
        until: Until::Talk,
        ..Wish::new(By::Dialplan(NAME))
    };
    let Some(recording) = recorded::begin(chan, wish).await? else { return Ok(Next::Continue) };
    let path = recording.path();
    chan.set_var(FILENAME, path.to_string_lossy());
    // Without its ending, as FreePBX's macro sets it: and as it is called now, should the name have been taken.
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    chan.set_var("CALLFILENAME", stem);
    Ok(Next::Continue)
}

/// `OUT`, who, and when for any method but `IN`, for which it is only when, and `Group`, whose members stand between `-`; nothing
/// for nobody.
fn call_file_name((who, method): (&str, &str), unique_id: &str, now: Timestamp) -> Option<String> {
    let safe =
        |text: &str| text.chars().filter(|c| c.is_ascii_alphanumeric() || "+._-".contains(*c)).collect::<String>();
    let when = now.to_zoned(TimeZone::system()).strftime("%Y%m%d-%H%M%S");
    let end = format!("{when}-{unique_id}");
    match method {
        _ if who.is_empty() => None,
        "IN" => Some(end),
        "Group" => Some(format!("g{}-{end}", safe(who.split('-').next().unwrap_or_default()))),
        _ => Some(format!("OUT{}-{end}", safe(who))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s106_the_method_decides_the_form_of_the_name() {
        let now = Timestamp::from_second(1_213_870_500).unwrap();
        let when = now.to_zoned(TimeZone::system()).strftime("%Y%m%d-%H%M%S").to_string();
        let name = |who: &str, method: &str| call_file_name((who, method), "uuid", now);
        assert_eq!(name("000", "OUT"), Some(format!("OUT000-{when}-uuid")));
        assert_eq!(name("000", " OUT"), Some(format!("OUT000-{when}-uuid")), "S104: the document's blank");
        assert_eq!(name("000", "IN"), Some(format!("{when}-uuid")));
        assert_eq!(name("201-202", "Group"), Some(format!("g201-{when}-uuid")));
        assert_eq!(name("../0 0", "OUT"), Some(format!("OUT..00-{when}-uuid")));
        assert_eq!(name("", "OUT"), None);
    }
}
