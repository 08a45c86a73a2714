//! Requests signed as S3-compatible stores want them: AWS Signature Version 4, in the header. Above: `s3`. Below: hmac.

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use url::Url;

use super::sign::hmac_sha256;
use crate::config::Secret;
use crate::outbox::spool::hex;

/// The hash of no body.
pub(super) const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Whose key, and where it counts.
pub(super) struct Signer<'a> {
    pub(super) access_key_id: &'a str,
    pub(super) secret: &'a Secret,
    pub(super) region: &'a str,
}

/// What is signed of a request.
pub(super) struct Signed<'a> {
    pub(super) method: &'a str,
    /// Its path is percent-encoded already, each step once.
    pub(super) url: &'a Url,
    /// Small-letter names with their values, all of them signed; without `host` and `x-amz-date`, which are added.
    pub(super) headers: &'a [(&'a str, String)],
    /// SHA-256 of the body, hexadecimal.
    pub(super) payload_sha256: &'a str,
}

impl Signer<'_> {
    /// The values of `x-amz-date` and `authorization`.
    pub(super) fn sign(&self, request: &Signed<'_>, now: Timestamp) -> (String, String) {
        let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let date = now.strftime("%Y%m%d").to_string();
        let mut headers: Vec<(&str, String)> = request.headers.to_vec();
        headers.push(("host", host(request.url)));
        headers.push(("x-amz-date", time.clone()));
        headers.sort_by_key(|(name, _)| *name);
        let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let lines: String = headers.iter().map(|(name, value)| format!("{name}:{}\n", squeezed(value))).collect();
        let query = canonical_query(request.url);
        let path = request.url.path();
        let canonical = format!("{}\n{path}\n{query}\n{lines}\n{names}\n{}", request.method, request.payload_sha256);
        let scope = format!("{date}/{}/s3/aws4_request", self.region);
        let hashed = hex(&Sha256::digest(canonical.as_bytes()));
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{hashed}");
        let first = zeroize::Zeroizing::new(format!("AWS4{}", self.secret.expose()));
        let day = hmac_sha256(first.as_bytes(), &[date.as_bytes()]);
        let region = hmac_sha256(&day, &[self.region.as_bytes()]);
        let service = hmac_sha256(&region, &[b"s3"]);
        let key = hmac_sha256(&service, &[b"aws4_request"]);
        let signature = hex(&hmac_sha256(&key, &[text.as_bytes()]));
        let id = self.access_key_id;
        let header = format!("AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}");
        (time, header)
    }
}

/// As the client sends it: the port only where it is not the usual one.
fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or("");
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn squeezed(value: &str) -> String {
    value.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

fn canonical_query(url: &Url) -> String {
    let pairs = url.query().into_iter().flat_map(|query| query.split('&'));
    let mut pairs: Vec<(&str, &str)> = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect();
    // by name first: `=` is no part of it
    pairs.sort_unstable();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of Amazon's own description of the signature.
    fn signed(method: &str, url: &str, headers: &[(&str, String)], payload_sha256: &str) -> String {
        let secret = Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned());
        let signer = Signer { access_key_id: "AKIAIOSFODNN7EXAMPLE", secret: &secret, region: "us-east-1" };
        let url = url.parse().unwrap();
        let now = "2013-05-24T00:00:00Z".parse().unwrap();
        signer.sign(&Signed { method, url: &url, headers, payload_sha256 }, now).1
    }

    #[test]
    fn a_query_is_ordered_by_its_names() {
        let url = "https://h/?part-number=2&uploads&part=1&a=2&a=1".parse().unwrap();
        assert_eq!(canonical_query(&url), "a=1&a=2&part=1&part-number=2&uploads=");
    }

    #[test]
    fn the_published_examples_come_out() {
        let hash = |text: &str| ("x-amz-content-sha256", text.to_owned());
        let get = signed(
            "GET",
            "https://examplebucket.s3.amazonaws.com/test.txt",
            &[("range", "bytes=0-9".to_owned()), hash(EMPTY_SHA256)],
            EMPTY_SHA256,
        );
        assert!(get.ends_with("f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"), "{get}");
        let welcome = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
        let put = signed(
            "PUT",
            "https://examplebucket.s3.amazonaws.com/test%24file.text",
            &[
                ("date", "Fri, 24 May 2013 00:00:00 GMT".to_owned()),
                ("x-amz-storage-class", "REDUCED_REDUNDANCY".to_owned()),
                hash(welcome),
            ],
            welcome,
        );
        assert!(put.ends_with("98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"), "{put}");
        let list = signed(
            "GET",
            "https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J",
            &[hash(EMPTY_SHA256)],
            EMPTY_SHA256,
        );
        assert!(list.ends_with("34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"), "{list}");
    }
}
