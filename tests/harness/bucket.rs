//! The stub CRM's bucket: objects in one piece or in parts, requests and hashes checked as a store checks them.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

use super::crm::Shared;
use super::http::{Asked, Reply};
use super::sigv4::Keeper;

/// Whose bucket it is.
const KEEPER: Keeper = Keeper { key_id: "AK", secret: "s3-secret", region: "eu-test-1" };
/// No part but the last may be smaller.
const SMALLEST_PART: usize = 5 * 1024 * 1024;

/// An object of the bucket.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) bytes: Vec<u8>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) puts: u32,
}

/// An upload in parts.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub(crate) name: String,
    pub(crate) initiated: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) parts: BTreeMap<u32, Vec<u8>>,
    /// How often each part came.
    pub(crate) puts: BTreeMap<u32, u32>,
}

fn error(status: u16, code: &str) -> Reply {
    // Some stores leave the words out.
    let message = if status == 403 { "" } else { "no" };
    Reply::status(status).body(format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>").as_bytes())
}

fn checksum(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(Sha256::digest(bytes))
}

fn tag(bytes: &[u8]) -> String {
    use md5::Digest;
    let sum: String = md5::Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\"{sum}\"")
}

impl Shared {
    pub(super) fn s3(&mut self, asked: &Asked) -> Reply {
        if let Err((status, code)) = KEEPER.check(asked, jiff::Timestamp::now().as_second()) {
            return error(status, code);
        }
        if asked.header("x-amz-checksum-sha256").is_some_and(|sum| sum != checksum(&asked.body)) {
            return error(400, "BadDigest");
        }
        let name = asked.path().to_owned();
        let query: BTreeMap<String, String> = asked
            .target
            .split_once('?')
            .map(|(_, query)| url::form_urlencoded::parse(query.as_bytes()).into_owned().collect())
            .unwrap_or_default();
        let upload = query.get("uploadId").cloned();
        match (asked.method.as_str(), upload) {
            ("GET", None) if query.contains_key("uploads") => self.list_uploads(&query["prefix"]),
            ("POST", None) if query.contains_key("uploads") => self.begin_parts(name, asked),
            (method, Some(id)) => match self.parts.get(&id) {
                Some(parts) if parts.name == name => match method {
                    "PUT" => self.put_part(&id, &query["partNumber"], asked),
                    "GET" => self.list_parts(&id, &query),
                    "POST" => self.complete(&id, asked),
                    "DELETE" => {
                        self.parts.remove(&id);
                        Reply::status(204)
                    }
                    _ => error(405, "MethodNotAllowed"),
                },
                _ => error(404, "NoSuchUpload"),
            },
            ("HEAD", None) => match self.objects.get(&name) {
                Some(object) => {
                    let size = object.bytes.len().to_string();
                    let reply = Reply::status(200).with("content-length", &size);
                    object.headers.iter().fold(reply, |reply, (name, value)| reply.with(name, value))
                }
                None => Reply::status(404),
            },
            ("PUT", None) => {
                let kept = |name: &str| name.starts_with("x-amz-meta-") || name.starts_with("x-amz-checksum-");
                let headers: Vec<_> = asked.headers.iter().filter(|(name, _)| kept(name)).cloned().collect();
                let reply = Reply::status(200).with("etag", &tag(&asked.body));
                let sums = headers.iter().filter(|(name, _)| name.starts_with("x-amz-checksum-"));
                let reply = sums.fold(reply, |reply, (name, value)| reply.with(name, value));
                self.keep_object(name, asked.body.clone(), headers);
                reply
            }
            _ => error(405, "MethodNotAllowed"),
        }
    }

    fn keep_object(&mut self, name: String, bytes: Vec<u8>, headers: Vec<(String, String)>) {
        let puts = self.objects.get(&name).map_or(0, |object| object.puts) + 1;
        self.objects.insert(name, Object { bytes, headers, puts });
    }

    fn begin_parts(&mut self, name: String, asked: &Asked) -> Reply {
        if asked.header("x-amz-checksum-algorithm") != Some("SHA256") {
            return error(400, "InvalidRequest");
        }
        // as awkward as a store's own may be
        let id = format!("up/load+{}==", self.begun);
        self.begun += 1;
        let headers = asked.headers.iter().filter(|(name, _)| name.starts_with("x-amz-meta-")).cloned().collect();
        let initiated = jiff::Timestamp::now().to_string();
        let parts = Parts { name, initiated, headers, parts: BTreeMap::new(), puts: BTreeMap::new() };
        self.parts.insert(id.clone(), parts);
        let text = format!("<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>");
        Reply::status(200).body(text.as_bytes())
    }

    fn put_part(&mut self, id: &str, number: &str, asked: &Asked) -> Reply {
        let number: u32 = number.parse().expect("a number");
        let parts = self.parts.get_mut(id).expect("it is there");
        *parts.puts.entry(number).or_default() += 1;
        parts.parts.insert(number, asked.body.clone());
        Reply::status(200).with("etag", &tag(&asked.body)).with("x-amz-checksum-sha256", &checksum(&asked.body))
    }

    fn list_parts(&self, id: &str, query: &BTreeMap<String, String>) -> Reply {
        let number = |name: &str| query[name].parse::<u32>().expect("a number");
        let (after, most) = (number("part-number-marker"), number("max-parts"));
        // two at a time, so that there is always a next page
        let most = most.min(2) as usize;
        let left: Vec<_> = self.parts[id].parts.range(after + 1..).collect();
        let listed: String = left
            .iter()
            .take(most)
            .map(|(number, bytes)| {
                let (tag, sum) = (tag(bytes).replace('"', "&quot;"), checksum(bytes));
                let size = bytes.len();
                format!("<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag><Size>{size}</Size><ChecksumSHA256>{sum}</ChecksumSHA256></Part>")
            })
            .collect();
        let more = left.len() > most;
        let text = format!("<ListPartsResult><IsTruncated>{more}</IsTruncated>{listed}</ListPartsResult>");
        Reply::status(200).body(text.as_bytes())
    }

    fn list_uploads(&self, prefix: &str) -> Reply {
        let listed: String = self
            .parts
            .iter()
            .filter_map(|(id, parts)| {
                let key = parts.name.strip_prefix("/bucket/").filter(|key| key.starts_with(prefix))?;
                let initiated = &parts.initiated;
                Some(format!(
                    "<Upload><Key>{key}</Key><UploadId>{id}</UploadId><Initiated>{initiated}</Initiated></Upload>"
                ))
            })
            .collect();
        let text = format!("<ListMultipartUploadsResult>{listed}</ListMultipartUploadsResult>");
        Reply::status(200).body(text.as_bytes())
    }

    /// The list names each part with its tag and its checksum; what does not fit is refused in a body that says 200.
    fn complete(&mut self, id: &str, asked: &Asked) -> Reply {
        let text = String::from_utf8(asked.body.clone()).expect("text");
        let parts = &self.parts[id];
        let (mut whole, mut sums, mut last) = (Vec::new(), Vec::new(), 0);
        let listed: Vec<&str> = text.split("<Part>").skip(1).collect();
        for (at, part) in listed.iter().enumerate() {
            let inside = |tag: &str| {
                let rest = part.split_once(&format!("<{tag}>"))?.1;
                Some(rest.split_once('<')?.0.replace("&quot;", "\""))
            };
            let number: u32 = inside("PartNumber").and_then(|text| text.parse().ok()).expect("a number");
            let Some(bytes) = parts.parts.get(&number).filter(|_| number > last) else {
                return error(400, "InvalidPartOrder");
            };
            if inside("ETag") != Some(tag(bytes)) || inside("ChecksumSHA256") != Some(checksum(bytes)) {
                return error(200, "InvalidPart");
            }
            if at + 1 < listed.len() && bytes.len() < SMALLEST_PART {
                return error(400, "EntityTooSmall");
            }
            last = number;
            sums.extend(Sha256::digest(bytes));
            whole.extend_from_slice(bytes);
        }
        let mut headers = parts.headers.clone();
        headers.push(("x-amz-checksum-sha256".into(), format!("{}-{}", checksum(&sums), listed.len())));
        let name = parts.name.clone();
        self.parts.remove(id);
        self.keep_object(name, whole, headers);
        Reply::status(200).body(b"<CompleteMultipartUploadResult></CompleteMultipartUploadResult>")
    }
}
