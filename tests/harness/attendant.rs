//! A dialog that keeps itself alive: answers what a phone answers without its owner, and tells the script what it saw.

use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;

use super::Text;
use super::description::{Audio, Flow, Law};
use super::media::{EVENTS, Media};
use super::phone::{Station, fresh};
use super::text::uri;
use super::wire::Out;

/// What changes while a dialog lives.
pub(crate) struct State {
    /// From of our requests.
    pub(crate) local: String,
    /// To of our requests.
    pub(crate) remote: String,
    pub(crate) target: String,
    pub(crate) routes: Vec<String>,
    pub(crate) cseq: u32,
    /// The INVITE that opened the dialog, or our newest one.
    pub(crate) invite: Text,
    /// Their INVITE waits for our final answer.
    pub(crate) ringing: bool,
    pub(crate) flow: Flow,
    /// What it offers, where that is not all it knows.
    pub(crate) offered: Option<Vec<Law>>,
    version: u32,
    /// Credentials were tried: the next challenge is the server's last word.
    authorized: bool,
    pub(crate) ended: bool,
}

/// A dialog, its media, and the script's ear.
pub(crate) struct Dialog {
    pub(crate) station: Arc<Station>,
    pub(crate) call_id: String,
    pub(crate) tag: String,
    pub(crate) out: Out,
    pub(crate) media: Media,
    pub(crate) state: Mutex<State>,
    seen: mpsc::UnboundedSender<Text>,
}

impl Dialog {
    pub(crate) fn new(
        station: Arc<Station>,
        out: Out,
        invite: &Text,
        tag: String,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<Text>) {
        let (seen, events) = mpsc::unbounded_channel();
        let media = Media::open(station.wire.local.ip(), station.profile.ptime_ms);
        let state = State {
            local: String::new(),
            remote: String::new(),
            target: String::new(),
            routes: Vec::new(),
            cseq: invite.cseq(),
            invite: invite.clone(),
            ringing: false,
            flow: Flow::SendRecv,
            offered: None,
            version: 0,
            authorized: false,
            ended: false,
        };
        let call_id = invite.call_id().to_owned();
        let dialog = Self { station, call_id, tag, out, media, state: Mutex::new(state), seen };
        (Arc::new(dialog), events)
    }

    /// Our side of the audio as SDP.
    pub(crate) fn description(&self) -> Vec<u8> {
        let offered = self.state.lock().unwrap().offered.clone();
        self.describes(offered.unwrap_or_else(|| self.station.profile.laws.clone()))
    }

    fn describes(&self, laws: Vec<Law>) -> Vec<u8> {
        let mut state = self.state.lock().unwrap();
        state.version += 1;
        let profile = &self.station.profile;
        let audio = Audio {
            address: self.media.local,
            laws,
            flow: state.flow,
            ptime_ms: profile.ptime_ms,
            events: Some(EVENTS),
        };
        audio.print(state.version)
    }

    /// The answer to an offer, which also becomes where our audio goes.
    pub(crate) fn answers_offer(&self, offer: &[u8]) -> Vec<u8> {
        let audio = self.reads(offer);
        let flow = audio.flow.mirrored();
        self.state.lock().unwrap().flow = flow;
        let laws = audio.laws.clone();
        self.media.connect(audio, flow);
        self.describes(laws)
    }

    /// Their audio, as far as this phone knows its codecs.
    fn reads(&self, body: &[u8]) -> Audio {
        let mut audio = Audio::parse(body);
        audio.laws.retain(|law| self.station.profile.laws.contains(law));
        assert!(!audio.laws.is_empty(), "no codec in common:\n{}", String::from_utf8_lossy(body));
        audio
    }

    /// Their answer to our offer.
    fn learns_answer(&self, answer: &[u8]) {
        let flow = self.state.lock().unwrap().flow;
        let audio = self.reads(answer);
        // what the answer takes away is gone for us too
        let flow = if audio.flow == Flow::SendRecv { flow } else { audio.flow.mirrored() };
        self.media.connect(audio, flow);
    }

    /// A request within the dialog, with the next sequence number.
    pub(crate) fn request(&self, method: &str) -> Text {
        let mut state = self.state.lock().unwrap();
        if method != "ACK" && method != "CANCEL" {
            state.cseq += 1;
        }
        let mut request =
            Text::request(method, &state.target).with("Via", self.station.via()).with("Max-Forwards", "70");
        for route in &state.routes {
            request = request.with("Route", route.clone());
        }
        request
            .with("From", state.local.clone())
            .with("To", state.remote.clone())
            .with("Call-ID", self.call_id.clone())
            .with("CSeq", format!("{} {method}", state.cseq))
            .with("Contact", self.station.contact())
    }

    pub(crate) fn sends(&self, request: &Text) {
        self.out.send(&request.print());
    }

    pub(crate) fn receive(&self, out: &Out, text: Text) {
        if text.status().is_some() {
            self.on_response(&text);
            if self.authorizes(&text) {
                return;
            }
        } else {
            self.on_request(out, &text);
        }
        let _ = self.seen.send(text);
    }

    fn on_response(&self, response: &Text) {
        let Some(status) = response.status() else { return };
        if response.method() != "INVITE" || status == 100 {
            return;
        }
        if status >= 300 {
            let invite = self.state.lock().unwrap().invite.clone();
            let ack = refusal_ack(&invite, response).print();
            self.out.send(&ack);
            self.station.sent_for(response, ack);
            return;
        }
        {
            let mut state = self.state.lock().unwrap();
            if response.tag("To").is_some() {
                state.remote = response.header("To").unwrap_or("").to_owned();
            }
            if let Some(contact) = response.header("Contact") {
                state.target = uri(contact);
            }
            state.routes = response.all("Record-Route").iter().rev().map(|&route| route.to_owned()).collect();
        }
        let offered = !self.state.lock().unwrap().invite.body.is_empty();
        if offered && !response.body.is_empty() {
            self.learns_answer(&response.body);
        }
        if status < 200 && response.lists("Require", "100rel") {
            let number = response.header("RSeq").unwrap_or("1");
            let rack = format!("{number} {}", response.header("CSeq").unwrap_or(""));
            self.sends(&self.request("PRACK").with("RAck", rack));
        }
    }

    /// Sends the INVITE again with an answer to the challenge, once and where there is a password.
    fn authorizes(&self, refusal: &Text) -> bool {
        let mut state = self.state.lock().unwrap();
        if refusal.method() != "INVITE" || ![Some(401), Some(407)].contains(&refusal.status()) || state.authorized {
            return false;
        }
        let uri = state.invite.start.split(' ').nth(1).unwrap_or("").to_owned();
        let Some((name, value)) = self.station.credentials(refusal, &uri, 1) else { return false };
        state.authorized = true;
        state.cseq += 1;
        let (via, cseq) = (self.station.via(), format!("{} INVITE", state.cseq));
        for (key, held) in &mut state.invite.headers {
            match key.as_str() {
                "Via" => held.clone_from(&via),
                "CSeq" => held.clone_from(&cseq),
                _ => {}
            }
        }
        state.invite.headers.push((name, value));
        self.out.send(&state.invite.print());
        true
    }

    fn on_request(&self, out: &Out, request: &Text) {
        let reply = |response: Text| {
            let bytes = response.print();
            out.send(&bytes);
            self.station.sent_for(request, bytes);
        };
        let ok = Text::response(request, 200, &self.tag);
        match request.method() {
            "ACK" => {
                let delayed = self.state.lock().unwrap().invite.body.is_empty();
                if delayed && !request.body.is_empty() {
                    self.learns_answer(&request.body);
                }
            }
            "BYE" => {
                self.media.goes_quiet();
                self.state.lock().unwrap().ended = true;
                reply(ok);
            }
            "CANCEL" => {
                reply(ok);
                let mut state = self.state.lock().unwrap();
                if state.ringing {
                    state.ringing = false;
                    state.ended = true;
                    out.send(&Text::response(&state.invite, 487, &self.tag).print());
                }
            }
            "INVITE" | "UPDATE" if request.method() == "INVITE" || !request.body.is_empty() => {
                let body = if request.body.is_empty() { self.description() } else { self.answers_offer(&request.body) };
                if request.method() == "INVITE" {
                    self.state.lock().unwrap().invite = request.clone();
                }
                let ok = ok.with("Contact", self.station.contact());
                reply(ok.with_body("application/sdp", body));
            }
            _ => reply(ok),
        }
    }
}

/// The ACK of a refusal, which belongs to the INVITE's transaction (RFC 3261 §17.1.1.3).
fn refusal_ack(invite: &Text, response: &Text) -> Text {
    let uri = invite.start.split(' ').nth(1).unwrap_or("");
    let header = |text: &Text, name: &str| text.header(name).unwrap_or("").to_owned();
    Text::request("ACK", uri)
        .with("Via", header(invite, "Via"))
        .with("Max-Forwards", "70")
        .with("From", header(invite, "From"))
        .with("To", header(response, "To"))
        .with("Call-ID", invite.call_id())
        .with("CSeq", format!("{} ACK", invite.cseq()))
}

/// The first INVITE of a call.
pub(crate) fn first_invite(station: &Station, to: &str) -> (Text, String) {
    let tag = fresh("f");
    let me = station.address(&station.profile.user);
    let mut invite = Text::request("INVITE", to)
        .with("Via", station.via())
        .with("Max-Forwards", "70")
        .with("From", format!("<{me}>;tag={tag}"))
        .with("To", format!("<{to}>"))
        .with("Call-ID", fresh("c"))
        .with("CSeq", "1 INVITE")
        .with("Contact", station.contact())
        .with("Allow", "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE, PRACK");
    for option in &station.profile.supported {
        invite = invite.with("Supported", option.clone());
    }
    for option in &station.profile.required {
        invite = invite.with("Require", option.clone());
    }
    (invite, tag)
}

/// Fills in the state of a dialog that we opened.
pub(crate) fn opened_by_us(dialog: &Dialog) {
    let mut state = dialog.state.lock().unwrap();
    let header = |name: &str| state.invite.header(name).unwrap_or("").to_owned();
    let (local, remote) = (header("From"), header("To"));
    state.target = state.invite.start.split(' ').nth(1).unwrap_or("").to_owned();
    (state.local, state.remote) = (local, remote);
}

/// Fills in the state of a dialog that their INVITE opens.
pub(crate) fn opened_by_them(dialog: &Dialog) {
    let mut state = dialog.state.lock().unwrap();
    let invite = state.invite.clone();
    let header = |name: &str| invite.header(name).unwrap_or("").to_owned();
    state.local = format!("{};tag={}", header("To"), dialog.tag);
    state.remote = header("From");
    state.target = uri(&header("Contact"));
    state.routes = invite.all("Record-Route").iter().map(|&route| route.to_owned()).collect();
    state.cseq = 0;
    state.ringing = true;
}
