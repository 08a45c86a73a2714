//! A self-test's phone: registers, calls, answers and hangs up with SIP as text of its own, over loopback, where nothing is lost.
//! It shares no SIP code with the server but the digest. Above: `call`. Below: a UDP socket, `line`.

use std::{net::Ipv4Addr, net::SocketAddr, time::Duration};

use tokio::{net::UdpSocket, time::timeout};

use super::{SelfTestError, line::Line};
use crate::{config::Secret, sip::digest};

/// How long a phone waits for a message.
const PATIENCE: Duration = Duration::from_secs(10);

/// A phone.
pub(super) struct Phone {
    name: String,
    socket: UdpSocket,
    local: SocketAddr,
    server: SocketAddr,
    /// Its sound.
    pub(super) line: Line,
}

/// A message as text.
pub(super) struct Text(String);

/// The dialog of a call, as the phone that hangs up needs it.
pub(super) struct Dialog {
    target: String,
    from: String,
    to: String,
    call_id: String,
}

impl Text {
    fn start(&self) -> &str {
        self.0.lines().next().unwrap_or_default()
    }

    fn header(&self, name: &str) -> &str {
        let lines = self.0.lines().skip(1).take_while(|line| !line.is_empty());
        let mut fields = lines.filter_map(|line| line.split_once(':'));
        fields.find(|(key, _)| key.trim().eq_ignore_ascii_case(name)).map_or("", |(_, value)| value.trim())
    }

    fn status(&self) -> Option<u16> {
        self.start().strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
    }

    fn method(&self) -> &str {
        match self.status() {
            Some(_) => self.header("CSeq").split(' ').nth(1).unwrap_or_default(),
            None => self.start().split(' ').next().unwrap_or_default(),
        }
    }

    /// The URI between the angle brackets of a header.
    fn uri(&self, name: &str) -> &str {
        let value = self.header(name);
        value.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or(value, |(uri, _)| uri)
    }

    /// Where its description wants audio.
    fn audio(&self) -> Option<SocketAddr> {
        let value = |start: &str| self.0.lines().find_map(|line| line.strip_prefix(start));
        let address = value("c=IN IP4 ")?.trim().parse::<Ipv4Addr>().ok()?;
        let port = value("m=audio ")?.split(' ').next()?.parse().ok()?;
        Some((address, port).into())
    }
}

impl Phone {
    /// A phone beside the server, not yet known to it.
    pub(super) async fn plug_in(name: &str, server: SocketAddr, line: Line) -> Result<Self, SelfTestError> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let local = socket.local_addr()?;
        Ok(Self { name: name.to_owned(), socket, local, server, line })
    }

    /// REGISTER, and again with the answer to the challenge (RFC 3261 §10.2, §22.2).
    pub(super) async fn register(&self, password: &Secret) -> Result<(), SelfTestError> {
        let (uri, me, call_id) = (format!("sip:{}", self.server), self.address(&self.name), fresh());
        let register = |number: u32, more: &str| {
            let expires = format!("Expires: 600\r\n{more}");
            self.request(("REGISTER", &uri), (&me, &me, &call_id), number, &expires)
        };
        self.send(&register(1, "")).await?;
        let challenge = self.answer("REGISTER").await?;
        let answer = digest::answer(
            challenge.header("WWW-Authenticate"),
            "REGISTER",
            &uri,
            &self.name,
            password,
            1,
            &uuid::Uuid::new_v4().simple().to_string(),
        );
        let answer = answer.ok_or_else(|| SelfTestError::refused("REGISTER", challenge.start()))?;
        self.send(&register(2, &format!("Authorization: {answer}\r\n"))).await?;
        let answer = self.answer("REGISTER").await?;
        if answer.status() == Some(200) { Ok(()) } else { Err(SelfTestError::refused("REGISTER", answer.start())) }
    }

    /// Calls `number`.
    pub(super) async fn invite(&self, number: &str) -> Result<(), SelfTestError> {
        let (me, uri) = (self.address(&self.name), format!("sip:{number}@{}", self.server));
        let invite = self.request(("INVITE", &uri), (&me, &format!("<{uri}>"), &fresh()), 1, "");
        self.send(&self.described(&invite)).await
    }

    /// Takes the answer to its call: acknowledges it and speaks.
    pub(super) async fn connects(&self) -> Result<Dialog, SelfTestError> {
        let answer = self.answer("INVITE").await?;
        let remote = answer.audio().filter(|_| answer.status() == Some(200));
        let remote = remote.ok_or_else(|| SelfTestError::refused("INVITE", answer.start()))?;
        let [target, from, to, call_id] =
            [answer.uri("Contact"), answer.header("From"), answer.header("To"), answer.header("Call-ID")]
                .map(str::to_owned);
        let dialog = Dialog { target, from, to, call_id };
        self.send(&self.within(&dialog, "ACK", 1)).await?;
        self.line.connect(remote);
        Ok(dialog)
    }

    /// Answers the next call and speaks.
    pub(super) async fn answers(&self) -> Result<(), SelfTestError> {
        let invite = self.receive(|message| message.status().is_none() && message.method() == "INVITE").await?;
        let remote = invite.audio().ok_or_else(|| SelfTestError::refused("INVITE", invite.start()))?;
        self.send(&self.described(&self.response(&invite))).await?;
        self.receive(|message| message.method() == "ACK").await?;
        self.line.connect(remote);
        Ok(())
    }

    /// Hangs up.
    pub(super) async fn hangs_up(&self, dialog: &Dialog) -> Result<(), SelfTestError> {
        self.send(&self.within(dialog, "BYE", 2)).await?;
        self.answer("BYE").await.map(|_| ())
    }

    /// Waits to be hung up.
    pub(super) async fn is_hung_up(&self) -> Result<(), SelfTestError> {
        let bye = self.receive(|message| message.status().is_none() && message.method() == "BYE").await?;
        self.send(&format!("{}Content-Length: 0\r\n\r\n", self.response(&bye))).await
    }

    fn address(&self, user: &str) -> String {
        format!("<sip:{user}@{}>", self.server)
    }

    fn within(&self, dialog: &Dialog, method: &str, number: u32) -> String {
        let Dialog { target, from, to, call_id } = dialog;
        let (from, _) = from.split_once(";tag=").map_or((from.as_str(), ""), |parts| parts);
        self.request((method, target), (from, to, call_id), number, "") + "Content-Length: 0\r\n\r\n"
    }

    /// A request up to the headers of its body.
    fn request(
        &self,
        (method, uri): (&str, &str),
        (from, to, call_id): (&str, &str, &str),
        number: u32,
        more: &str,
    ) -> String {
        let Self { name, local, .. } = self;
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{}\r\nMax-Forwards: 70\r\n\
             From: {from};tag={name}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {number} {method}\r\n\
             Contact: <sip:{name}@{local}>\r\n{more}",
            fresh(),
        )
    }

    /// A 200 up to the headers of its body.
    fn response(&self, request: &Text) -> String {
        let vias = request.0.lines().filter(|line| line.to_ascii_lowercase().starts_with("via:"));
        let vias: String = vias.map(|line| format!("{line}\r\n")).collect();
        let [from, to, call_id, cseq] = ["From", "To", "Call-ID", "CSeq"].map(|name| request.header(name));
        let tag = if to.contains(";tag=") { "" } else { ";tag=answered" };
        let Self { name, local, .. } = self;
        format!(
            "SIP/2.0 200 OK\r\n{vias}From: {from}\r\nTo: {to}{tag}\r\nCall-ID: {call_id}\r\nCSeq: {cseq}\r\n\
             Contact: <sip:{name}@{local}>\r\n"
        )
    }

    /// The message with this phone's description.
    fn described(&self, message: &str) -> String {
        let body = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {} RTP/AVP 0\r\na=ptime:20\r\n",
            self.line.local.port()
        );
        format!("{message}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }

    async fn send(&self, message: &str) -> Result<(), SelfTestError> {
        // A request whose headers are its end.
        let end = if message.contains("\r\n\r\n") { "" } else { "Content-Length: 0\r\n\r\n" };
        self.socket.send_to(format!("{message}{end}").as_bytes(), self.server).await?;
        Ok(())
    }

    /// The final answer to a request.
    async fn answer(&self, method: &str) -> Result<Text, SelfTestError> {
        self.receive(|message| message.method() == method && message.status().is_some_and(|status| status >= 200)).await
    }

    async fn receive(&self, wanted: impl Fn(&Text) -> bool) -> Result<Text, SelfTestError> {
        let mut bytes = vec![0; 65_536];
        let receiving = async {
            loop {
                let length = self.socket.recv(&mut bytes).await?;
                let message = Text(String::from_utf8_lossy(&bytes[..length]).into_owned());
                if wanted(&message) {
                    return Ok(message);
                }
            }
        };
        timeout(PATIENCE, receiving).await.map_err(|_| SelfTestError::Silent(self.name.clone()))?
    }
}

fn fresh() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}
