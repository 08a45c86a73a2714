//! SIP messages as text: a start line, header lines in order, a body.

/// One SIP message, compact names expanded, folded lines joined.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub(crate) start: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

const COMPACT: [(&str, &str); 8] = [
    ("v", "Via"),
    ("f", "From"),
    ("t", "To"),
    ("i", "Call-ID"),
    ("m", "Contact"),
    ("l", "Content-Length"),
    ("c", "Content-Type"),
    ("k", "Supported"),
];

impl Text {
    pub(crate) fn request(method: &str, uri: &str) -> Self {
        Self { start: format!("{method} {uri} SIP/2.0"), headers: Vec::new(), body: Vec::new() }
    }

    /// The answer to `request` with what RFC 3261 §8.2.6.2 copies; `tag` is added where To has none.
    pub(crate) fn response(request: &Self, status: u16, tag: &str) -> Self {
        let mut response = Self { start: format!("SIP/2.0 {status} Scripted"), headers: Vec::new(), body: Vec::new() };
        for (name, value) in &request.headers {
            match name.as_str() {
                "To" if status > 100 && param(value, "tag").is_none() => {
                    response.headers.push((name.clone(), format!("{value};tag={tag}")));
                }
                "Via" | "From" | "To" | "Call-ID" | "CSeq" => response.headers.push((name.clone(), value.clone())),
                "Record-Route" if (101..300).contains(&status) => response.headers.push((name.clone(), value.clone())),
                _ => {}
            }
        }
        response
    }

    /// Reads one whole message; `None` for what is none.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let start = lines.next()?.to_owned();
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in lines {
            if line.starts_with([' ', '\t']) {
                headers.last_mut()?.1.push_str(&format!(" {}", line.trim()));
                continue;
            }
            let (name, value) = line.split_once(':')?;
            let name = name.trim();
            let long =
                COMPACT.iter().find(|(short, _)| short.eq_ignore_ascii_case(name)).map_or(name, |(_, long)| long);
            headers.push((long.to_owned(), value.trim().to_owned()));
        }
        Some(Self { start, headers, body: bytes[end + 4..].to_vec() })
    }

    pub(crate) fn print(&self) -> Vec<u8> {
        let mut out = format!("{}\r\n", self.start);
        for (name, value) in self.headers.iter().filter(|(name, _)| name != "Content-Length") {
            out.push_str(&format!("{name}: {value}\r\n"));
        }
        out.push_str(&format!("Content-Length: {}\r\n\r\n", self.body.len()));
        let mut out = out.into_bytes();
        out.extend_from_slice(&self.body);
        out
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn with_body(self, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        let mut text = self.with("Content-Type", kind);
        text.body = body.into();
        text
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Every line of that name, in order, lists not split.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str()).collect()
    }

    /// The status of a response, `None` for a request.
    pub(crate) fn status(&self) -> Option<u16> {
        self.start.strip_prefix("SIP/2.0 ")?.split(' ').next()?.parse().ok()
    }

    /// The method of a request, or of the request a response answers.
    pub(crate) fn method(&self) -> &str {
        if self.status().is_some() {
            return self.header("CSeq").and_then(|value| value.split_whitespace().nth(1)).unwrap_or("");
        }
        self.start.split(' ').next().unwrap_or("")
    }

    pub(crate) fn cseq(&self) -> u32 {
        self.header("CSeq").and_then(|value| value.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    }

    pub(crate) fn call_id(&self) -> &str {
        self.header("Call-ID").unwrap_or("")
    }

    pub(crate) fn branch(&self) -> String {
        self.header("Via").and_then(|via| param(via.split(',').next()?, "branch")).unwrap_or_default()
    }

    pub(crate) fn tag(&self, header: &str) -> Option<String> {
        param(self.header(header)?, "tag")
    }

    /// Whether a comma list header of that name holds that token.
    pub(crate) fn lists(&self, header: &str, token: &str) -> bool {
        self.all(header).iter().flat_map(|line| line.split(',')).any(|item| item.trim().eq_ignore_ascii_case(token))
    }
}

/// The parameter `name` behind the address of a header value.
pub(crate) fn param(value: &str, name: &str) -> Option<String> {
    let behind = value.rfind('>').map_or(value, |end| &value[end..]);
    behind.split(';').skip(1).find_map(|item| {
        let (key, value) = item.split_once('=').unwrap_or((item, ""));
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

/// The URI of a name-addr or addr-spec.
pub(crate) fn uri(value: &str) -> String {
    match (value.find('<'), value.rfind('>')) {
        (Some(start), Some(end)) => value[start + 1..end].to_owned(),
        _ => value.split(';').next().unwrap_or("").trim().to_owned(),
    }
}
