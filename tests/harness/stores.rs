//! The stub CRM's other door: a tus server with the creation and checksum extensions.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::crm::Shared;
use super::http::{Asked, Reply};

/// An upload by tus.
#[derive(Clone, Debug)]
pub(crate) struct Upload {
    pub(crate) key: String,
    pub(crate) length: usize,
    pub(crate) manifest: Value,
    pub(crate) bytes: Vec<u8>,
    /// Forgotten by the server.
    pub(crate) expired: bool,
}

impl Shared {
    pub(super) fn tus(&mut self, asked: &Asked) -> Reply {
        if asked.header("tus-resumable") != Some("1.0.0") {
            return Reply::status(412).with("tus-version", "1.0.0");
        }
        let number = asked.path().strip_prefix("/tus/").and_then(|text| text.parse::<usize>().ok());
        let reply = match (asked.method.as_str(), number) {
            ("OPTIONS", None) => Reply::status(204)
                .with("tus-version", "1.0.0")
                .with("tus-extension", "creation,checksum")
                .with("tus-checksum-algorithm", "md5,sha256"),
            ("POST", None) => self.tus_create(asked),
            (_, Some(number)) if self.uploads.get(number).is_none_or(|upload| upload.expired) => Reply::status(410),
            ("HEAD", Some(number)) => {
                let upload = &self.uploads[number];
                Reply::status(200)
                    .with("upload-offset", &upload.bytes.len().to_string())
                    .with("upload-length", &upload.length.to_string())
                    .with("cache-control", "no-store")
            }
            ("PATCH", Some(number)) => self.tus_patch(asked, number),
            ("GET", Some(number)) => {
                self.tus_receipt(number).map_or(Reply::status(404), |json| Reply::json(200, &json))
            }
            _ => Reply::status(405),
        };
        reply.with("tus-resumable", "1.0.0")
    }

    fn tus_create(&mut self, asked: &Asked) -> Reply {
        let field = |name: &str| {
            let all = asked.header("upload-metadata")?;
            let coded = all.split(',').find_map(|pair| pair.strip_prefix(name)?.strip_prefix(' '))?;
            String::from_utf8(BASE64_STANDARD.decode(coded).ok()?).ok()
        };
        let length = asked.header("upload-length").and_then(|text| text.parse().ok());
        let (Some(length), Some(key), Some(manifest)) = (length, field("id"), field("manifest")) else {
            return Reply::status(400);
        };
        let Ok(manifest) = serde_json::from_str(&manifest) else { return Reply::status(400) };
        self.uploads.push(Upload { key, length, manifest, bytes: Vec::new(), expired: false });
        Reply::status(201).with("location", &format!("/tus/{}", self.uploads.len() - 1))
    }

    fn tus_patch(&mut self, asked: &Asked, number: usize) -> Reply {
        let upload = &mut self.uploads[number];
        if asked.header("content-type") != Some("application/offset+octet-stream") {
            return Reply::status(415);
        }
        if asked.header("upload-offset") != Some(upload.bytes.len().to_string().as_str()) {
            return Reply::status(409);
        }
        if let Some(sum) = asked.header("upload-checksum") {
            let ours = format!("sha256 {}", BASE64_STANDARD.encode(Sha256::digest(&asked.body)));
            if sum != ours {
                return Reply::status(460);
            }
        }
        upload.bytes.extend_from_slice(&asked.body);
        let (offset, whole) = (upload.bytes.len(), upload.bytes.len() == upload.length);
        let reply = Reply::status(204).with("upload-offset", &offset.to_string());
        if !whole {
            return reply;
        }
        match self.tus_receipt(number) {
            Some(json) => {
                let coded = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
                reply.with("x-recording-receipt", &coded)
            }
            None => Reply::status(409),
        }
    }

    fn tus_receipt(&mut self, number: usize) -> Option<Value> {
        let upload = self.uploads[number].clone();
        (upload.bytes.len() == upload.length).then(|| self.keep(&upload.key, &upload.bytes, upload.manifest))?
    }
}
