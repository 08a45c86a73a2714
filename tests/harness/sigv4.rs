//! AWS Signature Version 4 as a store checks it, by its own reading of Amazon's description: every part of a request is taken apart
//! and written canonically again, so that what the client coded wrongly does not match.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::http::Asked;

/// Whose requests are taken.
pub(crate) struct Keeper {
    pub(crate) key_id: &'static str,
    pub(crate) secret: &'static str,
    pub(crate) region: &'static str,
}

/// Why a request is not taken: status and code of the store's answer.
pub(crate) type Refused = (u16, &'static str);

const WRONG: Refused = (403, "SignatureDoesNotMatch");

impl Keeper {
    /// Checks a whole request at `now_s`, in seconds since 1970.
    pub(crate) fn check(&self, asked: &Asked, now_s: i64) -> Result<(), Refused> {
        let header = asked.header("authorization").ok_or((403, "AccessDenied"))?;
        let fields = header.strip_prefix("AWS4-HMAC-SHA256 ").ok_or((400, "AuthorizationHeaderMalformed"))?;
        let field = |name: &str| fields.split(',').find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='));
        let (Some(credential), Some(names), Some(signature)) =
            (field("Credential"), field("SignedHeaders"), field("Signature"))
        else {
            return Err((400, "AuthorizationHeaderMalformed"));
        };
        let time = asked.header("x-amz-date").ok_or((403, "AccessDenied"))?;
        let scope: Vec<&str> = credential.split('/').collect();
        let [key_id, date, region, "s3", "aws4_request"] = scope.as_slice() else {
            return Err((400, "AuthorizationHeaderMalformed"));
        };
        if *region != self.region || !time.starts_with(date) {
            return Err((400, "AuthorizationHeaderMalformed"));
        }
        if *key_id != self.key_id {
            return Err((403, "InvalidAccessKeyId"));
        }
        if seconds(time).is_none_or(|sent_s| (sent_s - now_s).abs() > 15 * 60) {
            return Err((403, "RequestTimeTooSkewed"));
        }
        let payload = asked.header("x-amz-content-sha256").ok_or((400, "MissingSecurityHeader"))?;
        let names: Vec<&str> = names.split(';').collect();
        let must_be_signed = |name: &str| name == "host" || name == "content-type" || name.starts_with("x-amz-");
        let is_covered = asked.headers.iter().all(|(name, _)| !must_be_signed(name) || names.contains(&name.as_str()));
        if !is_covered || !names.contains(&"host") || !names.is_sorted() {
            return Err(WRONG);
        }
        let text = format!(
            "AWS4-HMAC-SHA256\n{time}\n{date}/{region}/s3/aws4_request\n{}",
            hex(&Sha256::digest(canonical(asked, &names, payload).ok_or(WRONG)?))
        );
        let mut key = code(format!("AWS4{}", self.secret).as_bytes(), date);
        for word in [region, "s3", "aws4_request", text.as_str()] {
            key = code(&key, word);
        }
        if hex(&key) != signature {
            return Err(WRONG);
        }
        if payload != hex(&Sha256::digest(&asked.body)) {
            return Err((400, "XAmzContentSHA256Mismatch"));
        }
        Ok(())
    }
}

fn canonical(asked: &Asked, names: &[&str], payload: &str) -> Option<String> {
    let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
    let path = path.split('/').map(recoded).collect::<Option<Vec<_>>>()?.join("/");
    let mut pairs = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        pairs.push((recoded(name)?, recoded(value)?));
    }
    pairs.sort();
    let query = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
    let mut lines = String::new();
    for name in names {
        let value = asked.header(name)?.split_whitespace().collect::<Vec<_>>().join(" ");
        lines.push_str(&format!("{name}:{value}\n"));
    }
    Some(format!("{}\n{path}\n{query}\n{lines}\n{}\n{payload}", asked.method, names.join(";")))
}

/// Taken apart and put together as it should have been.
fn recoded(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let (mut plain, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        if bytes[at] == b'%' {
            plain.push(u8::from_str_radix(text.get(at + 1..at + 3)?, 16).ok()?);
            at += 3;
        } else {
            plain.push(bytes[at]);
            at += 1;
        }
    }
    let kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    Some(
        plain
            .iter()
            .map(|byte| if kept(*byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") })
            .collect(),
    )
}

/// `20130524T000000Z` in seconds since 1970.
fn seconds(time: &str) -> Option<i64> {
    let at = |from: usize, to: usize| time.get(from..to);
    let text = format!("{}-{}-{}T{}:{}:{}Z", at(0, 4)?, at(4, 6)?, at(6, 8)?, at(9, 11)?, at(11, 13)?, at(13, 15)?);
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second)
}

fn code(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any key");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_published_examples_are_taken_and_nothing_like_them() {
    let keeper = Keeper {
        key_id: "AKIAIOSFODNN7EXAMPLE",
        secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        region: "us-east-1",
    };
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let asked = |target: &str, extra: &[(&str, &str)], names: &str, signature: &str| {
        let credential = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request";
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={credential},SignedHeaders={names},Signature={signature}");
        let mut headers = vec![
            ("host".to_owned(), "examplebucket.s3.amazonaws.com".to_owned()),
            ("x-amz-content-sha256".to_owned(), empty.to_owned()),
            ("x-amz-date".to_owned(), "20130524T000000Z".to_owned()),
            ("authorization".to_owned(), authorization),
        ];
        headers.extend(extra.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Asked { method: "GET".into(), target: target.into(), headers, body: Vec::new() }
    };
    let now_s = 1_369_353_600;
    let names = "host;range;x-amz-content-sha256;x-amz-date";
    let signature = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
    let good = asked("/test.txt", &[("range", "bytes=0-9")], names, signature);
    assert_eq!(keeper.check(&good, now_s), Ok(()));
    let list = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7";
    let names = "host;x-amz-content-sha256;x-amz-date";
    assert_eq!(keeper.check(&asked("/?prefix=J&max-keys=2", &[], names, list), now_s), Ok(()), "in any order");
    let lifecycle = "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543";
    assert_eq!(keeper.check(&asked("/?lifecycle", &[], names, lifecycle), now_s), Ok(()));
    for (wrong, code) in [
        (Asked { target: "/test.tx".into(), ..good.clone() }, WRONG),
        (Asked { method: "PUT".into(), ..good.clone() }, WRONG),
        (asked("/test.txt", &[("range", "bytes=0-8")], names, signature), WRONG),
        (asked("/?lifecycle", &[("x-amz-acl", "public-read")], names, lifecycle), WRONG),
        (Asked { body: b"x".to_vec(), ..good.clone() }, (400, "XAmzContentSHA256Mismatch")),
    ] {
        assert_eq!(keeper.check(&wrong, now_s), Err(code), "{wrong:?}");
    }
    assert_eq!(keeper.check(&good, now_s + 16 * 60), Err((403, "RequestTimeTooSkewed")));
}
