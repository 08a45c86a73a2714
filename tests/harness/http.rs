//! A web server for tests that can also misbehave: reads one request at a time from a plain or TLS stream, by its own reading of
//! RFC 9112, counts what arrives, and leaves connections in every impolite way.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// A request as it arrived.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// Path and query, as sent.
    pub(crate) target: String,
    /// Small-letter names.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or("")
    }

    /// The parts of a form: (name, file name, content type, bytes).
    pub(crate) fn parts(&self) -> Vec<FormPart> {
        let kind = self.header("content-type").unwrap_or("");
        let Some((_, boundary)) = kind.split_once("multipart/form-data; boundary=") else { return Vec::new() };
        let mut parts = Vec::new();
        let mut rest = self.body.as_slice();
        let mark = format!("--{boundary}");
        let Some(start) = find(rest, mark.as_bytes()) else { return parts };
        rest = &rest[start + mark.len()..];
        while let Some(body) = rest.strip_prefix(b"\r\n") {
            let Some(head_end) = find(body, b"\r\n\r\n") else { break };
            let head = String::from_utf8_lossy(&body[..head_end]).into_owned();
            let content = &body[head_end + 4..];
            let Some(end) = find(content, format!("\r\n{mark}").as_bytes()) else { break };
            parts.push(FormPart::new(&head, &content[..end]));
            rest = &content[end + 2 + mark.len()..];
        }
        parts
    }

    pub(crate) fn part(&self, name: &str) -> Option<FormPart> {
        self.parts().into_iter().find(|part| part.name == name)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct FormPart {
    pub(crate) name: String,
    pub(crate) file_name: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) bytes: Vec<u8>,
}

impl FormPart {
    fn new(head: &str, bytes: &[u8]) -> Self {
        let quoted = |key: &str| {
            let rest = head.split_once(&format!("; {key}=\""))?.1;
            rest.split_once('"').map(|(value, _)| value.to_owned())
        };
        let kind = head.lines().find_map(|line| line.strip_prefix("Content-Type: ")).map(str::to_owned);
        Self { name: quoted("name").unwrap_or_default(), file_name: quoted("filename"), kind, bytes: bytes.to_vec() }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// What the server answers.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    pub(crate) fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::status(status).with("content-type", "application/json").body(body.to_string().as_bytes())
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn body(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }

    fn bytes(&self, to_head: bool) -> Vec<u8> {
        let mut text = format!("HTTP/1.1 {} Told\r\n", self.status);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        let counted = self.headers.iter().any(|(name, _)| name == "content-length");
        if !counted && self.status != 204 {
            text.push_str(&format!("content-length: {}\r\n", self.body.len()));
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        if !to_head {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

/// One connection.
pub(crate) struct Connection<S> {
    stream: S,
    /// Read, but not of the request that is being read.
    ahead: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, ahead: Vec::new() }
    }

    pub(crate) fn into_stream(self) -> S {
        self.stream
    }

    /// The next request without its body, and the body's length; none when the peer is done.
    pub(crate) async fn head(&mut self) -> Option<(Asked, usize)> {
        let end = loop {
            if let Some(end) = find(&self.ahead, b"\r\n\r\n") {
                break end;
            }
            if self.ahead.len() > 64 * 1024 {
                return None;
            }
            self.more().await?;
        };
        let head = String::from_utf8_lossy(&self.ahead[..end]).into_owned();
        self.ahead.drain(..end + 4);
        let mut lines = head.split("\r\n");
        let mut start = lines.next()?.split(' ');
        let (method, target) = (start.next()?.to_owned(), start.next()?.to_owned());
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let asked = Asked { method, target, headers, body: Vec::new() };
        let length = asked.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        if asked.header("expect").is_some() {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.ok()?;
        }
        Some((asked, length))
    }

    /// The first `length` bytes of the body, counted as they come; none when the peer leaves before.
    pub(crate) async fn body(&mut self, length: usize, count: &AtomicU64) -> Option<Vec<u8>> {
        let early = self.ahead.len().min(length);
        count.fetch_add(early as u64, Ordering::SeqCst);
        while self.ahead.len() < length {
            let got = self.more().await?;
            count.fetch_add(got as u64, Ordering::SeqCst);
        }
        Some(self.ahead.drain(..length).collect())
    }

    pub(crate) async fn answer(&mut self, reply: &Reply, to_head: bool) -> Option<()> {
        self.stream.write_all(&reply.bytes(to_head)).await.ok()?;
        self.stream.flush().await.ok()
    }

    /// Reads on and counts it, until the peer has gone.
    pub(crate) async fn drain(&mut self, count: &AtomicU64) {
        while let Some(got) = self.more().await {
            count.fetch_add(got as u64, Ordering::SeqCst);
            self.ahead.clear();
        }
    }

    /// Waits until the peer has gone.
    pub(crate) async fn wait_for_end(&mut self) {
        while self.more().await.is_some() {
            self.ahead.clear();
        }
    }

    async fn more(&mut self) -> Option<usize> {
        let mut piece = vec![0; 64 * 1024];
        let got = self.stream.read(&mut piece).await.ok().filter(|got| *got > 0)?;
        self.ahead.extend_from_slice(&piece[..got]);
        Some(got)
    }
}

pub(crate) fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, what)
}
