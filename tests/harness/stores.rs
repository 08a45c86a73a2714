//! The stub CRM's other doors: a tus server with the creation and checksum extensions, and a bucket.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::crm::{Shared, sha256};
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

/// An object of the bucket.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) bytes: Vec<u8>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) puts: u32,
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

    pub(super) fn s3(&mut self, asked: &Asked) -> Reply {
        let shaped = asked.header("authorization").is_some_and(|text| {
            text.starts_with("AWS4-HMAC-SHA256 Credential=AK/") && text.contains("/eu-test-1/s3/aws4_request, Signed")
        });
        if !shaped {
            return Reply::status(403).body(b"<Error><Code>SignatureDoesNotMatch</Code><Message>no</Message></Error>");
        }
        let name = asked.path().to_owned();
        match asked.method.as_str() {
            "HEAD" => match self.objects.get(&name) {
                Some(object) => {
                    let size = object.bytes.len().to_string();
                    let reply = Reply::status(200).with("content-length", &size);
                    object.headers.iter().fold(reply, |reply, (name, value)| reply.with(name, value))
                }
                None => Reply::status(404),
            },
            "PUT" => {
                if asked.header("x-amz-content-sha256") != Some(sha256(&asked.body).as_str()) {
                    let text = b"<Error><Code>XAmzContentSHA256Mismatch</Code><Message>differs</Message></Error>";
                    return Reply::status(400).body(text);
                }
                let kept = |name: &str| name.starts_with("x-amz-meta-") || name.starts_with("x-amz-checksum-");
                let headers: Vec<_> = asked.headers.iter().filter(|(name, _)| kept(name)).cloned().collect();
                let puts = self.objects.get(&name).map_or(0, |object| object.puts) + 1;
                let reply = Reply::status(200).with("etag", "\"0\"");
                let sums = headers.iter().filter(|(name, _)| name.starts_with("x-amz-checksum-"));
                let reply = sums.fold(reply, |reply, (name, value)| reply.with(name, value));
                self.objects.insert(name, Object { bytes: asked.body.clone(), headers, puts });
                reply
            }
            _ => Reply::status(405),
        }
    }
}
