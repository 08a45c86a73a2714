//! The codec of a leg: agreed on with its phone, and changed where the other party speaks one that is only passed on.
//! Above: `leg` and its `events`. Below: `speech` chooses, `sdp` negotiates.

use bytes::Bytes;

use crate::{
    audio::codec::Coding,
    call::{
        cause::Cause,
        leg::Leg,
        live::{LegFacts, LegState, Order},
    },
    media::{self, Stream},
    sdp::{self, Negotiated, Spoken},
};

impl Leg {
    /// What is spoken, once negotiated.
    pub(in crate::call) fn spoken(&self) -> Option<&Spoken> {
        self.negotiated.as_ref().map(|negotiated| &negotiated.spoken)
    }

    /// The codec in use, once negotiated.
    pub(super) fn codec(&self) -> Option<Coding> {
        self.spoken().map(|spoken| spoken.codec)
    }

    /// What a leg is offered that is to talk with this one, best first, so that nothing need be transcoded.
    pub(in crate::call) fn codecs_for_other(&self) -> Vec<Spoken> {
        let takes = self.facts.now().takes.clone();
        let takes = match self.codec() {
            Some(codec) => takes.only(codec),
            None => takes,
        };
        self.exchange.codecs(self.codec(), Some(&takes))
    }

    /// Keeps the peer's offer for the answer to come.
    ///
    /// # Errors
    /// The offer is no session description.
    pub(in crate::call) fn take_offer(&mut self, body: &[u8]) -> Result<(), sdp::SdpError> {
        let offer = sdp::parse(body)?;
        self.facts.now().takes.offered(sdp::known_codecs(&offer));
        self.offer = Some(offer);
        Ok(())
    }

    /// Our answer to the peer's first offer, made once; `None` when there was no offer.
    pub(super) fn answer_offer(&mut self, prefer: Option<&Spoken>) -> Result<Option<Bytes>, Cause> {
        if let Some(answer) = &self.answer {
            return Ok(Some(answer.clone()));
        }
        let Some(offer) = self.offer.take() else { return Ok(None) };
        if let Some(prefer) = prefer {
            let mut codecs = self.exchange.codecs(Some(prefer.codec), None);
            if !prefer.codec.can_be_decoded() {
                codecs.insert(0, prefer.clone());
            }
            self.media.codecs = codecs;
        }
        let (body, negotiated) = sdp::answer(&offer, &self.media).map_err(|_| Cause::INCOMPATIBLE)?;
        self.configure(negotiated);
        self.answer = Some(Bytes::from(body));
        Ok(self.answer.clone())
    }

    /// The peer's answer to our offer.
    pub(super) fn accept_answer(&mut self, body: &[u8]) -> Result<(), sdp::SdpError> {
        let answer = sdp::parse(body)?;
        let negotiated = sdp::accept_answer(&answer, &self.media)?;
        self.facts.now().takes.answered(sdp::known_codecs(&answer));
        self.configure(negotiated);
        Ok(())
    }

    /// Our answer to the peer's offer within the session; one to a peer that asks for an offer is an offer.
    pub(super) fn answer_change(&mut self, offer: Option<&[u8]>) -> Result<Bytes, sdp::SdpError> {
        self.media.version += 1;
        self.refuses_change = false;
        let other = self.facts.peer().map(|peer| peer.now().takes.clone());
        // With nobody to pass it on to, what can be decoded comes first.
        let first = self.codec().filter(|codec| codec.can_be_decoded() || other.is_some());
        self.media.codecs = self.exchange.codecs(first, other.as_ref());
        let Some(body) = offer else {
            // The answer comes in the ACK (RFC 3261 §14.2).
            self.awaits_answer = true;
            return Ok(self.make_offer());
        };
        let offer = sdp::parse(body)?;
        let (answer, negotiated) = sdp::answer(&offer, &self.media)?;
        self.facts.now().takes.offered(sdp::known_codecs(&offer));
        self.configure(negotiated);
        Ok(answer.into())
    }

    /// Asks the phone to speak what can be passed on to, or come from, another that speaks `wanted`; nothing when it does.
    pub(super) fn asks_to_speak(&mut self, wanted: Spoken) {
        let is_reached = self.codec().is_none_or(|codec| codec.reaches(wanted.codec));
        if is_reached || self.over || self.refuses_change || !self.is_up() {
            return;
        }
        self.media.version += 1;
        self.media.codecs = match wanted.codec.can_be_decoded() {
            true => self.exchange.codecs(self.facts.peer().and_then(|peer| peer.now().codec), None),
            false => vec![wanted],
        };
        let offer = self.make_offer();
        self.line.reoffer(offer);
    }

    /// The phone did not change: the other party's is asked instead, unless that refused before.
    pub(super) fn refused_change(&mut self) {
        self.refuses_change = true;
        self.other_speaks_this();
    }

    pub(super) fn configure(&mut self, negotiated: Negotiated) {
        let coding = negotiated.spoken.codec;
        let stream = Stream {
            remote: negotiated.remote,
            rtcp: negotiated.rtcp,
            coding,
            payload: negotiated.payload,
            ptime_ms: negotiated.ptime_ms,
            telephone_event: negotiated.telephone_event,
            send: negotiated.send,
            receive: negotiated.receive,
            nat_source: self.line.signalled_from().filter(|signalled| negotiated.remote.ip() != *signalled),
            rtcp_mux: negotiated.rtcp_mux,
        };
        self.exchange.media.send(media::Command::Configure { port: self.port(), stream });
        {
            let mut now = self.facts.now();
            now.codec = Some(coding);
            now.address = Some(negotiated.remote);
            now.state = match now.state {
                LegState::Up if negotiated.held => LegState::Held,
                LegState::Held if !negotiated.held => LegState::Up,
                state => state,
            };
        }
        self.negotiated = Some(negotiated);
        self.tell_change();
        self.other_speaks_this();
    }

    /// Where the other party speaks what cannot be passed on to this phone, its phone is asked to speak as this one does.
    fn other_speaks_this(&self) {
        if let (Some(peer), Some(spoken)) = (self.facts.peer(), self.spoken()) {
            peer.should_speak(spoken.clone());
        }
    }
}

impl LegFacts {
    /// Asks the leg's phone to change to what reaches, and is reached by, one that speaks `wanted`.
    pub(in crate::call) fn should_speak(&self, wanted: Spoken) {
        let codec = self.now().codec;
        if codec.is_some_and(|codec| !codec.reaches(wanted.codec)) {
            let _ = self.orders.try_send(Order::Speak(wanted));
        }
    }

    /// Where one of two phones that are to talk speaks what the other one does not, it is asked for what can be decoded.
    pub(in crate::call) fn agrees_with(&self, other: &Self) {
        let [mine, theirs] = [self, other].map(|leg| leg.now().codec);
        let (Some(mine), Some(theirs)) = (mine, theirs) else { return };
        if !mine.reaches(theirs) {
            let sound = [mine, theirs].into_iter().find(|codec| codec.can_be_decoded()).unwrap_or(Coding::PCMU);
            self.should_speak(sound.into());
            other.should_speak(sound.into());
        }
    }

    /// With nobody to talk with it is to speak what can be decoded.
    pub(in crate::call) fn speaks_alone(&self) {
        self.should_speak(Coding::PCMU.into());
    }
}
