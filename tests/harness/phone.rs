//! A scripted SIP phone: registers, calls, is called.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::{Mutex as AsyncMutex, mpsc};
use tokio::time::timeout;

use super::attendant::Dialog;
use super::call::Call;
use super::description::Law;
use super::digest::{self, Algorithm, Login};
use super::wire::{Out, Tasks, Wire};
use super::{PATIENCE, Text, Transport};

/// What a phone is, before it is plugged in.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    pub(crate) user: String,
    pub(crate) password: Option<String>,
    pub(crate) server: SocketAddr,
    /// Its own address; a loopback one.
    pub(crate) ip: IpAddr,
    pub(crate) transport: Transport,
    /// The hashes it knows, and so the challenges it can answer.
    pub(crate) hashes: Vec<Algorithm>,
    pub(crate) laws: Vec<Law>,
    pub(crate) ptime_ms: u32,
    /// Extensions it names in Supported.
    pub(crate) supported: Vec<String>,
    /// Extensions its INVITE demands.
    pub(crate) required: Vec<String>,
    /// Its INVITE holds no offer; the ACK answers the one in the 200.
    pub(crate) delayed_offer: bool,
    /// Parameters behind its Contact.
    pub(crate) contact_params: String,
}

impl Profile {
    pub(crate) fn new(user: &str, server: SocketAddr) -> Self {
        Self {
            user: user.to_owned(),
            password: None,
            server,
            ip: if server.is_ipv6() { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() },
            transport: Transport::Udp,
            hashes: vec![Algorithm::Sha256, Algorithm::Md5],
            laws: vec![Law::Ulaw, Law::Alaw],
            ptime_ms: 20,
            supported: Vec::new(),
            required: Vec::new(),
            delayed_offer: false,
            contact_params: String::new(),
        }
    }

    pub(crate) async fn plug_in(self) -> Phone {
        let (arrived, mut messages) = mpsc::unbounded_channel();
        let wire = Wire::bind(self.transport, self.ip, arrived).await;
        let (ringing, incoming) = mpsc::unbounded_channel();
        let station = Arc::new(Station {
            tasks: Tasks::default(),
            profile: self,
            wire,
            server: AsyncMutex::new(None),
            boxes: Mutex::default(),
            done: Mutex::default(),
            ringing,
        });
        let weak = Arc::downgrade(&station);
        station.tasks.spawn(async move {
            while let Some((out, text)) = messages.recv().await {
                let Some(station) = weak.upgrade() else { return };
                station.receive(out, text);
            }
        });
        let call_id = fresh("reg");
        Phone { station, incoming, registration: Registration { call_id, cseq: 0 } }
    }
}

/// A number no other message of this run has.
pub(crate) fn fresh(prefix: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("{prefix}{}x{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Who waits for the messages of a Call-ID.
enum Inbox {
    Plain(mpsc::UnboundedSender<Text>),
    Call(std::sync::Weak<Dialog>),
}

/// The part of a phone its calls share.
pub(crate) struct Station {
    tasks: Tasks,
    pub(crate) profile: Profile,
    pub(crate) wire: Wire,
    server: AsyncMutex<Option<Out>>,
    boxes: Mutex<HashMap<String, Inbox>>,
    /// Messages already dealt with, and what was sent for each: a repeat gets the same again.
    done: Mutex<HashMap<String, Vec<u8>>>,
    ringing: mpsc::UnboundedSender<Call>,
}

/// What makes a repeat of a message known as one.
pub(crate) fn identity(text: &Text) -> String {
    let status = text.status().unwrap_or(0);
    let tag = text.tag("To").unwrap_or_default();
    // a reliable provisional is another message than the one before (RFC 3262 §3)
    let number = text.header("RSeq").unwrap_or("");
    format!("{status} {} {} {} {tag} {} {number}", text.method(), text.cseq(), text.branch(), text.call_id())
}

impl Station {
    /// The way to the server: one stream for the phone's life.
    pub(crate) async fn server(&self) -> Out {
        let mut server = self.server.lock().await;
        if let Some(out) = &*server {
            return out.clone();
        }
        let out = self.wire.towards(self.profile.server).await;
        *server = Some(out.clone());
        out
    }

    pub(crate) fn via(&self) -> String {
        format!("SIP/2.0/{} {};rport;branch=z9hG4bK{}", self.wire.transport.word(), self.wire.local, fresh("b"))
    }

    pub(crate) fn contact(&self) -> String {
        let transport = if self.wire.transport == Transport::Tcp { ";transport=tcp" } else { "" };
        format!("<sip:{}@{}{transport}>{}", self.profile.user, self.wire.local, self.profile.contact_params)
    }

    pub(crate) fn address(&self, user: &str) -> String {
        format!("sip:{user}@{}", self.profile.server)
    }

    pub(crate) fn register_call(&self, dialog: &Arc<Dialog>) {
        self.boxes.lock().unwrap().insert(dialog.call_id.clone(), Inbox::Call(Arc::downgrade(dialog)));
    }

    /// Remembers what was sent for a message, for its repeats.
    pub(crate) fn sent_for(&self, text: &Text, bytes: Vec<u8>) {
        self.done.lock().unwrap().insert(identity(text), bytes);
    }

    /// What was sent for a message when it came first; `None` when this is the first time.
    fn repeat(&self, text: &Text) -> Option<Vec<u8>> {
        let mut done = self.done.lock().unwrap();
        let before = done.get(&identity(text)).cloned();
        done.entry(identity(text)).or_default();
        before
    }

    fn receive(self: &Arc<Self>, out: Out, text: Text) {
        if let Some(bytes) = self.repeat(&text) {
            out.send(&bytes);
            return;
        }
        let call = match self.boxes.lock().unwrap().get(text.call_id()) {
            Some(Inbox::Plain(sender)) => {
                let _ = sender.send(text);
                return;
            }
            Some(Inbox::Call(dialog)) => dialog.upgrade(),
            None => None,
        };
        if let Some(dialog) = call {
            dialog.receive(&out, text);
        } else if text.status().is_none() && text.method() == "INVITE" && text.tag("To").is_none() {
            let call = Call::incoming(Arc::clone(self), out, &text);
            let _ = self.ringing.send(call);
        } else if text.status().is_none() && text.method() != "ACK" {
            let status = if text.method() == "OPTIONS" { 200 } else { 481 };
            let bytes = Text::response(&text, status, &fresh("t")).print();
            out.send(&bytes);
            self.sent_for(&text, bytes);
        }
    }

    /// The header line that answers the challenge in `refusal`, `None` when this phone cannot.
    pub(crate) fn credentials(&self, refusal: &Text, uri: &str, count: u32) -> Option<(String, String)> {
        let password = self.profile.password.as_deref()?;
        let answers = if refusal.status() == Some(407) { "Proxy-Authorization" } else { "Authorization" };
        let challenges = digest::challenges(refusal);
        // the first one it understands (RFC 8760 §2.4)
        let challenge =
            challenges.into_iter().find(|one| one.algorithm.is_some_and(|hash| self.profile.hashes.contains(&hash)))?;
        let login = Login { user: &self.profile.user, password, method: refusal.method(), uri, count };
        Some((answers.to_owned(), digest::answer(&challenge, &login)))
    }
}

struct Registration {
    call_id: String,
    cseq: u32,
}

/// A phone on the network.
pub(crate) struct Phone {
    pub(crate) station: Arc<Station>,
    incoming: mpsc::UnboundedReceiver<Call>,
    registration: Registration,
}

impl Phone {
    /// Where it is reached.
    pub(crate) fn local(&self) -> SocketAddr {
        self.station.wire.local
    }

    /// Sends a request with the headers given besides its own, and waits for the final answer.
    pub(crate) async fn request(&self, request: Text) -> Text {
        let (sender, mut answers) = mpsc::unbounded_channel();
        let call_id = request.call_id().to_owned();
        self.station.boxes.lock().unwrap().insert(call_id.clone(), Inbox::Plain(sender));
        let mut request = request;
        if request.header("Via").is_none() {
            request.headers.insert(0, ("Via".to_owned(), self.station.via()));
        }
        self.station.server().await.send(&request.print());
        let answer = timeout(PATIENCE, async {
            loop {
                let answer = answers.recv().await.expect("the phone's sockets");
                if answer.status().is_some_and(|status| status >= 200) {
                    break answer;
                }
            }
        });
        let answer = answer.await.unwrap_or_else(|_| panic!("no answer to {}", request.start));
        self.station.boxes.lock().unwrap().remove(&call_id);
        answer
    }

    /// A request outside any dialog, complete but for its Via.
    pub(crate) fn outside(&self, method: &str, uri: &str) -> Text {
        let me = self.station.address(&self.station.profile.user);
        Text::request(method, uri)
            .with("Max-Forwards", "70")
            .with("From", format!("<{me}>;tag={}", fresh("f")))
            .with("To", format!("<{uri}>"))
            .with("Call-ID", fresh("c"))
            .with("CSeq", format!("1 {method}"))
    }

    /// One REGISTER of this phone's own sequence, without credentials.
    pub(crate) fn registration(&mut self, expires_s: u32) -> Text {
        self.registration.cseq += 1;
        let (station, Registration { call_id, cseq }) = (&self.station, &self.registration);
        let me = station.address(&station.profile.user);
        Text::request("REGISTER", &format!("sip:{}", station.profile.server))
            .with("Max-Forwards", "70")
            .with("From", format!("<{me}>;tag=r"))
            .with("To", format!("<{me}>"))
            .with("Call-ID", call_id.clone())
            .with("CSeq", format!("{cseq} REGISTER"))
            .with("Contact", station.contact())
            .with("Expires", expires_s.to_string())
    }

    /// Registers, answering one challenge; returns the last answer.
    pub(crate) async fn tries_to_register(&mut self, expires_s: u32) -> Text {
        let request = self.registration(expires_s);
        let refusal = self.request(request).await;
        if refusal.status() != Some(401) {
            return refusal;
        }
        let uri = format!("sip:{}", self.station.profile.server);
        let Some((name, value)) = self.station.credentials(&refusal, &uri, 1) else { return refusal };
        let again = self.registration(expires_s).with(&name, value);
        self.request(again).await
    }

    pub(crate) async fn registers(&mut self) -> &mut Self {
        let answer = self.tries_to_register(3_600).await;
        assert_eq!(answer.status(), Some(200), "{} registers: {}", self.station.profile.user, answer.start);
        self
    }

    /// Calls a number at the server.
    pub(crate) async fn invite(&self, number: &str) -> Call {
        self.invite_uri(&self.station.address(number), &[]).await
    }

    /// Calls a URI, with further header lines.
    pub(crate) async fn invite_uri(&self, uri: &str, extra: &[(&str, &str)]) -> Call {
        Call::outgoing(Arc::clone(&self.station), uri, extra).await
    }

    /// The next call to this phone.
    pub(crate) async fn is_called(&mut self) -> Call {
        let call = timeout(PATIENCE, self.incoming.recv()).await;
        call.unwrap_or_else(|_| panic!("nobody called {}", self.station.profile.user)).expect("the phone's sockets")
    }

    /// Whether no call came that nobody asked for.
    pub(crate) fn was_not_called(&mut self) -> bool {
        self.incoming.try_recv().is_err()
    }
}
