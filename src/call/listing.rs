//! The live channels as `core show channels` lists them: gathered from the tasks that own them, and put into text.
//! Above: `pbx -rx`. Below: `live`; each channel's task describes itself when asked.

use std::{fmt::Write, time::Duration};

use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use crate::call::{
    about::state_word,
    exchange::Exchange,
    live::{CallFacts, Described, LegFacts, Order},
};

/// How long the tasks may take to describe their channels, all together.
const PATIENCE: Duration = Duration::from_millis(500);

/// One live channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelLine {
    /// `SIP/1001-00000001`.
    pub name: String,
    /// Where its dialplan is; for a dialled leg the context of the channel that dialled it.
    pub context: String,
    /// The extension; empty for a dialled leg.
    pub extension: String,
    /// The priority.
    pub priority: u32,
    /// `Down`, `Ring`, `Ringing`, `Up`.
    pub state: &'static str,
    /// The application that runs.
    pub application: Option<String>,
    /// Its arguments.
    pub data: String,
    /// The number that it has.
    pub caller: String,
    /// Who is charged.
    pub account: String,
    /// Who is charged for the other end.
    pub peer_account: String,
    /// Seconds since it began.
    pub seconds: u64,
    /// The bridge it is in: the UUID of the call.
    pub bridge: String,
    /// Its UUID.
    pub unique_id: String,
}

/// How many calls and channels there are, and calls that ever were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Live channels, dialled legs too.
    pub channels: usize,
    /// Live calls.
    pub calls: usize,
    /// Calls that ever began.
    pub processed: u64,
}

impl Exchange {
    /// Every live channel, the oldest call's first.
    pub async fn channel_lines(&self) -> Vec<ChannelLine> {
        let until = Instant::now() + PATIENCE;
        let mut asked = Vec::new();
        for call in self.live.calls() {
            let (reply, told) = oneshot::channel();
            if let Some(first) = call.legs().first() {
                // A task too busy to be asked tells nothing; what is known of its legs is listed all the same.
                let _ = first.orders.try_send(Order::Describe(reply));
            }
            asked.push((call, told));
        }
        let mut lines = Vec::new();
        for (call, told) in asked {
            let described = timeout_at(until, told).await.ok().and_then(Result::ok).unwrap_or_default();
            lines.extend(
                call.legs().iter().enumerate().map(|(at, leg)| line(&call, leg, (at == 0).then_some(&described))),
            );
        }
        lines
    }

    /// How many there are.
    pub fn totals(&self) -> Totals {
        let (calls, channels) = self.live.counts();
        Totals { channels, calls, processed: self.live.processed() }
    }
}

fn line(call: &CallFacts, leg: &LegFacts, described: Option<&Described>) -> ChannelLine {
    let is_bridged = call.bridged().is_some_and(|(a, b)| a.uuid == leg.uuid || b.uuid == leg.uuid);
    let known = ChannelLine {
        name: leg.name.clone(),
        context: call.context.clone(),
        priority: 1,
        state: state_word(leg.way, leg.now().state),
        caller: leg.number.clone(),
        seconds: leg.began.elapsed().as_secs(),
        bridge: if is_bridged { call.uuid.clone() } else { String::new() },
        unique_id: leg.uuid.clone(),
        ..ChannelLine::default()
    };
    match described {
        None => ChannelLine { application: Some("AppDial".into()), data: "(Outgoing Line)".into(), ..known },
        Some(Described { position, application, data, caller, account, peer_account, .. }) => ChannelLine {
            context: position.context.clone(),
            extension: position.extension.clone(),
            priority: position.priority,
            application: application.map(str::to_owned),
            data: data.clone(),
            caller: caller.clone(),
            account: account.clone(),
            peer_account: peer_account.clone(),
            ..known
        },
    }
}

/// The text of `core show channels concise`: 14 fields joined by `!` a line, no head, no totals. The ninth from the end is
/// 3, documentation: what the record is for.
pub fn concise(lines: &[ChannelLine]) -> String {
    let mut text = String::new();
    for line in lines {
        let fields = [
            field(&line.name),
            field(&line.context),
            field(&line.extension),
            line.priority.to_string(),
            line.state.to_owned(),
            line.application.as_deref().map_or_else(|| "(None)".to_owned(), field),
            field(&line.data),
            field(&line.caller),
            field(&line.account),
            field(&line.peer_account),
            "3".to_owned(),
            line.seconds.to_string(),
            line.bridge.clone(),
            line.unique_id.clone(),
        ];
        text.push_str(&fields.join("!"));
        text.push('\n');
    }
    text
}

/// What somebody called himself must neither end a field nor a line.
fn field(text: &str) -> String {
    text.chars().map(|c| if c == '!' || c.is_control() { '?' } else { c }).collect()
}

/// The text of `core show channels`.
pub fn plain(lines: &[ChannelLine], totals: Totals) -> String {
    let mut text = String::new();
    let mut row = |cells: [&str; 4]| {
        let [name, location, state, application] = cells;
        let _ = writeln!(text, "{name:<20.20} {location:<20.20} {state:<7.7} {application:<30.30}");
    };
    row(["Channel", "Location", "State", "Application(Data)"]);
    for line in lines {
        let location = match (line.context.is_empty(), line.extension.is_empty()) {
            (true, true) => "(None)".to_owned(),
            _ => field(&format!("{}@{}:{}", line.extension, line.context, line.priority)),
        };
        let application = line.application.as_ref().map(|name| field(&format!("{name}({})", line.data)));
        row([&field(&line.name), &location, line.state, application.as_deref().unwrap_or("(None)")]);
    }
    text + &totals_text(totals)
}

/// The text of `core show channels verbose`.
pub fn verbose(lines: &[ChannelLine], totals: Totals) -> String {
    let mut text = String::new();
    let mut row = |[name, context, extension, priority, state, application, data, rest @ ..]: [&str; 12]| {
        let [caller, duration, account, peer_account, bridge] = rest;
        let _ = write!(text, "{name:<20.20} {context:<20.20} {extension:<16.16} {priority} {state:<7.7} ");
        let _ = write!(text, "{application:<12.12} {data:<25.25} {caller:<15.15} {duration:>8.8} ");
        let _ = writeln!(text, "{account:<11.11} {peer_account:<11.11} {bridge:<20.20}");
    };
    row([
        "Channel",
        "Context",
        "Extension",
        "Prio",
        "State",
        "Application",
        "Data",
        "CallerID",
        "Duration",
        "Accountcode",
        "PeerAccount",
        "BridgeID",
    ]);
    for line in lines {
        let seconds = line.seconds;
        row([
            &field(&line.name),
            &field(&line.context),
            &field(&line.extension),
            &format!("{:>4}", line.priority),
            line.state,
            &line.application.as_deref().map_or_else(|| "(None)".to_owned(), field),
            &if line.data.is_empty() { "(Empty)".to_owned() } else { field(&line.data) },
            &field(&line.caller),
            &format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60),
            &field(&line.account),
            &field(&line.peer_account),
            &line.bridge,
        ]);
    }
    text + &totals_text(totals)
}

/// The text of `core show channels count`, and the end of the others.
pub fn totals_text(Totals { channels, calls, processed }: Totals) -> String {
    let s = |is_one: bool| if is_one { "" } else { "s" };
    format!(
        "{channels} active channel{}\n{calls} active call{}\n{processed} call{} processed\n",
        s(channels == 1),
        s(calls == 1),
        s(processed == 1)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Vec<ChannelLine> {
        let bridge = "6663f3c9-0717-4db5-a121-dc616ade580a";
        vec![
            ChannelLine {
                name: "Local/12345@ConferenceRooms-00000031;2".into(),
                context: "ConferenceRooms".into(),
                extension: "12345".into(),
                priority: 5,
                state: "Up",
                application: Some("ConfBridge".into()),
                data: "12345".into(),
                seconds: 3725,
                bridge: bridge.into(),
                unique_id: "1795211946.112".into(),
                ..ChannelLine::default()
            },
            ChannelLine {
                name: "SIP/1001-00000001".into(),
                priority: 1,
                state: "Down",
                caller: "1!2\n3".into(),
                unique_id: "u".into(),
                ..ChannelLine::default()
            },
        ]
    }

    #[test]
    fn concise_lines_have_fourteen_fields_whatever_a_caller_calls_himself() {
        assert_eq!(
            concise(&lines()),
            "Local/12345@ConferenceRooms-00000031;2!ConferenceRooms!12345!5!Up!ConfBridge!12345!!!!3!3725!\
             6663f3c9-0717-4db5-a121-dc616ade580a!1795211946.112\n\
             SIP/1001-00000001!!!1!Down!(None)!!1?2?3!!!3!0!!u\n"
        );
    }

    #[test]
    fn the_table_has_its_columns_and_totals() {
        let totals = Totals { channels: 2, calls: 1, processed: 7 };
        assert_eq!(
            plain(&lines(), totals),
            "Channel              Location             State   Application(Data)             \n\
             Local/12345@Conferen 12345@ConferenceRoom Up      ConfBridge(12345)             \n\
             SIP/1001-00000001    (None)               Down    (None)                        \n\
             2 active channels\n1 active call\n7 calls processed\n"
        );
    }

    #[test]
    fn the_verbose_table_tells_more() {
        let text = verbose(&lines(), Totals { channels: 1, calls: 0, processed: 1 });
        let rows: Vec<_> = text.lines().collect();
        assert_eq!(
            rows[1],
            "Local/12345@Conferen ConferenceRooms      12345               5 Up      ConfBridge   12345                                     \
             01:02:05                         6663f3c9-0717-4db5-a"
        );
        assert!(rows[2].contains("(Empty)"));
        assert_eq!(rows[3..], ["1 active channel", "0 active calls", "1 call processed"]);
    }
}
