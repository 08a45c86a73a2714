//! A caller and a callee in one thread: thousands of calls through the server, as few words as SIP allows.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::stream::Stream;

/// One call from the caller's side, and what the callee learnt of its half.
struct Call {
    id: String,
    invited: Instant,
    rtp: UdpSocket,
    /// The To with the server's tag and its Contact, from the 200.
    answered: Option<(String, String)>,
    /// Where the server expects the caller's audio.
    media: Option<SocketAddr>,
    ended: bool,
}

/// The callee's half: its audio socket and where the server expects its audio.
struct Half {
    rtp: UdpSocket,
    media: SocketAddr,
    answer: String,
}

/// What a round of calls showed.
pub(crate) struct Outcome {
    /// From INVITE to 200.
    pub(crate) times: Vec<Duration>,
    /// Messages that came more than once.
    pub(crate) repeats: usize,
}

/// The generator.
pub(crate) struct Load {
    server: SocketAddr,
    uac: UdpSocket,
    uas: UdpSocket,
    calls: Vec<Call>,
    halves: HashMap<String, Half>,
    /// In the order the INVITEs came: the caller's number is the called one.
    numbers: HashMap<usize, String>,
    times: Vec<Duration>,
    repeats: usize,
    next: usize,
    hang_up_at_once: bool,
}

fn header<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.split("\r\n").skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn audio(text: &str) -> Option<SocketAddr> {
    let port = text.split("m=audio ").nth(1)?.split(' ').next()?;
    let ip = text.split("c=IN IP4 ").nth(1)?.split("\r\n").next()?;
    format!("{ip}:{port}").parse().ok()
}

fn description(rtp: &UdpSocket) -> anyhow::Result<String> {
    let port = rtp.local_addr()?.port();
    Ok(format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\na=ptime:20\r\n"
    ))
}

fn audio_socket() -> anyhow::Result<UdpSocket> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

impl Load {
    pub(crate) fn new(server: SocketAddr, uas: UdpSocket) -> anyhow::Result<Self> {
        let uac = UdpSocket::bind("127.0.0.1:0")?;
        for socket in [&uac, &uas] {
            socket.set_nonblocking(true)?;
            socket2::SockRef::from(socket).set_recv_buffer_size(4 << 20)?;
        }
        let (calls, halves, numbers, times) = Default::default();
        Ok(Self { server, uac, uas, calls, halves, numbers, times, repeats: 0, next: 0, hang_up_at_once: false })
    }

    /// Asks until the server answers.
    pub(crate) fn waits_for_options(&mut self, patience: Duration) -> anyhow::Result<()> {
        let (end, me) = (Instant::now() + patience, self.uac.local_addr()?);
        let mut buffer = [0; 2_048];
        for attempt in 0.. {
            let text = format!(
                "OPTIONS sip:{0} SIP/2.0\r\nVia: SIP/2.0/UDP {me};rport;branch=z9hG4bKo{attempt}\r\nMax-Forwards: 70\r\n\
                 From: <sip:bench@{me}>;tag=o\r\nTo: <sip:{0}>\r\nCall-ID: o{attempt}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
                self.server
            );
            // refused while nobody listens there yet
            let _ = self.uac.send_to(text.as_bytes(), self.server);
            wait([&self.uac, &self.uac], Duration::from_millis(1))?;
            if self.uac.recv_from(&mut buffer).is_ok() {
                break;
            }
            ensure!(Instant::now() < end, "the server answers no OPTIONS");
        }
        while self.uac.recv_from(&mut buffer).is_ok() {}
        Ok(())
    }

    /// Sets up calls and keeps them.
    pub(crate) fn calls(&mut self, count: usize, per_second: u32) -> anyhow::Result<Outcome> {
        self.hang_up_at_once = false;
        self.round(count, per_second)
    }

    /// Sets up calls, each ended as soon as it stands.
    pub(crate) fn calls_and_ends(&mut self, count: usize, per_second: u32) -> anyhow::Result<Outcome> {
        self.hang_up_at_once = true;
        let outcome = self.round(count, per_second)?;
        self.waits_for_ends()?;
        Ok(outcome)
    }

    fn round(&mut self, count: usize, per_second: u32) -> anyhow::Result<Outcome> {
        (self.times, self.repeats) = (Vec::new(), 0);
        let (start, gap) = (Instant::now(), Duration::from_secs(1) / per_second);
        let mut sent = 0;
        while self.times.len() < count {
            let due = start + gap * u32::try_from(sent)?;
            if sent < count && Instant::now() >= due {
                self.invites()?;
                sent += 1;
                continue;
            }
            let patience =
                if sent < count { due.saturating_duration_since(Instant::now()) } else { Duration::from_secs(5) };
            let idle = !wait([&self.uac, &self.uas], patience)?;
            ensure!(!idle || sent < count, "{} of {count} calls were answered", self.times.len());
            self.drains()?;
        }
        Ok(Outcome { times: std::mem::take(&mut self.times), repeats: self.repeats })
    }

    fn invites(&mut self) -> anyhow::Result<()> {
        let (number, me) = (self.next, self.uac.local_addr()?);
        self.next += 1;
        let call = Call {
            id: format!("{number}@bench"),
            invited: Instant::now(),
            rtp: audio_socket()?,
            answered: None,
            media: None,
            ended: false,
        };
        let body = description(&call.rtp)?;
        let text = format!(
            "INVITE sip:{0}@{1} SIP/2.0\r\nVia: SIP/2.0/UDP {me};rport;branch=z9hG4bKi{0}\r\nMax-Forwards: 70\r\n\
             From: <sip:bench@{me}>;tag=a{0}\r\nTo: <sip:{0}@{1}>\r\nCall-ID: {2}\r\nCSeq: 1 INVITE\r\nContact: <sip:bench@{me}>\r\n\
             Content-Type: application/sdp\r\nContent-Length: {3}\r\n\r\n{body}",
            1_000_000 + number,
            self.server,
            call.id,
            body.len()
        );
        self.calls.push(call);
        self.uac.send_to(text.as_bytes(), self.server)?;
        Ok(())
    }

    fn drains(&mut self) -> anyhow::Result<()> {
        let mut buffer = [0; 8_192];
        while let Ok((length, _)) = self.uac.recv_from(&mut buffer) {
            // a report of RTCP may land here: the port beside that of a call's audio is anyone's
            if let Ok(text) = std::str::from_utf8(&buffer[..length]) {
                self.caller_hears(text)?;
            }
        }
        while let Ok((length, from)) = self.uas.recv_from(&mut buffer) {
            if let Ok(text) = std::str::from_utf8(&buffer[..length]) {
                self.callee_hears(text, from)?;
            }
        }
        Ok(())
    }

    fn caller_hears(&mut self, text: &str) -> anyhow::Result<()> {
        let first = self.next - self.calls.len();
        // an answer to an early OPTIONS may come late, and is of no call
        let number = header(text, "Call-ID").and_then(|id| id.split('@').next()?.parse::<usize>().ok());
        let Some(number) = number else { return Ok(()) };
        let Some(call) = number.checked_sub(first).and_then(|at| self.calls.get_mut(at)) else { return Ok(()) };
        if text.starts_with("BYE ") {
            bail!("the server hung up: {text}");
        }
        let (status, cseq) = (text.get(8..11).unwrap_or(""), header(text, "CSeq").unwrap_or(""));
        match (status, cseq) {
            ("200", "1 INVITE") => {
                self.repeats += usize::from(call.answered.is_some());
                if call.answered.is_none() {
                    self.times.push(call.invited.elapsed());
                }
                let contact = header(text, "Contact").context("a Contact")?;
                let target = contact.trim_start_matches('<').split('>').next().unwrap_or(contact).to_owned();
                call.answered = Some((header(text, "To").context("a To")?.to_owned(), target));
                call.media = audio(text);
                self.in_dialog(number, "ACK", 1)?;
                if self.hang_up_at_once {
                    self.in_dialog(number, "BYE", 2)?;
                }
            }
            ("200", "2 BYE") => call.ended = true,
            ("100" | "180" | "183", _) => {}
            _ => bail!("call {number}: {text}"),
        }
        Ok(())
    }

    fn in_dialog(&self, number: usize, method: &str, cseq: u32) -> anyhow::Result<()> {
        let me = self.uac.local_addr()?;
        let call = &self.calls[number - (self.next - self.calls.len())];
        let (to, target) = call.answered.as_ref().context("an answered call")?;
        let text = format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {me};rport;branch=z9hG4bK{method}{number}\r\nMax-Forwards: 70\r\n\
             From: <sip:bench@{me}>;tag=a{0}\r\nTo: {to}\r\nCall-ID: {1}\r\nCSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n",
            1_000_000 + number,
            call.id
        );
        self.uac.send_to(text.as_bytes(), self.server)?;
        Ok(())
    }

    fn callee_hears(&mut self, text: &str, from: SocketAddr) -> anyhow::Result<()> {
        let id = header(text, "Call-ID").with_context(|| format!("no Call-ID: {text:?}"))?.to_owned();
        let method = text.split(' ').next().unwrap_or("");
        if method == "ACK" {
            return Ok(());
        }
        if method == "INVITE" {
            if let Some(half) = self.halves.get(&id) {
                self.repeats += 1;
                self.uas.send_to(half.answer.as_bytes(), from)?;
                return Ok(());
            }
            let rtp = audio_socket()?;
            let body = description(&rtp)?;
            let answer = self.answer(text, &body)?;
            self.uas.send_to(answer.as_bytes(), from)?;
            let number = text.split("sip:").nth(1).and_then(|uri| uri.split('@').next()?.parse().ok());
            self.numbers.insert(number.context("a number")?, id.clone());
            self.halves.insert(id, Half { rtp, media: audio(text).context("an offer")?, answer });
            return Ok(());
        }
        let answer = self.answer(text, "")?;
        self.uas.send_to(answer.as_bytes(), from)?;
        if method == "BYE" {
            self.halves.remove(&id);
        }
        Ok(())
    }

    fn answer(&self, request: &str, body: &str) -> anyhow::Result<String> {
        let mut text = "SIP/2.0 200 OK\r\n".to_owned();
        for line in request.split("\r\n").skip(1).take_while(|line| !line.is_empty()) {
            let name = line.split(':').next().unwrap_or("").trim();
            if ["Via", "From", "Call-ID", "CSeq", "Record-Route"].contains(&name) {
                text.push_str(&format!("{line}\r\n"));
            } else if name == "To" {
                text.push_str(&format!("{line}{}\r\n", if line.contains(";tag=") { "" } else { ";tag=uas" }));
            }
        }
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let me = self.uas.local_addr()?;
        text.push_str(&format!("Contact: <sip:uas@{me}>\r\n{kind}Content-Length: {}\r\n\r\n{body}", body.len()));
        Ok(text)
    }

    fn waits_for_ends(&mut self) -> anyhow::Result<()> {
        while self.calls.iter().any(|call| !call.ended) || !self.halves.is_empty() {
            let open = self.calls.iter().filter(|call| !call.ended).count();
            ensure!(wait([&self.uac, &self.uas], Duration::from_secs(5))?, "{open} calls did not end");
            self.drains()?;
        }
        self.calls.clear();
        self.numbers.clear();
        Ok(())
    }

    /// Ends every call that stands.
    pub(crate) fn hangs_up(&mut self) -> anyhow::Result<()> {
        let first = self.next - self.calls.len();
        for number in first..self.next {
            self.in_dialog(number, "BYE", 2)?;
            self.drains()?;
        }
        self.waits_for_ends()
    }

    /// The audio of the standing calls, both directions of each.
    pub(crate) fn streams(&self) -> anyhow::Result<Vec<Stream>> {
        let first = self.next - self.calls.len();
        let one = |(at, call): (usize, &Call)| {
            let half =
                self.numbers.get(&(1_000_000 + first + at)).and_then(|id| self.halves.get(id)).context("a callee")?;
            Ok(Stream {
                sockets: [call.rtp.try_clone()?, half.rtp.try_clone()?],
                towards: [call.media.context("the server's audio address")?, half.media],
            })
        };
        self.calls.iter().enumerate().map(one).collect()
    }
}

/// Waits until one of two sockets is readable; `false` when none was in time.
fn wait(sockets: [&UdpSocket; 2], patience: Duration) -> anyhow::Result<bool> {
    let mut set = sockets.map(|socket| PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN));
    let patience = Timespec { tv_sec: patience.as_secs().try_into()?, tv_nsec: patience.subsec_nanos().into() };
    Ok(poll(&mut set, Some(&patience))? > 0)
}
