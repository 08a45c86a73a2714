//! `CDR(field[,options])`: the detail record of the call as it stands now.

use jiff::{Timestamp, tz::TimeZone};

use super::{Func, FuncError, channel};
use crate::call::Channel;
use crate::dialplan::piece::Piece;
use crate::dialplan::vars::Scope;

/// Fields of its own that one call's record may have.
const MAX_FIELDS: usize = 64;

/// Fields that the call itself writes.
const OF_THE_CALL: &[&str] = &[
    "answer",
    "amaflags",
    "billsec",
    "channel",
    "clid",
    "dcontext",
    "disposition",
    "dst",
    "dstchannel",
    "duration",
    "end",
    "lastapp",
    "lastdata",
    "linkedid",
    "peeraccount",
    "sequence",
    "src",
    "start",
    "uniqueid",
];

pub(super) struct Cdr;

impl Func for Cdr {
    fn name(&self) -> &'static str {
        "CDR"
    }

    fn syntax(&self) -> &'static str {
        "field[,options]"
    }

    fn synopsis(&self) -> &'static str {
        "A field of the call's detail record: clid, src, dst, dcontext, channel, lastapp, start, answer, duration, billsec, \
         disposition, uniqueid, linkedid, … (options: f seconds with fractions, u times as seconds since 1970). accountcode, \
         userfield and fields of one's own can be set and are written to the record."
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let mut values = args.arguments(2).into_iter().map(|piece| piece.value(scope).trim().to_ascii_lowercase());
        let field = values.next().filter(|field| !field.is_empty()).ok_or(FuncError::Missing("the field"))?;
        let options = values.next().unwrap_or_default();
        Ok(value(channel(scope)?, &field, &options))
    }

    fn write(&self, scope: &mut dyn Scope, args: Piece<'_>, value: String) -> Result<(), FuncError> {
        let field = args.value(scope).trim().to_ascii_lowercase();
        let about = channel(scope)?.about_mut();
        match field.as_str() {
            "" => return Err(FuncError::Missing("the field")),
            "accountcode" => about.account = value,
            "userfield" => about.user_field = value,
            known if OF_THE_CALL.contains(&known) => return Err(FuncError::ReadOnly),
            _ if about.fields.len() >= MAX_FIELDS && !about.fields.contains_key(&field) => {
                return Err(FuncError::Wrong(format!("a record has at most {MAX_FIELDS} fields of one's own")));
            }
            _ => {
                about.fields.insert(field, value);
            }
        }
        Ok(())
    }
}

fn value(chan: &Channel, field: &str, options: &str) -> String {
    let (call, about) = (chan.call(), chan.about());
    let now = Timestamp::now();
    let time = |at: Option<Timestamp>| at.map(|at| time_text(at, options)).unwrap_or_default();
    let lasted = |from: Option<Timestamp>| {
        let seconds = from.map_or(0.0, |from| now.duration_since(from).as_secs_f64().max(0.0));
        if options.contains('f') { format!("{seconds:.6}") } else { format!("{:.0}", seconds.floor()) }
    };
    match field {
        "accountcode" => about.account.clone(),
        "amaflags" => "3".to_owned(),
        "answer" => time(chan.answered()),
        "billsec" => lasted(chan.answered()),
        "channel" => chan.name().to_owned(),
        "clid" => format!("\"{}\" <{}>", chan.caller().name, chan.caller().number),
        "dcontext" => call.context.clone(),
        "disposition" => chan.disposition().to_owned(),
        "dst" => call.to.clone(),
        "dstchannel" => chan.var("DIALEDPEERNAME").unwrap_or_default().to_owned(),
        "duration" => lasted(Some(call.started)),
        "lastapp" => about.application.unwrap_or_default().to_owned(),
        "lastdata" => about.data.clone(),
        "linkedid" => chan.linked_id().to_owned(),
        "peeraccount" => about.peer_account.clone(),
        "src" => chan.caller().number.clone(),
        "start" => time(Some(call.started)),
        "uniqueid" => chan.uuid().to_owned(),
        "userfield" => about.user_field.clone(),
        own => about.fields.get(own).cloned().unwrap_or_default(),
    }
}

/// `2026-11-21 03:04:05` in local time; with `u` seconds and microseconds since 1970.
fn time_text(at: Timestamp, options: &str) -> String {
    if options.contains('u') {
        return format!("{}.{:06}", at.as_second(), at.subsec_microsecond());
    }
    at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_seconds_since_1970_where_asked() {
        let at = Timestamp::new(1_795_213_155, 250_000_000).unwrap();
        assert_eq!(time_text(at, "u"), "1795213155.250000");
        assert_eq!(time_text(at, "").len(), "2026-11-21 03:04:05".len());
    }
}
