//! A supervisor's session: how it begins, how its holder changes it, how it ends. Dropping it ends it.
//! Above: every way in. Below: `state` keeps it, `follow` keeps up with the target, `record` puts everything on the disk first.

use std::sync::Arc;

use tokio::sync::watch;

use crate::{
    call::{
        exchange::Exchange,
        supervision::{
            follow::follow,
            judge,
            parties::{Pair, Place},
            permission::{Mode, Refusal},
            record,
            refused::SpyError,
            state::{Core, Facts, State},
            tap::{self, Tap},
            wish::{Hear, Party, Wish},
        },
    },
    media::{Command, EarFrame, PortId},
};

/// Why a session is over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ended {
    /// The target's leg is over.
    Call,
    /// It may not go on: no right any more, an exempt party, no record.
    Refused(SpyError),
    /// The supervisor left.
    Left,
}

/// The end of a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct End {
    /// The class.
    pub why: Ended,
    /// One line for people and for the log.
    pub message: String,
}

impl End {
    pub(super) fn new(why: Ended) -> Self {
        let message = match &why {
            Ended::Call => "the call ended".to_owned(),
            Ended::Refused(error) => error.to_string(),
            Ended::Left => "the supervisor left".to_owned(),
        };
        Self { why, message }
    }
}

/// What a session's holder is told.
#[derive(Clone, Debug)]
pub struct News {
    /// What is in force.
    pub facts: Arc<Facts>,
    /// It is over.
    pub ended: Option<End>,
}

/// The supervisor's ends of the audio: a frame each 20 ms, as long as the session lasts.
pub struct Ears {
    /// What is heard: 160 samples of A, 160 of B, 160 of the other supervisors, 8 kHz.
    pub frames: rtrb::Consumer<EarFrame>,
    /// What the supervisor says: 160 samples at 8 kHz.
    pub voice: rtrb::Producer<[i16; 160]>,
}

/// A running supervision; dropping it ends it.
pub struct Session {
    core: Arc<Core>,
    news: watch::Receiver<News>,
    /// The supervisor's phone, once it hears through this session.
    pub(super) phone: Option<PortId>,
    /// The phone was told that nobody can be heard for now.
    pub(super) unheard: bool,
}

/// Puts a supervisor on a leg: when this returns it is on record, and he hears.
///
/// # Errors
/// Not possible or not allowed; the attempt is on record.
pub async fn attach(exchange: &Arc<Exchange>, wish: Wish) -> Result<(Session, Ears), SpyError> {
    let id = uuid::Uuid::new_v4().to_string();
    let begun = begin(exchange, &id, &wish).await;
    if let Err(error) = &begun {
        record::refused(exchange, &id, &wish, wish.mode, error).await;
    }
    begun
}

/// There was nobody whom `wish` could be attached to: the attempt is on record, and this is the refusal.
///
/// # Errors
/// Always.
pub async fn none_found<T>(exchange: &Exchange, wish: &Wish) -> Result<T, SpyError> {
    refuse(exchange, wish, SpyError::NobodyThere).await
}

/// A wish that a way in refuses by itself: the attempt is on record, and this is the refusal.
///
/// # Errors
/// Always.
pub async fn refuse<T>(exchange: &Exchange, wish: &Wish, error: SpyError) -> Result<T, SpyError> {
    let id = uuid::Uuid::new_v4().to_string();
    record::refused(exchange, &id, wish, wish.mode, &error).await;
    Err(error)
}

/// Whether `wish` could be granted with anybody, or with any call of a user: asked before it waits for such a call.
///
/// # Errors
/// It never could, as things stand; the attempt is on record.
pub async fn may_ever(exchange: &Exchange, wish: &Wish, user: Option<&str>) -> Result<(), SpyError> {
    match judge::ever(exchange, wish, user) {
        Ok(()) => Ok(()),
        Err(refused) => refuse(exchange, wish, refused.into()).await,
    }
}

async fn begin(exchange: &Arc<Exchange>, id: &str, wish: &Wish) -> Result<(Session, Ears), SpyError> {
    let uuid = wish.uuid.to_ascii_lowercase();
    let (_, target) = exchange.live.find(&uuid).ok_or_else(|| SpyError::NoSuchCall(uuid.clone()))?;
    let pair = Place::of(&target).pair(&uuid)?;
    judge::possible(exchange, wish, &pair)?;
    judge::audible(wish, &pair)?;
    let allowed = judge::allowed(exchange, wish, &pair)?;
    if let Some(party) = wish.hear.only() {
        pair.find(party)?;
    }
    let to = listener(&pair, (wish.mode, wish.to), allowed)?;
    is_free(exchange, &pair, wish.mode, id)?;
    record::started(exchange, id, wish, &pair, &to).await?;
    // From here on there is an entry that the session began, so there will be one that it ended.
    let (tap, (frames, voice), told) = Tap::open(&exchange.media);
    let state = State::new(exchange, wish, &pair, to);
    let core = Arc::new(Core::new(exchange, id.to_owned(), wish.clone(), (tap, state)));
    exchange.spies.begins(&core);
    let mut session = Session { news: core.news.subscribe(), core: core.clone(), phone: None, unheard: false };
    core.settle_on_record().await;
    let ended = session.news.borrow_and_update().ended.clone();
    match ended.map(|end| end.why) {
        Some(Ended::Refused(error)) => return Err(error),
        Some(_) => return Err(SpyError::Ended),
        None => {}
    }
    tokio::spawn(follow(core, told));
    Ok((session, Ears { frames, voice }))
}

/// The leg that hears a whisper, and whether `mode` may be had with this pair.
fn listener(pair: &Pair, (mode, to): (Mode, Option<Party>), allowed: Mode) -> Result<String, SpyError> {
    let side = pair.find(to.unwrap_or(Party::Target))?;
    let leg = pair.on(side);
    let whispered = (mode == Mode::Whisper).then_some(side);
    judge::permit(pair, mode, whispered, allowed)?;
    let lacks_party = match mode {
        Mode::Listen | Mode::Barge => false,
        Mode::Whisper => leg.is_none(),
        Mode::Takeover => pair.peer.is_none(),
    };
    if lacks_party {
        return Err(SpyError::NotConnected(pair.target.uuid.clone()));
    }
    Ok(leg.unwrap_or(&pair.target).uuid.clone())
}

/// To take over, nobody else than `session` may have taken the agent's place already.
fn is_free(exchange: &Exchange, pair: &Pair, mode: Mode, session: &str) -> Result<(), SpyError> {
    let place = pair.on(pair.replaced()).filter(|_| mode == Mode::Takeover);
    if place.is_some_and(|leg| exchange.spies.is_replaced(&leg.uuid, session)) {
        return Err(SpyError::TakenOver(pair.target.uuid.clone()));
    }
    Ok(())
}

impl Session {
    /// What is in force.
    pub fn facts(&self) -> Arc<Facts> {
        self.core.facts()
    }

    /// Its UUID.
    pub fn id(&self) -> &str {
        &self.core.id
    }

    /// What is in force, and each change: other parties, another mode, the end.
    pub fn news(&self) -> watch::Receiver<News> {
        self.core.news.subscribe()
    }

    /// Waits for the next change; what is in force then.
    pub async fn changed(&mut self) -> News {
        // The sender lives in the core that this holds.
        let _ = self.news.changed().await;
        self.news.borrow_and_update().clone()
    }

    /// Changes mode and the party that hears a whisper (absent: the target). The rights are asked again (S070, S090), and it is on
    /// record before it happens.
    ///
    /// # Errors
    /// The mode is not allowed, the call ended, or the party is not clear; nothing is changed then.
    pub async fn set_mode(&self, mode: Mode, to: Option<Party>) -> Result<Arc<Facts>, SpyError> {
        let changed = self.try_mode(mode, to).await;
        if let Err(error) = &changed {
            record::refused(&self.core.exchange, &self.core.id, &self.core.wish, mode, error).await;
        }
        changed
    }

    async fn try_mode(&self, mode: Mode, to: Option<Party>) -> Result<Arc<Facts>, SpyError> {
        let core = &self.core;
        let _one = core.changing.lock().await;
        let (pair, to) = self.weigh(mode, to)?;
        let (before, hear) = {
            let state = core.lock();
            (state.mode, state.hear)
        };
        let sides = tap::sides(&pair, mode, pair.side_of(&to), hear);
        // To be heard by nobody waits for no disk; but who took the agent's place hears more without it.
        let only_takes_away = mode == Mode::Listen && before != Mode::Takeover;
        let change = record::Change { pair: &pair, mode, sides, why: "asked for" };
        if !only_takes_away {
            record::changes(core, &change).await?;
        }
        // Parties and rights may be others by now: what is settled is weighed anew.
        {
            let mut state = core.lock();
            let still = state.pair_now().is_some_and(|now| now.ports() == pair.ports());
            if !still {
                return Err(SpyError::Ended);
            }
            state.mode = mode;
            state.to = to;
        }
        core.settle();
        if only_takes_away {
            record::changes_anyway(core, &change).await;
        }
        core.nudge.notify_one();
        let facts = core.facts();
        if facts.mode == mode {
            Ok(facts)
        } else {
            Err(Refusal::Level { wanted: mode, granted: Some(facts.allowed) }.into())
        }
    }

    /// The pair that a new mode would be for, and the leg that would hear a whisper.
    fn weigh(&self, mode: Mode, to: Option<Party>) -> Result<(Pair, String), SpyError> {
        let core = &self.core;
        let target = {
            let state = core.lock();
            if state.is_over {
                return Err(SpyError::Ended);
            }
            state.target.clone()
        };
        let pair = Place::of(&target).pair(&target.uuid)?;
        judge::possible(&core.exchange, &core.wish, &pair)?;
        if mode != Mode::Listen {
            judge::audible(&core.wish, &pair)?;
        }
        let allowed = judge::allowed(&core.exchange, &core.wish, &pair)?;
        let to = listener(&pair, (mode, to), allowed)?;
        is_free(&core.exchange, &pair, mode, &core.id)?;
        Ok((pair, to))
    }

    /// Hears other parties.
    ///
    /// # Errors
    /// The session is over, or agent and customer are not clear.
    pub async fn set_hear(&self, hear: Hear) -> Result<Arc<Facts>, SpyError> {
        let core = &self.core;
        let _one = core.changing.lock().await;
        let (pair, (mode, to)) = {
            let state = core.lock();
            (state.pair_now().filter(|_| !state.is_over).ok_or(SpyError::Ended)?, (state.mode, state.to.clone()))
        };
        if let Some(party) = hear.only() {
            pair.find(party)?;
        }
        let sides = tap::sides(&pair, mode, pair.side_of(&to), hear);
        record::changes(core, &record::Change { pair: &pair, mode, sides, why: "asked for" }).await?;
        core.lock().hear = hear;
        core.settle();
        core.nudge.notify_one();
        Ok(core.facts())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(port) = self.phone
            && self.core.exchange.spies.stops_hearing(port, &self.core.id)
        {
            self.core.exchange.media.send(Command::StopSupervising { port });
        }
        self.core.end(Ended::Left);
    }
}
