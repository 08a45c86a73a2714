//! wirechief-remotes(7): every key of `[remotes.NAME]`, what is sent and signed, when an attempt is repeated.
//! Above: `man wirechief-remotes` prints it, `generate` keeps the repository's copy. Below: `manual` sets it.

use super::language::Block;
use super::{put, section};
use crate::config::sample;

/// Keys with their meaning; the first is the default where a list of words is given.
const KEYS: &[(&str, &[(&str, &str)])] = &[
    (
        "KEYS OF EVERY REMOTE",
        &[
            ("kind", "http, tus, s3, folder or notice."),
            ("when", "ended: pushed as soon as a recording closes; manual: only by `rec push`."),
            ("parallel", "Uploads at once, 1 to 8; 4 where nothing is said."),
            (
                "give_up_after",
                "How long after its first failed attempt a recording is parked, after 20 attempts at least; 1d.",
            ),
            ("connect_timeout", "For looking up, connecting and TLS together; 10s."),
            ("idle_timeout", "No byte may stand still for so long; 60s, which is also the most."),
            ("timeout", "For a whole delivery; 1h. 0: as long as bytes move."),
        ],
    ),
    (
        "KEYS OF HTTP, TUS AND NOTICE",
        &[
            (
                "url",
                "Where to. Scheme, host and port are fixed; path and query may hold templates. Plain HTTP goes to this machine only.",
            ),
            ("headers", "A table of further headers, each a template."),
            ("token_file", "Sent as `Authorization: Bearer TOKEN`."),
            ("token_scheme", "Another word for Bearer, for token_file and oauth2."),
            ("basic_user", "With password_file: HTTP basic authentication."),
            ("password_file", "The password of basic_user."),
            (
                "oauth2",
                "A table { token_url, client_id, client_secret_file, scope, refresh_token_file }: a token is fetched by client credentials, or by the refresh token where there is one, kept, and fetched anew once when the remote answers 401.",
            ),
            ("token_url", "In oauth2: where tokens are given out."),
            ("client_id", "In oauth2: our name there."),
            ("client_secret_file", "In oauth2: our secret there; sent in the form."),
            ("scope", "In oauth2: what the token is for."),
            ("refresh_token_file", "In oauth2: a token that is exchanged for short ones."),
            ("signing_key_file", "Requests carry webhook-id, webhook-timestamp and webhook-signature; see SIGNATURES."),
            ("receipt", "json: the answer is a receipt with hash and size; status: 2xx is enough. See RECEIPTS."),
            (
                "receipt_id",
                "With receipt = \"status\": a JSON pointer to the remote's own id in the answer. Where it leads nowhere, the recording was not delivered.",
            ),
            ("receipt_key_file", "Receipts must be signed with this key."),
            (
                "ca_file",
                "The only authorities (PEM) trusted for this remote, its token_url included; without it those of the system. There is no way to switch the check off. Also for s3.",
            ),
            (
                "allow_addresses",
                "Addresses and blocks that may be connected to although they are private, link-local or loopback. Names are looked up anew for each connection, and what was checked is what is connected to. An address written in a URL counts as listed. Redirects are not followed, and proxies of the environment not used. Also for s3.",
            ),
        ],
    ),
    (
        "KEYS OF HTTP",
        &[
            (
                "method",
                "POST: a form; PUT: the audio alone, its manifest in the header X-Recording-Manifest (JSON, base64url; the longest lists are left out when it is long, and then it has \"abridged\": true).",
            ),
            ("recording_part", "Name of the form's part with the audio; recording."),
            ("recording_name", "What the file is called in the form, a template; its own name where nothing is said."),
            ("manifest_part", "Name of the form's part with JSON; manifest. Empty: there is none."),
            (
                "body",
                "A template of JSON in place of the manifest. A value brings its own quotes: {\"number\": {{ to }}}. Also for notice.",
            ),
            ("fields", "A table of further fields of the form, each a template; they come first."),
            ("exists_url", "For remotes without idempotency: asked by GET before an attempt is repeated."),
            (
                "exists_id",
                "A JSON pointer into that answer; where it leads to an id, the recording is there and counts as delivered.",
            ),
            (
                "exists_list",
                "Where that answer is a list: a JSON pointer to it. exists_id is then looked for in the entry that exists_match fits.",
            ),
            (
                "exists_match",
                "A table of an entry's keys and what they have to say, each a template: { File_Name = \"{{ name }}\" }.",
            ),
            (
                "exists_next",
                "A JSON pointer to what says that the answer goes on: the URL of the next page; or, where exists_url has {{ page }} or {{ next }}, anything but null, false and the empty text: exists_url is asked again with page one higher (it is 1 at first) and next being what was found there (at first nothing). A Link header with rel=\"next\" is followed without it. At most 20 pages are asked for, on the same host; where the recording is on none of them and the answer still goes on, the attempt waits.",
            ),
        ],
    ),
    (
        "KEYS OF S3",
        &[
            (
                "s3",
                "A table of the following keys. Recording and manifest become two objects. Sent by signed requests (Signature Version 4) whose hash the store checks: one PUT, or, where it is larger than part_size, in parts. A recording whose parts have begun to arrive goes on with the next one, also in a later run. An upload in parts that is given up is aborted, and so is one of the same name that is a day old; for what is left after that (the key was taken away, the recording forgotten) give the bucket a lifecycle rule for incomplete multipart uploads.",
            ),
            ("bucket", "The bucket."),
            ("region", "us-east-1 where nothing is said."),
            ("endpoint", "The store's URL; Amazon's of the region where nothing is said."),
            ("access_key_id", "The public half of the key."),
            ("secret_file", "The other half."),
            ("prefix", "What the objects' names begin with."),
            ("path_style", "true: the bucket stands in the path, not before the host."),
            (
                "part_size",
                "A larger recording goes in parts of this size, or of a ten thousandth of its own where that is more; 16M. From 5M to 5G.",
            ),
        ],
    ),
    (
        "KEYS OF FOLDER",
        &[
            ("folder", "A table with the key path."),
            (
                "path",
                "The folder, which must be there. Files appear in it whole, for their owner alone, never one over another.",
            ),
        ],
    ),
    (
        "KEYS OF NOTICE",
        &[
            (
                "notice",
                "A table of the following keys. The other side is told number, file and a signed link by a JSON POST, and fetches the recording from `rec serve`. With receipt = \"status\" it is delivered when it was told, else when it was fetched.",
            ),
            ("link_base", "What links begin with: where `rec serve` is reached."),
            ("link_key_file", "The key that `rec serve` checks links with."),
            ("link_expires", "How long a link holds; 7d."),
        ],
    ),
];

const WORDS: &[(&str, &[&str])] = &[
    (
        "WHAT IS SENT",
        &[
            "Every request names the recording by the header Idempotency-Key: its id, and for a further file of the same recording the \
         id with .2, .3 and so on. The same key never means another recording; a remote that has it already answers with its receipt, \
         by 200 or 409. X-Recording-SHA256 and X-Recording-Size tell of the audio; PUT also carries Content-Digest.",
            "A remote of kind tus is told filename, filetype, id, sha256 and manifest in Upload-Metadata. An upload that broke goes on \
         where it broke, also in a later run; one that the server has forgotten (404, 410) starts anew, and where the answer to its \
         begin (200) has an Upload-Offset, there. Checksums are sent where the server offers sha256 or sha1. `rec serve` takes such \
         uploads at /api/uploads: what has arrived of a recording is kept through a kill of either side for upload_expires of [serve]. \
         One that is not what its name says is refused by its first 4 KiB (415), and one for which the disk has no room beside what is \
         still to come of the others and keep_free of [serve] is not begun (507).",
            "What is refused before all of it was sent (401, 413, 503 …) is not sent to its end. The receipt of what `rec serve` has \
         already is at /api/recordings/KEY: exists_url = \"https://HOST/api/recordings/{{ key }}\" spares a repetition after a lost \
         answer.",
        ],
    ),
    (
        "TEMPLATES",
        &[
            "Templates are those of Jinja: {{ name }}, filters, conditions. In a URL every value is percent-encoded; in JSON it is \
         quoted and escaped; in a header or field a control character is refused, and the recording parked, and so is a URL of which a \
         value would make a step upwards (..). Channel variables that \
         [recording] keeps are variables.NAME. Names that may be used:",
        ],
    ),
    (
        "SIGNATURES",
        &[
            "webhook-signature is v1, and the base64 of HMAC-SHA256 over webhook-id.webhook-timestamp.TEXT (Standard Webhooks). TEXT is \
         the JSON that goes along, byte for byte: the form's JSON part, the decoded X-Recording-Manifest, the manifest of \
         Upload-Metadata, the body of a notice. With tus each request is a message of its own, and those after the first sign METHOD ID \
         OFFSET CHECKSUM with a blank between them: the last part of the upload's URL, Upload-Offset, and Upload-Checksum, both empty \
         where they are not sent. The question at exists_url signs GET KEY. As the manifest holds the SHA-256 of the audio, it speaks for that too; a body of one's own \
         should contain {{ sha256 }}. A key that begins with whsec_ is base64, any other is taken as it is.",
        ],
    ),
    (
        "RECEIPTS",
        &[
            "A receipt is a JSON object {\"id\", \"sha256\", \"size\", \"received_at\", \"signature\"}, as the answer's body or, base64url, as \
         its header X-Recording-Receipt. It counts only if hash and size are those of what was sent. The signature is v1, and the \
         base64 of HMAC-SHA256 over KEY.received_at.sha256.size, KEY being the Idempotency-Key.",
        ],
    ),
    (
        "WHEN AN ATTEMPT IS REPEATED",
        &[
            "After 1 s, then twice as long each time up to 5 min, by chance a little less or more; never before the time of a \
         Retry-After. The answers 409 (without a receipt), 411, 413, 414, 415, 422 and 431 say that the recording itself cannot be taken: it \
         is parked at once. A file that is not what it was when the recording was finished is parked \
         as changed, and nothing of it counts over there. Everything else (the network, certificates, redirects, other answers, wrong receipts) is tried again. `rec \
         retry` and `rec push --now` take up what is parked. Nothing is deleted by a push.",
        ],
    ),
    (
        "SECRETS",
        &[
            "Files that keys ending in _file name hold one line. One that others than its owner can read is refused. No secret is shown \
         by `pbx config show`, in a log or in an error.",
        ],
    ),
];

/// The page, for `man -l -`.
pub(in crate::cli) fn page() -> String {
    let mut text = format!(
        ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n.TH WIRECHIEF\\-REMOTES 7 \"\" \"wirechief {}\" \"Wirechief\"\n\
         .SH NAME\nwirechief\\-remotes \\- where recordings are delivered: [remotes.NAME] in pbx.toml\n",
        env!("CARGO_PKG_VERSION")
    );
    for (heading, keys) in KEYS {
        section(&mut text, heading);
        keys.iter().for_each(|(key, words)| put(&mut text, &Block::Point((*key).to_owned(), (*words).to_owned())));
    }
    for (heading, paragraphs) in WORDS {
        section(&mut text, heading);
        paragraphs.iter().for_each(|words| put(&mut text, &Block::Words((*words).to_owned())));
        if *heading == "TEMPLATES" {
            let sample = sample();
            let names: Vec<&str> =
                sample.as_object().into_iter().flat_map(|facts| facts.keys().map(String::as_str)).collect();
            put(&mut text, &Block::Words(names.join(", ")));
        }
    }
    section(&mut text, "SEE ALSO");
    text.push_str("\\fBrec\\fR(1), \\fBrec\\-push\\fR(1), \\fBrec\\-test\\fR(1), \\fBpbx\\-config\\-show\\fR(1)\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::generate::literal;

    #[test]
    fn every_key_that_is_read_is_on_the_page() {
        let page = page();
        let source = include_str!("../../config/remotes/read.rs");
        let mut keys = 0;
        for call in ["section.set(\"", "(section, \"", "section.get(\"", "table.get(\"", "section.section(\""] {
            for rest in source.split(call).skip(1) {
                let key = rest.split('"').next().unwrap();
                assert!(page.contains(&format!("\n\\fB{}\\fR\n", literal(key))), "{key}");
                keys += 1;
            }
        }
        assert!(keys > 40, "{keys}");
    }

    #[test]
    fn the_formatter_takes_no_line_of_text_for_a_request() {
        for line in page().lines() {
            let request = line.strip_prefix('.').map(|line| line.split(' ').next().unwrap_or_default());
            assert!(request.is_none_or(|request| ["PP", "TP", "SH", "TH", "ie", "el"].contains(&request)), "{line}");
            assert!(!line.starts_with('\''), "{line}");
        }
    }
}
