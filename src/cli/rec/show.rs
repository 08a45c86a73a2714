//! `rec show`: all that is known of a recording, and what each remote has had of it.

use clap::Args as ClapArgs;
use jiff::Timestamp;
use serde::Serialize;

use super::place::Place;
use crate::cli::common::Context;
use crate::cli::complete;
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::words;
use crate::outbox::manifest::Consent;
use crate::outbox::remote::Receipt;
use crate::outbox::{Delivery, DeliveryState, Manifest, OutboxError};

/// Show a recording: its call, parties, gaps, pauses, consent, hashes and receipts
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  rec show c7709e9c
  rec show --json 20261120-210000-out-1001-4178575309 | jq .manifest.gaps")]
pub(super) struct Args {
    /// An id or its beginning, a file's name, or the UUID or UNIQUEID of a call
    #[arg(value_name = "ID", add = complete::recordings())]
    id: String,
}

#[derive(Serialize)]
struct Shown<'a> {
    manifest: &'a Manifest,
    deliveries: Vec<JsonDelivery<'a>>,
}

/// A delivery as `rec show --json` tells it.
#[derive(Serialize)]
struct JsonDelivery<'a> {
    remote: &'a str,
    part: u32,
    state: &'static str,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    due: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivered: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<&'a Receipt>,
}

impl<'a> JsonDelivery<'a> {
    fn of(delivery: &'a Delivery) -> Self {
        let (reason, receipt) = match &delivery.state {
            DeliveryState::Parked(reason) => (Some(reason.as_str()), None),
            DeliveryState::Delivered(receipt) => (None, Some(receipt)),
            DeliveryState::Pending | DeliveryState::Uploading => (None, None),
        };
        Self {
            remote: &delivery.remote,
            part: delivery.part,
            state: delivery.state.word(),
            attempts: delivery.attempts,
            due: delivery.due,
            offset: delivery.resume.as_ref().map(|resume| resume.offset),
            reason,
            error: delivery.error.as_deref(),
            failed: delivery.failed,
            delivered: delivery.delivered,
            receipt,
        }
    }
}

pub(super) fn run(args: &Args, place: &Place, context: &Context) -> Done {
    let desk = place.open(context)?;
    let id = desk.one(&args.id)?;
    let manifest = desk.outbox.get(id)?.ok_or(OutboxError::Unknown { id })?;
    let deliveries = desk.outbox.deliveries(id)?;
    if context.output.is_json() {
        let deliveries = deliveries.iter().map(JsonDelivery::of).collect();
        context.output.document("rec.recording/1", &Shown { manifest: &manifest, deliveries })?;
        return Ok(Exit::Ok);
    }
    for (name, value) in lines(&manifest) {
        context.output.line(&format!("{name:<12}{value}"))?;
    }
    told(&deliveries, context)?;
    Ok(Exit::Ok)
}

/// What is known, one thing a line; nothing is said of what is not there.
fn lines(manifest: &Manifest) -> Vec<(&'static str, String)> {
    let mut lines = vec![
        ("id", manifest.id.to_string()),
        ("file", manifest.file.clone()),
        ("state", manifest.state.word().to_owned()),
        ("direction", manifest.direction.word().to_owned()),
        ("started", words::local(manifest.started)),
    ];
    let mut add = |name, value: Option<String>| {
        lines.extend(value.filter(|value| !value.is_empty()).map(|value| (name, value)));
    };
    add("from", Some(with_name(&manifest.from, &manifest.from_name)));
    add("to", Some(manifest.to.clone()));
    add("answered", manifest.answered.map(words::local));
    add("ended", manifest.ended.map(words::local));
    add("call", Some(manifest.call.clone()));
    add("uniqueid", Some(manifest.uniqueid.clone()));
    add("agent", manifest.agent.clone());
    add("trunk", manifest.trunk.clone());
    add("room", manifest.room.clone());
    for party in &manifest.parties {
        add("party", Some(format!("{}: {}", word(&party.side), with_name(&party.number, &party.name))));
    }
    let audio = &manifest.audio;
    let length = words::duration(audio.duration_s);
    add(
        "audio",
        Some(format!(
            "{}, {} Hz, channels {}, {length}, {} bytes",
            audio.format, audio.rate_hz, audio.channels, audio.bytes
        )),
    );
    add("sha256", Some(audio.sha256.clone()));
    for part in manifest.parts.iter().skip(1) {
        add("part", Some(format!("{}, {} bytes, {}", part.file, part.bytes, part.sha256)));
    }
    for gap in &manifest.gaps {
        add("gap", Some(format!("{}: {}, {}", word(&gap.side), at(gap.from_ms, gap.ms), gap.why)));
    }
    for (name, spans) in [("pause", &manifest.pauses), ("mask", &manifest.masks)] {
        for span in spans {
            add(name, Some(format!("{} {}", at(span.from_ms, span.ms), span.by).trim_end().to_owned()));
        }
    }
    for consent in &manifest.consent {
        add("consent", Some(said(manifest, consent)));
    }
    for listener in &manifest.listeners {
        add("listener", Some(format!("{}, {}, from {}", listener.user, listener.mode, words::local(listener.from))));
    }
    for (name, value) in &manifest.variables {
        add("variable", Some(format!("{name}={value}")));
    }
    add("sealed", manifest.sealed.as_ref().map(|sealed| format!("to {}", sealed.recipients.join(", "))));
    add("reason", Some(manifest.reason.clone()));
    lines
}

/// Who was told of the recording, when, and what he said to it.
fn said(manifest: &Manifest, consent: &Consent) -> String {
    let text = |name: &str| consent.extra.get(name).and_then(serde_json::Value::as_str);
    let party = manifest.parties.iter().find(|party| text("leg") == Some(party.uuid.as_str()));
    let to = match (&consent.to, party) {
        (Some(side), _) => word(side),
        (None, Some(party)) => with_name(&party.number, &party.name),
        (None, None) => "both".to_owned(),
    };
    let told = format!("{} to {to} at {}", consent.announcement, words::local(consent.at));
    match (text("answer"), text("key")) {
        (Some(answer), Some(key)) => format!("{told}: {answer} by {key}"),
        (Some(answer), None) => format!("{told}: {answer}"),
        (None, _) => told,
    }
}

fn with_name(number: &str, name: &str) -> String {
    if name.is_empty() || name == number { number.to_owned() } else { format!("{name} <{number}>") }
}

/// The word that the manifest has for it.
fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn at(from_ms: u64, ms: u64) -> String {
    format!("at {}.{:03}s for {}.{:03}s", from_ms / 1_000, from_ms % 1_000, ms / 1_000, ms % 1_000)
}

fn told(deliveries: &[Delivery], context: &Context) -> Result<(), Failure> {
    for delivery in deliveries {
        let part = if delivery.part > 1 { format!(" part {}", delivery.part) } else { String::new() };
        let state = match &delivery.state {
            DeliveryState::Delivered(receipt) => {
                let when = delivery.delivered.map(words::local).unwrap_or_default();
                format!("delivered {when}, receipt {}", receipt.id)
            }
            DeliveryState::Parked(reason) => format!("parked ({reason}), {} attempts", delivery.attempts),
            DeliveryState::Pending | DeliveryState::Uploading => {
                let due = delivery.due.map(|due| format!(", next {}", words::local(due))).unwrap_or_default();
                format!("{}, {} attempts{due}", delivery.state.word(), delivery.attempts)
            }
        };
        context.output.line(&format!("{:<12}{}{part}: {state}", "remote", delivery.remote))?;
        if let Some(error) = &delivery.error {
            context.output.line(&format!("{:<12}{error}", "error"))?;
        }
    }
    Ok(())
}
