//! What templates and headers may say of a recording. Above: the kinds. Below: the manifest.

use serde_json::{Map, Value, json};

use super::Parcel;
use crate::config::sample;

/// The manifest's keys and those that a request needs beside them; every name of [`sample`] is there, null where unknown.
pub(super) fn facts(parcel: &Parcel, link: Option<&str>) -> Value {
    let mut facts = match serde_json::to_value(&*parcel.manifest) {
        Ok(Value::Object(facts)) => facts,
        _ => Map::new(),
    };
    if let Some(known) = sample().as_object() {
        for name in known.keys() {
            facts.entry(name.clone()).or_insert(Value::Null);
        }
    }
    let name = file_name(&parcel.file);
    for (key, value) in [
        ("file", json!(parcel.file)),
        ("name", json!(name)),
        ("key", json!(parcel.key)),
        ("part", json!(parcel.part)),
        ("size", json!(parcel.size)),
        ("sha256", json!(parcel.sha256)),
        ("duration_s", json!(parcel.manifest.audio.duration_s)),
        ("content_type", json!(content_type(&parcel.file))),
        ("link", json!(link)),
    ] {
        facts.insert(key.to_owned(), value);
    }
    Value::Object(facts)
}

/// The last part of a path.
pub(super) fn file_name(file: &str) -> &str {
    file.rsplit('/').next().unwrap_or(file)
}

/// The media type of an audio file by its extension, as downloads have it.
pub(super) fn content_type(file: &str) -> &'static str {
    let extension = file.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    match extension.as_deref() {
        Some("wav") => "audio/x-wav",
        Some("mp3") => "audio/mpeg",
        Some("gsm") => "audio/x-gsm",
        Some("flac") => "audio/flac",
        Some("ogg" | "opus") => "audio/ogg",
        Some("mka") => "audio/matroska",
        _ => "application/octet-stream",
    }
}

/// The manifest on as few bytes as it takes to fit `most_bytes`, the longest lists left out first.
pub(super) fn short_manifest(parcel: &Parcel, most_bytes: usize) -> String {
    let mut manifest = serde_json::to_value(&*parcel.manifest).unwrap_or(Value::Null);
    for list in ["gaps", "masks", "pauses", "listeners", "variables", "parties", "parts", "consent"] {
        let text = manifest.to_string();
        if text.len() <= most_bytes {
            return text;
        }
        if let Some(all) = manifest.as_object_mut() {
            all.remove(list);
            all.insert("abridged".to_owned(), true.into());
        }
    }
    manifest.to_string()
}
