//! The settings in force as JSON with secrets as `***`, for `pbx config show`. Keys are those of `pbx.toml`.

use serde_json::{Map, Value, json};

use super::serve::ServeSettings;
use super::settings::*;
use super::units::{print_duration, print_size};
use super::{RecordChoice, RecordRate, RecordingSettings};

impl Config {
    /// All settings, defaults included, secrets masked.
    pub fn masked(&self) -> Value {
        let list = |items: Vec<String>| Value::from(items);
        let bind = |bind: &Bind| format!("{}://{}", bind.transport.as_str(), bind.address);
        let mut all = json!({
            "sip": { "bind": list(self.sip.bind.iter().map(bind).collect()), "realm": self.sip.realm },
            "media": {
                "bind": self.media.bind.to_string(),
                "ports": format!("{}-{}", self.media.ports.start(), self.media.ports.end()),
                "codecs": list(self.media.codecs.iter().map(|codec| codec.as_str().to_owned()).collect()),
                "rtp_timeout": print_duration(self.media.rtp_timeout),
            },
            "dialplan": {
                "files": self.dialplan.files,
                "sounds": self.dialplan.sounds,
                "env": self.dialplan.env,
                "system": self.dialplan.system.as_str(),
                "programs": self.dialplan.programs,
                "secrets": self.dialplan.secrets,
            },
            "users": self.users.iter().map(|(name, user)| (name.clone(), masked_user(user))).collect::<Map<_, _>>(),
            "trunks": self.trunks.iter().map(|(name, trunk)| (name.clone(), shown_trunk(trunk))).collect::<Map<_, _>>(),
            "remotes": self.remotes.iter().map(|(name, remote)| (name.clone(), remote.masked())).collect::<Map<_, _>>(),
            "supervision": {
                "codes": {
                    "listen": self.supervision.codes.listen,
                    "whisper": self.supervision.codes.whisper,
                    "barge": self.supervision.codes.barge,
                    "eavesdrop": self.supervision.codes.eavesdrop,
                },
                "shell_users": self.supervision.shell_users,
                "log": self.supervision.log,
                "on_agent_leave": self.supervision.on_agent_leave.as_str(),
                "announce": self.supervision.announce.as_str(),
                "announce_to": self.supervision.announce_to.as_str(),
            },
            "control": {},
            "records": { "file": self.records.file },
            "log": { "level": self.log.level.as_str(), "format": self.log.format.as_str() },
            "astdb": {
                "file": self.astdb.file,
                "key": self.astdb.key.as_str(),
                "key_file": self.astdb.key_file,
                "hide_names": self.astdb.hide_names,
            },
            "recording": shown_recording(&self.recording),
            "serve": shown_serve(&self.serve),
            "limits": {
                "calls": self.limits.calls,
                "calls_per_user": self.limits.calls_per_user,
                "requests_per_second_per_source": self.limits.requests_per_second_per_source.unwrap_or(Limits::USUAL_REQUESTS),
                "bad_logins": self.limits.bad_logins,
                "ban_time": print_duration(self.limits.ban_time),
            },
        });
        if let Some(advertise) = self.sip.advertise {
            all["sip"]["advertise"] = advertise.to_string().into();
        }
        if let Some(group) = &self.control.group {
            all["control"]["group"] = group.as_str().into();
        }
        if let Some(guests) = &self.guests {
            all["guests"] = json!({ "context": guests.context, "from": shown(&guests.from) });
        }
        all
    }

    /// What is allowed but unwise, one sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let short = self.users.iter().filter(|(_, user)| user.password.expose().chars().count() < 12);
        short.map(|(name, _)| format!("the password of user {name} has fewer than 12 characters")).collect()
    }
}

fn shown_serve(serve: &ServeSettings) -> Value {
    let mut shown = json!({
        "bind": serve.bind.to_string(),
        "link_key_file": serve.link_key_file,
        "log": serve.log,
        "largest": serve.largest,
        "upload_expires": print_duration(serve.upload_expires),
        "keep_free": serve.keep_free,
        "pull_from": serve.pull_from,
    });
    let files = [
        ("users_file", &serve.users_file),
        ("token_file", &serve.token_file),
        ("read_token_file", &serve.read_token_file),
        ("signing_key_file", &serve.signing_key_file),
        ("receipt_key_file", &serve.receipt_key_file),
        ("tls_certificate", &serve.tls_certificate),
        ("tls_key", &serve.tls_key),
        ("pull_ca_file", &serve.pull_ca_file),
    ];
    for (key, file) in files {
        if let Some(file) = file {
            shown[key] = json!(file);
        }
    }
    if let Some(base) = &serve.base {
        shown["base"] = base.as_str().into();
    }
    shown
}

fn masked_user(user: &User) -> Value {
    let mut shown = json!({
        "password": "***",
        "context": user.context,
        "may_spy": user.may_spy.as_str(),
        "may_be_spied": user.may_be_spied,
        "groups": user.groups,
        "spy_params": user.spy_params,
    });
    if let Some(id) = &user.caller_id {
        shown["caller_id"] = format!("{} <{}>", id.name, id.number).into();
    }
    if let Some(groups) = &user.spy_groups {
        shown["spy_groups"] = groups.clone().into();
    }
    with_record(shown, user.record)
}

fn shown_trunk(trunk: &Trunk) -> Value {
    let v6 = if trunk.host.contains(':') { format!("[{}]", trunk.host) } else { trunk.host.clone() };
    let host = trunk.port.map_or_else(|| v6.clone(), |port| format!("{v6}:{port}"));
    let mut shown_trunk =
        json!({ "host": host, "transport": trunk.transport.as_str(), "match": shown(&trunk.matches) });
    if let Some(context) = &trunk.context {
        shown_trunk["context"] = context.as_str().into();
    }
    with_record(shown_trunk, trunk.record)
}

/// The same with the rule for recording, where there is one.
fn with_record(mut shown: Value, record: Option<RecordChoice>) -> Value {
    if let Some(record) = record {
        shown["record"] = record.as_str().into();
    }
    shown
}

fn shown_recording(recording: &RecordingSettings) -> Value {
    json!({
        "spool": recording.spool,
        "name": recording.name,
        "channels": recording.channels.as_str(),
        "form": recording.form.as_str(),
        "rate": match recording.rate {
            RecordRate::Call => json!("call"),
            RecordRate::Hz(hz) => json!(hz),
        },
        "whispers": recording.whispers.as_str(),
        "roll": print_size(recording.roll),
        "free_space_floor": print_size(recording.free_space_floor),
        "record": recording.record.as_str(),
        "rooms": recording.rooms,
        "required": recording.required,
        "announce": recording.announce.as_deref().unwrap_or_default(),
        "announce_to": recording.announce_to.as_str(),
        "consent": recording.consent.as_str(),
        "agree_key": recording.agree_key,
        "consent_time": print_duration(recording.consent_time),
        "without_consent": recording.without_consent.as_str(),
        "variables": recording.variables,
        "seal_to": recording.seal_to,
    })
}

fn shown(matches: &[super::Match]) -> Value {
    matches.iter().map(ToString::to_string).collect::<Vec<_>>().into()
}
