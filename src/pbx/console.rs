//! Asterisk's console words, for `pbx -rx`: the lines that scripts send and the texts they parse.
//! Above: the desk passes lines on. Below: the same house that answers the control socket.

mod channels;
mod database;
mod recordings;
mod words;

use self::channels::Form;
use crate::{
    astdb::Select,
    call::Cause,
    control::protocol::{ConsoleSaid, Fault, FaultCode, Originate, Reload, ReloadWhat, Stop},
    dialplan::show,
};

use super::House;

/// Every line that is understood, for `core show help`.
const HELP: &[(&str, &str)] = &[
    ("channel originate TECH/DATA application APP [ARGS]", "call an endpoint and connect it with an application"),
    ("channel originate TECH/DATA extension EXTEN@CONTEXT", "call an endpoint and connect it with an extension"),
    ("channel request hangup CHANNEL|all", "end a channel by its name or UUID"),
    ("core reload", "read configuration and dialplan again"),
    ("core show application NAME", "what an application does"),
    ("core show applications", "all applications"),
    ("core show calls", "how many calls there are"),
    ("core show channels [concise|count|verbose]", "the live channels"),
    ("core show function NAME", "what a function does"),
    ("core show functions", "all functions"),
    ("core show help", "this list"),
    ("core show uptime [seconds]", "how long the server runs"),
    ("core show version", "which version it is"),
    ("core stop gracefully|now", "end the server"),
    ("database del FAMILY KEY", "remove an entry of the store"),
    ("database deltree FAMILY [KEY]", "remove a family, or a key and all below it"),
    ("database get FAMILY KEY", "show a value"),
    ("database put FAMILY KEY VALUE", "write a value"),
    ("database show [FAMILY [KEY]]", "list entries, their values hidden"),
    ("database showkey KEY", "list entries of any family with that key"),
    ("dialplan reload", "read the dialplan again"),
    ("dialplan show [[EXTEN@]CONTEXT]", "contexts, extensions and steps in their order"),
    ("group show channels", "which channels are in which group"),
    ("mixmonitor list CHANNEL", "the recordings that follow a channel"),
    ("mixmonitor start CHANNEL FILE[,a]", "record a channel and whom it talks with, mixed"),
    ("mixmonitor stop CHANNEL", "end the recordings that follow a channel"),
    ("uuid_record UUID start|stop|mask|unmask [FILE]", "record a leg by its UUID"),
];

impl House {
    /// Answers a line as Asterisk's console would, with a fault where Asterisk only prints a sentence.
    pub(super) async fn console(&self, line: &str) -> ConsoleSaid {
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = match words.as_slice() {
            ["channel", "originate", endpoint, "application", app, ..] => {
                self.console_originate(endpoint, app, behind(line, 5)).await
            }
            ["channel", "originate", endpoint, "extension", target] => self.console_extend(endpoint, target).await,
            ["channel", "request", "hangup", "all"] => self.console_hangup_all().await,
            ["channel", "request", "hangup", name] => self.console_hangup(name).await,
            ["core", "reload"] | ["reload"] => self.console_reload(Reload::All).await,
            ["dialplan", "reload"] => self.console_reload(Reload::Dialplan).await,
            ["core", "show", "application", name] => words::application(name),
            ["core", "show", "applications"] => Ok(words::applications()),
            ["core", "show", "channels"] => self.console_channels(Form::Plain).await,
            ["core", "show", "channels", "concise"] => self.console_channels(Form::Concise).await,
            ["core", "show", "channels", "verbose"] => self.console_channels(Form::Verbose).await,
            ["core", "show", "channels", "count"] | ["core", "show", "calls"] => {
                self.console_channels(Form::Count).await
            }
            ["database", "get", family, key] => self.console_get(family, key),
            ["database", "put", family, key, ..] => self.console_put(family, key, behind(line, 4)).await,
            ["database", "del", family, key] => self.console_del(family, key).await,
            ["database", "deltree", family] => self.console_deltree(family, None).await,
            ["database", "deltree", family, prefix] => self.console_deltree(family, Some(prefix)).await,
            ["database", "show"] => self.console_show(&Select::All),
            ["database", "show", family] => self.console_show(&select(family)),
            ["database", "show", family, tree] => {
                self.console_show(&Select::Tree((*family).to_owned(), (*tree).to_owned()))
            }
            ["database", "showkey", key] => self.console_show(&Select::LastPart((*key).to_owned())),
            ["dialplan", "show"] => self.console_dialplan(None),
            ["dialplan", "show", what] => self.console_dialplan(Some(what)),
            ["group", "show", "channels"] => Ok(self.console_groups()),
            ["mixmonitor", "list", channel] => self.console_list_mixmonitors(channel),
            ["mixmonitor", "start", channel, ..] => self.console_mixmonitor(channel, behind(line, 3)).await,
            ["mixmonitor", "stop", channel, ..] => self.console_stop_mixmonitor(channel).await,
            ["uuid_record", uuid, verb, ..] => self.console_uuid_record(uuid, verb, behind(line, 3)).await,
            ["core", "show", "function", name] => words::function(name),
            ["core", "show", "functions"] => Ok(words::functions()),
            ["core", "show", "help"] | ["help"] => Ok(words::help(HELP)),
            ["core", "show", "uptime"] => Ok(words::uptime(self.exchange.began.elapsed())),
            ["core", "show", "uptime", "seconds"] => {
                Ok(format!("System uptime: {}\n", self.exchange.began.elapsed().as_secs()))
            }
            ["core", "show", "version"] => Ok(format!("wirechief {}\n", env!("CARGO_PKG_VERSION"))),
            ["core", "stop", "now"] => Ok(self.console_stop(false)),
            ["core", "stop", "gracefully"] => Ok(self.console_stop(true)),
            _ => Err(Fault::new(
                FaultCode::Usage,
                format!("No such command '{}' (type 'core show help' for other possible commands)", line.trim()),
            )),
        };
        match answer {
            Ok(text) => ConsoleSaid { text, fault: None },
            Err(fault) => ConsoleSaid { text: format!("{}\n", fault.message), fault: Some(fault.code) },
        }
    }

    async fn console_reload(&self, what: Reload) -> Result<String, Fault> {
        let report = self.reload(ReloadWhat { what, ..ReloadWhat::default() }).await?;
        let said = if matches!(what, Reload::Dialplan) { "Dialplan reloaded.\n" } else { "Reloaded.\n" };
        let warnings = report.warnings.iter().map(|warning| format!("{warning}\n"));
        Ok(warnings.chain([said.to_owned()]).collect())
    }

    fn console_dialplan(&self, what: Option<&str>) -> Result<String, Fault> {
        let nothing = |sentence: String| Fault::new(FaultCode::NotFound, sentence.trim_end());
        show::text(&self.plan.load(), what).map_err(nothing)
    }

    /// Asterisk prints nothing when it worked.
    async fn console_originate(&self, endpoint: &str, app: &str, args: &str) -> Result<String, Fault> {
        let request = Originate {
            endpoint: endpoint.to_owned(),
            app: app.to_owned(),
            args: args.to_owned(),
            ..Originate::default()
        };
        self.originate(request).await.map(|_| String::new())
    }

    async fn console_extend(&self, endpoint: &str, target: &str) -> Result<String, Fault> {
        let (extension, context) = target.split_once('@').unwrap_or((target, "default"));
        if !self.plan.load().begins_at(context, extension) {
            let message = format!("there is no extension {extension} in context {context}");
            return Err(Fault::new(FaultCode::NotFound, message));
        }
        self.console_originate(endpoint, "Goto", &format!("{context},{extension},1")).await
    }

    async fn console_hangup(&self, name: &str) -> Result<String, Fault> {
        let calls = self.exchange.live.calls();
        let legs = calls.iter().flat_map(|call| call.legs());
        let Some(leg) = legs.into_iter().find(|leg| leg.name == name || leg.uuid == name) else {
            return Err(Fault::new(FaultCode::NotFound, format!("{name} is not a known channel")));
        };
        self.hangup(&leg.uuid, Some(Cause::NORMAL.number())).await?;
        Ok(format!("Requested Hangup on channel '{}'\n", leg.name))
    }

    async fn console_hangup_all(&self) -> Result<String, Fault> {
        let calls = self.exchange.live.calls();
        for call in &calls {
            // one that has just ended needs no hang-up
            let _ = self.hangup(&call.uuid, None).await;
        }
        Ok(format!("Requested Hangup on {} channels\n", calls.len()))
    }

    fn console_stop(&self, graceful: bool) -> String {
        let _ = self.stop.try_send(Stop { graceful, ..Stop::default() });
        String::new()
    }
}

/// `pin`, or `pin/sub`.
fn select(family: &str) -> Select {
    match family.split_once('/') {
        Some((family, tree)) => Select::Tree(family.to_owned(), tree.to_owned()),
        None => Select::Family(family.to_owned()),
    }
}

/// What is left of a line behind so many words.
fn behind(line: &str, words: usize) -> &str {
    let mut rest = line.trim_start();
    for _ in 0..words {
        rest = rest.find(char::is_whitespace).map_or("", |at| rest.get(at..).unwrap_or_default().trim_start());
    }
    rest.trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_a_line_keeps_its_blanks() {
        assert_eq!(behind("channel originate SIP/1 application  Playback a  b", 5), "a  b");
        assert_eq!(behind("channel originate SIP/1 application Echo", 5), "");
    }

    #[test]
    fn the_help_is_sorted() {
        assert!(HELP.is_sorted());
    }
}
