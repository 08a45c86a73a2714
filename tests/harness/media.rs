//! The sound of a phone: one RTP socket, a steady sender, a log of every packet both ways.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr, UdpSocket as StdUdpSocket};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::description::{Audio, Flow, Law};
use super::tone::{self, Sound, Tone, WINDOW};
use super::wire::{Tasks, datagram_socket};
use super::{PATIENCE, nothing, wide};

/// The payload number this harness offers for telephone-event.
pub(crate) const EVENTS: u8 = 101;

/// One RTP packet as it was on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) from: SocketAddr,
    pub(crate) payload_type: u8,
    pub(crate) marker: bool,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
    pub(crate) payload: Vec<u8>,
}

impl Packet {
    fn parse(bytes: &[u8], from: SocketAddr) -> Option<Self> {
        let header: [u8; 12] = bytes.get(..12)?.try_into().ok()?;
        if header[0] != 0x80 {
            return None;
        }
        let word = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        Some(Self {
            from,
            payload_type: header[1] & 0x7f,
            marker: header[1] & 0x80 != 0,
            sequence: u16::from_be_bytes([header[2], header[3]]),
            timestamp: word(4),
            ssrc: word(8),
            payload: bytes[12..].to_vec(),
        })
    }

    pub(crate) fn print(&self) -> Vec<u8> {
        let mut out = vec![0x80, self.payload_type | u8::from(self.marker) << 7];
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&self.ssrc.to_be_bytes());
        out.extend_from_slice(&self.payload);
        out
    }
}

/// What comes out of the microphone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Voice {
    Tone(Tone),
    /// A tone from its first sample on, this many packets sent, that many still to send; then silence.
    Speech(Tone, u32, u32),
    /// The tones of a key (ITU-T Q.23), that many packets still to send; then silence.
    Key(char, u32),
    Silence,
    /// No packets at all.
    Gone,
}

struct Line {
    remote: Option<Audio>,
    flow: Flow,
    voice: Voice,
    digits: VecDeque<char>,
    /// Sound that goes before the voice.
    clip: VecDeque<i16>,
    received: Vec<Packet>,
    sent: Vec<Packet>,
    /// The longest time between two packets that were to be 20 ms or so apart.
    longest_pause: Duration,
}

/// A phone's RTP port within one call.
pub(crate) struct Media {
    pub(crate) local: SocketAddr,
    line: Arc<Mutex<Line>>,
    arrived: Arc<Notify>,
    _tasks: Tasks,
}

impl Media {
    pub(crate) fn open(ip: IpAddr, ptime_ms: u32) -> Self {
        let (reader, writer, local) = loop {
            let (reader, writer) = datagram_socket(SocketAddr::new(ip, 0));
            let local = writer.local_addr().expect("its address");
            if local.port().is_multiple_of(2) {
                break (reader, writer, local);
            }
        };
        let line = Line {
            remote: None,
            flow: Flow::SendRecv,
            voice: Voice::Silence,
            digits: VecDeque::new(),
            clip: VecDeque::new(),
            received: Vec::new(),
            sent: Vec::new(),
            longest_pause: Duration::ZERO,
        };
        let (line, arrived, tasks) = (Arc::new(Mutex::new(line)), Arc::new(Notify::new()), Tasks::default());
        tasks.spawn(receive(reader, Arc::clone(&line), Arc::clone(&arrived)));
        let speaks = Arc::downgrade(&line);
        std::thread::spawn(move || send(&writer, &speaks, ptime_ms));
        Self { local, line, arrived, _tasks: tasks }
    }

    /// What the other side wants and where; `flow` is how this side now sees it.
    pub(crate) fn connect(&self, remote: Audio, flow: Flow) {
        let mut line = self.line.lock().unwrap();
        line.remote = Some(remote);
        line.flow = flow;
    }

    pub(crate) fn says(&self, tone: Tone) {
        self.line.lock().unwrap().voice = Voice::Tone(tone);
    }

    /// Speaks `packets` packets of a tone that are the same in every run.
    pub(crate) fn recites(&self, tone: Tone, packets: u32) {
        self.line.lock().unwrap().voice = Voice::Speech(tone, 0, packets);
    }

    /// Sounds a key within the speech, for 120 ms or six packets.
    pub(crate) fn sounds(&self, key: char) {
        self.line.lock().unwrap().voice = Voice::Key(key, 6);
    }

    pub(crate) fn falls_silent(&self) {
        self.line.lock().unwrap().voice = Voice::Silence;
    }

    /// Sends no packets from now on.
    pub(crate) fn goes_quiet(&self) {
        self.line.lock().unwrap().voice = Voice::Gone;
    }

    pub(crate) fn presses(&self, digits: &str) {
        self.line.lock().unwrap().digits.extend(digits.chars());
    }

    /// Sounds a key for 100 ms and is silent for 60 ms; then the voice goes on.
    pub(crate) fn sounds_and_goes_on(&self, digit: char) {
        let place = "123A456B789C*0#D".find(digit).expect("a key");
        let (low, high) = ([697.0, 770.0, 852.0, 941.0][place / 4], [1_209.0, 1_336.0, 1_477.0, 1_633.0][place % 4]);
        let tone = |hz: f64, at: u32| (std::f64::consts::TAU * hz * f64::from(at) / 8_000.0).sin() * 6_000.0;
        let key = (0..800).map(|at| (tone(low, at) + tone(high, at)) as i16);
        self.line.lock().unwrap().clip.extend(key.chain([0; 480]));
    }

    pub(crate) fn received(&self) -> Vec<Packet> {
        self.line.lock().unwrap().received.clone()
    }

    pub(crate) fn sent(&self) -> Vec<Packet> {
        self.line.lock().unwrap().sent.clone()
    }

    /// Whether the machine was so busy that this phone stuttered: a server that mixes fills such a pause.
    pub(crate) fn has_stuttered(&self) -> bool {
        self.line.lock().unwrap().longest_pause > Duration::from_millis(60)
    }

    /// Where this side's audio is to go.
    pub(crate) fn remote(&self) -> Option<SocketAddr> {
        self.line.lock().unwrap().remote.as_ref().map(|audio| audio.address)
    }

    /// Waits until the newest tenth of a second holds exactly `sound`.
    pub(crate) async fn hears(&self, who: &str, sound: &Sound) {
        let mut expected = sound.clone();
        expected.sort_unstable();
        let (mark, end) = (self.line.lock().unwrap().received.len(), Instant::now() + PATIENCE);
        let mut last = Err("no audio".to_owned());
        while Instant::now() < end {
            let notified = self.arrived.notified();
            let samples = self.samples(mark);
            if samples.len() >= WINDOW {
                last = tone::heard(&samples);
                if last.as_ref() == Ok(&expected) {
                    return;
                }
            }
            if timeout(Duration::from_millis(300), notified).await.is_err() {
                // a line without packets is silent
                last = Ok(nothing());
                if expected.is_empty() {
                    return;
                }
            }
        }
        panic!("{who} should hear {expected:?}, but: {last:?}");
    }

    /// The loudest sample so far.
    pub(crate) fn loudest(&self) -> u16 {
        self.samples(0).iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0)
    }

    /// How strong each tone is in the newest tenth of a second.
    pub(crate) fn strengths(&self) -> Vec<(Tone, f64)> {
        let samples = self.samples(0);
        let window = &samples[samples.len().saturating_sub(WINDOW)..];
        Tone::ALL.into_iter().map(|tone| (tone, tone::strength(tone, window))).collect()
    }

    /// What was heard from that packet on.
    pub(crate) fn samples(&self, mark: usize) -> Vec<i16> {
        let line = self.line.lock().unwrap();
        let audio = line.received[mark..].iter().filter_map(|packet| Some((law(packet.payload_type)?, packet)));
        audio.flat_map(|(law, packet)| packet.payload.iter().map(move |byte| law.decode(*byte))).collect()
    }

    /// Waits for `count` more packets.
    pub(crate) async fn receives(&self, who: &str, count: usize) -> Vec<Packet> {
        let mark = self.line.lock().unwrap().received.len();
        let end = Instant::now() + PATIENCE;
        loop {
            let notified = self.arrived.notified();
            let received = self.line.lock().unwrap().received[mark..].to_vec();
            if received.len() >= count {
                return received;
            }
            assert!(
                timeout(end - Instant::now(), notified).await.is_ok(),
                "{who} got {} packets instead of {count}",
                received.len()
            );
        }
    }

    /// Waits until the digits of all telephone-events so far are `digits`.
    pub(crate) async fn hears_digits(&self, who: &str, digits: &str) {
        let end = Instant::now() + PATIENCE;
        loop {
            let notified = self.arrived.notified();
            let heard = self.digits();
            if heard == digits {
                return;
            }
            assert!(
                digits.starts_with(&heard) && timeout(end - Instant::now(), notified).await.is_ok(),
                "{who} should hear the digits {digits}, but heard {heard}"
            );
        }
    }

    fn digits(&self) -> String {
        let line = self.line.lock().unwrap();
        let ends = line.received.iter().filter(|packet| {
            packet.payload_type == EVENTS && packet.payload.get(1).is_some_and(|byte| byte & 0x80 != 0)
        });
        let mut stamps: Vec<(u32, u8)> = ends.map(|packet| (packet.timestamp, packet.payload[0])).collect();
        stamps.dedup_by_key(|(timestamp, _)| *timestamp);
        stamps.iter().filter_map(|(_, event)| "0123456789*#ABCD".chars().nth(usize::from(*event))).collect()
    }
}

/// Sample number `at` of a key: one tone for its row and one for its column.
fn key_sample(key: char, at: u32) -> i16 {
    let place = "123A456B789C*0#D".find(key).expect("a key");
    let (row_hz, column_hz) =
        ([697.0, 770.0, 852.0, 941.0][place / 4], [1_209.0, 1_336.0, 1_477.0, 1_633.0][place % 4]);
    let wave = |hz: f64| (std::f64::consts::TAU * hz * f64::from(at % 8_000) / 8_000.0).sin();
    ((wave(row_hz) + wave(column_hz)) * 5_000.0) as i16
}

fn law(payload_type: u8) -> Option<Law> {
    [Law::Ulaw, Law::Alaw].into_iter().find(|law| law.payload() == payload_type)
}

async fn receive(socket: UdpSocket, line: Arc<Mutex<Line>>, arrived: Arc<Notify>) {
    let mut buffer = [0; 2_048];
    loop {
        let Ok((count, from)) = socket.recv_from(&mut buffer).await else { continue };
        if let Some(packet) = Packet::parse(&buffer[..count], from) {
            line.lock().unwrap().received.push(packet);
            arrived.notify_waiters();
        }
    }
}

/// To its own beat, on a thread of its own: what keeps the test's runtime busy makes no phone stutter. Ends with the line.
fn send(socket: &StdUdpSocket, line: &Weak<Mutex<Line>>, ptime_ms: u32) {
    let (step, mut next) = (Duration::from_millis(ptime_ms.into()), std::time::Instant::now());
    let mut before = next;
    let ssrc = u32::from(socket.local_addr().map_or(0, |address| address.port())) << 8 | 0x5a;
    let mut sender = Sender { sequence: 65_500, timestamp: 4_294_900_000, samples: 8 * ptime_ms, ssrc, event: None };
    while let Some(line) = line.upgrade() {
        {
            // Kept until it is noted: nobody receives what has not been sent.
            let mut line = line.lock().unwrap();
            let now = std::time::Instant::now();
            line.longest_pause = line.longest_pause.max(now - std::mem::replace(&mut before, now));
            if let Some((packet, to)) = sender.next(&mut line) {
                let _ = socket.send_to(&packet.print(), to);
                line.sent.push(packet);
            }
        }
        drop(line);
        next += step;
        std::thread::sleep(next.saturating_duration_since(std::time::Instant::now()));
    }
}

/// The clock of the outgoing stream; sequence and timestamp start close to their wrap.
struct Sender {
    sequence: u16,
    timestamp: u32,
    samples: u32,
    ssrc: u32,
    /// The digit being sent: event, its timestamp, packets sent.
    event: Option<(u8, u32, u16)>,
}

impl Sender {
    fn next(&mut self, line: &mut Line) -> Option<(Packet, SocketAddr)> {
        self.timestamp = self.timestamp.wrapping_add(self.samples);
        let remote = line.remote.clone()?;
        if matches!(line.flow, Flow::RecvOnly | Flow::Inactive)
            || line.voice == Voice::Gone
            || remote.address.port() == 0
        {
            return None;
        }
        if self.event.is_none() {
            self.event = line.digits.pop_front().and_then(|digit| {
                let event = "0123456789*#ABCD".find(digit)?;
                Some((u8::try_from(event).ok()?, self.timestamp, 0))
            });
        }
        let (payload_type, marker, timestamp, payload) = match (self.event, remote.events) {
            (Some((event, timestamp, count)), Some(payload_type)) => {
                // 100 ms of the digit, then its end three times (RFC 4733 §2.5.1.4)
                let last = u16::try_from(800 / self.samples).unwrap_or(1);
                let end = count >= last;
                let duration = (u32::from(count.min(last)) + 1) * self.samples;
                let duration = u16::try_from(duration).unwrap_or(u16::MAX).to_be_bytes();
                self.event = (count < last + 2).then_some((event, timestamp, count + 1));
                let payload = vec![event, u8::from(end) << 7 | 10, duration[0], duration[1]];
                (payload_type, count == 0, timestamp, payload)
            }
            _ => {
                let law = *remote.laws.first()?;
                let payload = if law.is_wide() { self.recites(law, line)? } else { law.pack(&self.speaks(line)) };
                (law.payload(), false, self.timestamp.wrapping_mul(law.clock()), payload)
            }
        };
        let Self { sequence, ssrc, .. } = *self;
        self.sequence = self.sequence.wrapping_add(1);
        let from = remote.address;
        Some((Packet { from, payload_type, marker, sequence, timestamp, ssrc, payload }, remote.address))
    }
    /// The next packet of speech in a codec that nobody here encodes; silence is not sent.
    fn recites(&self, law: Law, line: &Line) -> Option<Vec<u8>> {
        let Voice::Tone(tone) = line.voice else { return None };
        let packets = wide::packets(law, tone);
        packets.get((self.timestamp / self.samples) as usize % packets.len()).cloned()
    }

    /// The samples of the next packet of speech.
    fn speaks(&self, line: &mut Line) -> Vec<i16> {
        if line.clip.len() >= self.samples as usize {
            return line.clip.drain(..self.samples as usize).collect();
        }
        let samples =
            |tone: Tone, first: u64| (first..first + u64::from(self.samples)).map(|at| tone.sample(at)).collect();
        match line.voice {
            Voice::Tone(tone) => samples(tone, self.timestamp.into()),
            Voice::Speech(tone, sent, left) => {
                line.voice = if left > 1 { Voice::Speech(tone, sent + 1, left - 1) } else { Voice::Silence };
                samples(tone, u64::from(sent * self.samples))
            }
            Voice::Key(key, left) => {
                line.voice = if left > 1 { Voice::Key(key, left - 1) } else { Voice::Silence };
                (0..self.samples).map(|at| key_sample(key, self.timestamp.wrapping_add(at))).collect()
            }
            Voice::Silence | Voice::Gone => vec![0; self.samples as usize],
        }
    }
}
