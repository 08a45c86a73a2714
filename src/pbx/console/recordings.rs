//! The console's words about recordings: Asterisk's `mixmonitor`, FreeSWITCH's `uuid_record`.

use crate::{
    call::recording::{By, IfThere, Wish, start},
    config::{RecordChannels, RecordForm},
    control::protocol::{Fault, FaultCode},
    pbx::{House, recordings},
};

/// As whom the console records.
const CONSOLE: &str = "console";

impl House {
    /// `mixmonitor start CHANNEL FILE[,a]`: both parties in one channel.
    pub(super) async fn console_mixmonitor(&self, channel: &str, args: &str) -> Result<String, Fault> {
        let (file, options) = args.split_once(',').unwrap_or((args, ""));
        if let Some(other) = options.chars().find(|letter| *letter != 'a') {
            return Err(Fault::new(
                FaultCode::Usage,
                format!("mixmonitor: option `{other}` is none of the console's (a)"),
            ));
        }
        let uuid = self.leg_named(channel)?;
        let wish = Wish {
            file: Some(file.to_owned()).filter(|file| !file.is_empty()),
            if_there: if options.is_empty() { IfThere::Number } else { IfThere::Append },
            channels: Some(RecordChannels::Mix),
            form: Some(RecordForm::Pcm),
            ..Wish::new(By::Shell(CONSOLE.to_owned()))
        };
        start(&self.exchange, &uuid, wish).await.map_err(|error| recordings::fault(&error))?;
        Ok(String::new())
    }

    /// `mixmonitor stop CHANNEL`: what follows that channel.
    pub(super) async fn console_stop_mixmonitor(&self, channel: &str) -> Result<String, Fault> {
        let uuid = self.leg_named(channel)?;
        for recording in self.meant(&uuid)? {
            if recording.leg().is_some_and(|leg| leg.uuid == uuid) {
                recording.stop().await.map_err(|error| recordings::fault(&error))?;
            }
        }
        Ok(String::new())
    }

    /// `mixmonitor list CHANNEL`.
    pub(super) fn console_list_mixmonitors(&self, channel: &str) -> Result<String, Fault> {
        let uuid = self.leg_named(channel)?;
        // An id has 36 characters.
        let mut text = format!("{:<36}  File\n", "MixMonitor ID");
        let all = self.exchange.recordings.all();
        for recording in all.iter().filter(|one| one.leg().is_some_and(|leg| leg.uuid == uuid)) {
            text.push_str(&format!("{}  {}\n", recording.id(), recording.file()));
        }
        Ok(text)
    }

    /// `uuid_record UUID start|stop|mask|unmask [FILE]`.
    pub(super) async fn console_uuid_record(&self, uuid: &str, verb: &str, file: &str) -> Result<String, Fault> {
        match verb {
            "start" => {
                let file = Some(file.to_owned()).filter(|file| !file.is_empty());
                let wish = Wish { file, ..Wish::new(By::Shell(CONSOLE.to_owned())) };
                start(&self.exchange, uuid, wish).await.map_err(|error| recordings::fault(&error))?;
            }
            "stop" | "mask" | "unmask" => {
                for recording in self.meant(uuid)? {
                    match verb {
                        "stop" => {
                            recording.stop().await.map_err(|error| recordings::fault(&error))?;
                        }
                        "mask" => recording.mask(),
                        _ => recording.unmask(),
                    }
                }
            }
            _ => {
                let message = format!("uuid_record: `{verb}` is none of start, stop, mask, unmask");
                return Err(Fault::new(FaultCode::Usage, message));
            }
        }
        Ok("+OK Success\n".to_owned())
    }

    fn leg_named(&self, channel: &str) -> Result<String, Fault> {
        let leg = self.exchange.live.named(channel);
        let found = leg.map(|leg| leg.uuid.clone());
        let found = found.or_else(|| self.exchange.live.find(channel).map(|(_, leg)| leg.uuid.clone()));
        found.ok_or_else(|| Fault::new(FaultCode::NotFound, format!("No channel matching '{channel}' found.")))
    }
}
