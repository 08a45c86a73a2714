//! A supervisor's phone: hears and speaks through a session, and waits for keys and changes at once.
//! Above: `eavesdrop`, `userspy`, `ChanSpy` and the star codes. Below: `session`, and the media thread that joins the two.

use std::sync::Arc;

use tokio::time::Instant;

use crate::{
    call::{
        channel::{Channel, Gone, next_play_id},
        exchange::Exchange,
        live::Way,
        supervision::{
            refused::SpyError,
            session::{Ears, News, Session},
            state::Where,
            wish::{Phone, Rights, Via},
        },
    },
    media::{Command, Source},
};

/// What a supervisor's phone waits for.
#[derive(Clone, Debug)]
pub enum Supervised {
    /// He pressed a key: by RFC 4733, by INFO, as a tone, or queued; none of them is heard by anybody.
    Key(char),
    /// The call goes on in a codec that cannot be decoded: nobody is heard until it is another.
    Unheard(SpyError),
    /// The session is different: other parties, another mode, or over.
    News(News),
    /// The time given is over.
    Time,
}

/// Marks a phone as a supervisor's while it lives: nobody goes to it when going from call to call, nobody listens to it.
pub struct Supervising {
    exchange: Arc<Exchange>,
    leg: String,
}

impl Drop for Supervising {
    fn drop(&mut self) {
        self.exchange.spies.no_phone(&self.leg);
    }
}

impl Channel {
    /// This phone, as the log names it.
    pub fn as_supervisor(&self) -> Phone {
        Phone { leg: self.uuid().to_owned(), channel: self.name().to_owned() }
    }

    /// By which way this phone supervises: the code it dialled, an application of the dialplan, or of a call that the
    /// server made to it.
    pub fn supervises_by(&self, application: &'static str) -> Via {
        let phone = self.as_supervisor();
        if let Some((code, _)) = &self.about().code {
            return Via::Code { phone, code: code.clone() };
        }
        match self.leg.facts.way {
            Way::In => Via::Dialplan { phone, application },
            Way::Out => Via::Originate { phone, application },
        }
    }

    /// The rights of whoever uses this phone: those of its user.
    pub fn spy_rights(&self) -> Rights {
        self.leg.facts.user.clone().map_or(Rights::Nobody, Rights::User)
    }

    /// From now on this is a supervisor's phone, whether or not it hears anything yet, until what is returned is dropped.
    pub fn begins_supervising(&self) -> Supervising {
        self.exchange.spies.phone(self.uuid());
        Supervising { exchange: self.exchange.clone(), leg: self.uuid().to_owned() }
    }

    /// The phone hears and speaks through a session until that is dropped, or another takes its place.
    pub fn hears_through(&self, session: &mut Session, ears: Ears) {
        let port = self.leg.port();
        session.phone = Some(port);
        self.exchange.spies.hears(port, session.id());
        self.exchange.media.send(Command::Supervise { port, heard: ears.frames, voice: ears.voice });
    }

    /// How loud the phone hears what it supervises: -4 to 4, in Asterisk's steps.
    pub fn set_spy_volume(&self, steps: i8) {
        self.exchange.media.send(Command::SetVolume { port: self.leg.port(), steps });
    }

    /// Plays something to this phone alone, over what it hears.
    pub fn play_over(&self, source: Source) {
        self.exchange.media.send(Command::PlayOver { port: self.leg.port(), id: next_play_id(), source });
    }

    /// Waits for a key, a change of the session, or a moment; whatever is there first. A session that is over is told once.
    ///
    /// # Errors
    /// The phone has hung up.
    pub async fn supervise(&mut self, session: &mut Session, until: Option<Instant>) -> Result<Supervised, Gone> {
        loop {
            if let Some(key) = self.digits.pop_front() {
                return Ok(Supervised::Key(key));
            }
            tokio::select! {
                biased;
                news = session.changed() => return Ok(session.told(news)),
                event = self.next_event(until) => {
                    if event?.is_none() {
                        return Ok(Supervised::Time);
                    }
                }
            }
        }
    }

    /// The same without a session: while there is nobody to hear, until `there_is` comes true.
    ///
    /// # Errors
    /// The phone has hung up.
    pub async fn supervise_nobody<T>(&mut self, there_is: impl Future<Output = T>) -> Result<Idle<T>, Gone> {
        let mut there_is = std::pin::pin!(there_is);
        loop {
            if let Some(key) = self.digits.pop_front() {
                return Ok(Idle::Key(key));
            }
            tokio::select! {
                biased;
                done = &mut there_is => return Ok(Idle::Done(done)),
                event = self.next_event(None) => {
                    event?;
                }
            }
        }
    }
}

impl Session {
    /// What news are to the supervisor's phone; that nobody is heard any more, once each time.
    fn told(&mut self, news: News) -> Supervised {
        let unheard = match news.facts.place {
            Where::Undecodable(codec) if news.ended.is_none() => Some(codec),
            _ => None,
        };
        let was_unheard = std::mem::replace(&mut self.unheard, unheard.is_some());
        match unheard.filter(|_| !was_unheard) {
            Some(codec) => Supervised::Unheard(SpyError::Codec {
                uuid: news.facts.target.uuid.clone(),
                codec: codec.word().into(),
            }),
            None => Supervised::News(news),
        }
    }
}

/// What a supervisor's phone waits for while it hears nobody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Idle<T> {
    /// He pressed a key.
    Key(char),
    /// What was waited for.
    Done(T),
}
