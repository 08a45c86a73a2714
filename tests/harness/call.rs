//! One call of a scripted phone: what its owner does and sees.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::attendant::{Dialog, first_invite, opened_by_them, opened_by_us};
use super::description::{Flow, Law};
use super::phone::{Station, fresh};
use super::text::param;
use super::tone::{Sound, Tone};
use super::wire::Out;
use super::{PATIENCE, Text};

/// A call from the point of view of one phone; every wait ends in a panic after [`PATIENCE`].
pub(crate) struct Call {
    pub(crate) dialog: Arc<Dialog>,
    events: mpsc::UnboundedReceiver<Text>,
    /// The newest response, which `ack` answers.
    newest: Option<Text>,
    who: String,
}

impl Call {
    pub(crate) async fn outgoing(station: Arc<Station>, to: &str, extra: &[(&str, &str)]) -> Self {
        let out = station.server().await;
        let (mut invite, tag) = first_invite(&station, to);
        for (name, value) in extra {
            invite.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
            invite = invite.with(name, *value);
        }
        let (dialog, events) = Dialog::new(station, out, &invite, tag);
        opened_by_us(&dialog);
        if !dialog.station.profile.delayed_offer {
            invite = invite.with_body("application/sdp", dialog.description());
        }
        dialog.state.lock().unwrap().invite = invite.clone();
        dialog.station.register_call(&dialog);
        dialog.sends(&invite);
        Self::of(dialog, events)
    }

    pub(crate) fn incoming(station: Arc<Station>, out: Out, invite: &Text) -> Self {
        let tag = fresh("t");
        let trying = Text::response(invite, 100, &tag).print();
        out.send(&trying);
        station.sent_for(invite, trying);
        let (dialog, events) = Dialog::new(station, out, invite, tag);
        opened_by_them(&dialog);
        dialog.station.register_call(&dialog);
        Self::of(dialog, events)
    }

    fn of(dialog: Arc<Dialog>, events: mpsc::UnboundedReceiver<Text>) -> Self {
        let who = dialog.station.profile.user.clone();
        Self { dialog, events, newest: None, who }
    }

    /// The INVITE as it was sent or came.
    pub(crate) fn invite(&self) -> Text {
        self.dialog.state.lock().unwrap().invite.clone()
    }

    async fn event(&mut self, waits_for: &str) -> Text {
        let event = timeout_at(Instant::now() + PATIENCE, self.events.recv()).await;
        event.unwrap_or_else(|_| panic!("{} waits in vain for {waits_for}", self.who)).expect("the phone's sockets")
    }

    /// The next message the server sent, whatever it is.
    async fn request(&mut self, method: &str) -> Text {
        let request = self.event(method).await;
        assert!(
            request.status().is_none() && request.method() == method,
            "{} expects {method}, got {} ({})",
            self.who,
            request.start,
            request.method()
        );
        request
    }

    /// The answers to the INVITE, in this order; 100 may come besides.
    pub(crate) async fn expects<const N: usize>(&mut self, statuses: [u16; N]) -> &mut Self {
        for status in statuses {
            loop {
                let response = self.event(&status.to_string()).await;
                let Some(got) = response.status() else {
                    panic!("{} expects {status}, got {}", self.who, response.start)
                };
                if response.method() == "PRACK" || (got == 100 && status != 100) {
                    continue;
                }
                assert_eq!(got, status, "{}: {}\n{:#?}", self.who, response.start, response.headers);
                self.newest = Some(response);
                break;
            }
        }
        self
    }

    /// Waits for a final refusal out of these.
    pub(crate) async fn is_refused(&mut self, statuses: &[u16]) -> u16 {
        loop {
            let response = self.event("a final answer").await;
            let got = response.status().unwrap_or(0);
            if response.method() == "PRACK" || (100..200).contains(&got) {
                continue;
            }
            assert!(statuses.contains(&got), "{}: {} instead of {statuses:?}", self.who, response.start);
            return got;
        }
    }

    /// The response that `expects` saw last.
    pub(crate) fn newest(&self) -> &Text {
        self.newest.as_ref().expect("a response was expected before")
    }

    /// Acknowledges the 200; after a delayed offer with the answer in it.
    pub(crate) async fn ack(&mut self) -> &mut Self {
        let response = self.newest().clone();
        let mut ack = self.dialog.request("ACK");
        for (key, value) in &mut ack.headers {
            if key == "CSeq" {
                *value = format!("{} ACK", response.cseq());
            }
        }
        if self.invite().body.is_empty() {
            ack = ack.with_body("application/sdp", self.dialog.answers_offer(&response.body));
        }
        let bytes = ack.print();
        self.dialog.out.send(&bytes);
        self.dialog.station.sent_for(&response, bytes);
        self
    }

    fn responds(&self, response: &Text) {
        let invite = self.invite();
        let bytes = response.print();
        self.dialog.out.send(&bytes);
        self.dialog.station.sent_for(&invite, bytes);
    }

    fn response(&self, status: u16) -> Text {
        Text::response(&self.invite(), status, &self.dialog.tag).with("Contact", self.dialog.station.contact())
    }

    pub(crate) async fn rings(&mut self) -> &mut Self {
        self.responds(&self.response(180));
        self
    }

    /// 180 sent reliably (RFC 3262), and waits for its PRACK.
    pub(crate) async fn rings_reliably(&mut self, number: u32) -> &mut Self {
        let ringing = self.response(180).with("Require", "100rel").with("RSeq", number.to_string());
        self.responds(&ringing);
        let prack = self.request("PRACK").await;
        let invite = self.invite();
        assert_eq!(prack.header("RAck"), Some(format!("{number} {} INVITE", invite.cseq()).as_str()), "{}", self.who);
        self
    }

    /// 183 with a description: early media both ways.
    pub(crate) async fn progresses(&mut self) -> &mut Self {
        let body = self.dialog.answers_offer(&self.invite().body);
        self.responds(&self.response(183).with_body("application/sdp", body));
        self
    }

    /// 200, and waits for the ACK.
    pub(crate) async fn answers(&mut self) -> &mut Self {
        let invite = self.invite();
        let body =
            if invite.body.is_empty() { self.dialog.description() } else { self.dialog.answers_offer(&invite.body) };
        self.dialog.state.lock().unwrap().ringing = false;
        self.responds(&self.response(200).with_body("application/sdp", body));
        self.request("ACK").await;
        self
    }

    /// A refusal, and waits for its ACK.
    pub(crate) async fn refuses(&mut self, status: u16) -> &mut Self {
        self.dialog.state.lock().unwrap().ringing = false;
        self.responds(&self.response(status));
        self.request("ACK").await;
        self
    }

    /// Waits for the caller's CANCEL and the ACK of the 487; the CANCEL tells why.
    pub(crate) async fn is_cancelled(&mut self) -> Text {
        let cancel = self.request("CANCEL").await;
        self.request("ACK").await;
        cancel
    }

    /// Gives up before the answer: 200 to the CANCEL, 487 to the INVITE.
    pub(crate) async fn cancels(&mut self) -> &mut Self {
        let invite = self.invite();
        let mut cancel = Text::request("CANCEL", invite.start.split(' ').nth(1).unwrap_or(""));
        for name in ["Via", "Max-Forwards", "From", "To", "Call-ID"] {
            cancel = cancel.with(name, invite.header(name).unwrap_or(""));
        }
        self.dialog.sends(&cancel.with("CSeq", format!("{} CANCEL", invite.cseq())));
        let mut wanted = vec![(200, "CANCEL"), (487, "INVITE")];
        while !wanted.is_empty() {
            let response = self.event("the answers to its CANCEL").await;
            let got = (response.status().unwrap_or(0), response.method());
            if got.0 < 200 {
                continue;
            }
            let before = wanted.len();
            wanted.retain(|pair| *pair != got);
            assert!(wanted.len() < before, "{}: {} to {}", self.who, response.start, response.method());
        }
        self
    }

    /// Sends a request in the dialog, and waits for its 200.
    async fn asks(&mut self, request: Text) -> Text {
        let method = request.method().to_owned();
        self.dialog.sends(&request);
        loop {
            let response = self.event(&format!("the answer to {method}")).await;
            match response.status() {
                Some(100) => {}
                Some(200) if response.method() == method => return response,
                // both hung up at once: theirs is answered already, ours may come too late
                Some(481) if method == "BYE" => return response,
                None if method == "BYE" && response.method() == "BYE" => {}
                _ => panic!("{}: {} instead of a 200 to {method}", self.who, response.start),
            }
        }
    }

    pub(crate) async fn hangs_up(&mut self) -> &mut Self {
        self.dialog.media.goes_quiet();
        let bye = self.dialog.request("BYE");
        self.asks(bye).await;
        self.dialog.state.lock().unwrap().ended = true;
        self
    }

    /// Waits for the server's BYE; it tells why.
    pub(crate) async fn is_hung_up(&mut self) -> Text {
        self.request("BYE").await
    }

    /// A re-INVITE with that flow; its answer's flow is taken over.
    async fn reoffers(&mut self, flow: Flow) -> &mut Self {
        self.dialog.state.lock().unwrap().flow = flow;
        let body = self.dialog.description();
        let invite = self.dialog.request("INVITE").with_body("application/sdp", body);
        self.dialog.state.lock().unwrap().invite = invite.clone();
        let response = self.asks(invite).await;
        self.newest = Some(response);
        self.ack().await
    }

    pub(crate) async fn holds(&mut self) -> &mut Self {
        self.reoffers(Flow::Inactive).await
    }

    /// A re-INVITE with these codecs alone.
    pub(crate) async fn offers(&mut self, laws: &[Law]) -> &mut Self {
        self.dialog.state.lock().unwrap().offered = Some(laws.to_vec());
        self.reoffers(Flow::SendRecv).await
    }

    pub(crate) async fn resumes(&mut self) -> &mut Self {
        self.reoffers(Flow::SendRecv).await
    }

    /// Sends a digit as INFO.
    pub(crate) async fn informs(&mut self, digit: char) -> &mut Self {
        let body = format!("Signal={digit}\r\nDuration=160\r\n");
        let info = self.dialog.request("INFO").with_body("application/dtmf-relay", body);
        self.asks(info).await;
        self
    }

    /// Presses keys as telephone-events in the audio stream.
    pub(crate) async fn presses(&mut self, digits: &str) -> &mut Self {
        self.dialog.media.presses(digits);
        self
    }

    pub(crate) async fn hears_digits(&mut self, digits: &str) -> &mut Self {
        self.dialog.media.hears_digits(&self.who, digits).await;
        self
    }

    pub(crate) async fn says(&mut self, tone: Tone) -> &mut Self {
        self.dialog.media.says(tone);
        self
    }

    /// Sounds a key as the phone's speech, where it is not to be an event.
    pub(crate) async fn sounds(&mut self, key: char) -> &mut Self {
        self.dialog.media.sounds(key);
        self
    }

    pub(crate) async fn falls_silent(&mut self) -> &mut Self {
        self.dialog.media.falls_silent();
        self
    }

    /// Waits until exactly these tones are heard.
    pub(crate) async fn hears(&mut self, sound: Sound) -> &mut Self {
        self.dialog.media.hears(&self.who, &sound).await;
        self
    }

    /// Nothing more is to come from the server in this dialog.
    pub(crate) fn saw_everything(&mut self) {
        while let Ok(event) = self.events.try_recv() {
            let routine = event.status() == Some(100) || event.method() == "PRACK" || event.method() == "ACK";
            assert!(routine, "{} did not expect {} ({})", self.who, event.start, event.method());
        }
    }

    /// The server has asked for another codec, and has been answered; nothing else has come.
    pub(crate) fn was_asked_to_change(&mut self) {
        while let Ok(event) = self.events.try_recv() {
            let is_that = event.status().is_none() && ["INVITE", "ACK"].contains(&event.method());
            assert!(is_that, "{} did not expect {} ({})", self.who, event.start, event.method());
        }
    }

    /// Why a BYE or CANCEL was sent: the Reason header's cause of that protocol.
    pub(crate) fn cause(request: &Text, protocol: &str) -> Option<u16> {
        let reason = request.all("Reason").into_iter().find(|value| value.starts_with(protocol))?;
        param(reason, "cause")?.parse().ok()
    }
}
