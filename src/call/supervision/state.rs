//! A session as it stands: where its tap is, who hears whom, and how both follow the target.
//! Above: `session` changes it, `follow` and the bridge let it settle anew. Below: `judge`, `parties`, `tap`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use crate::{
    audio::codec::Coding,
    call::{
        exchange::Exchange,
        holding::Holder,
        live::LegFacts,
        supervision::{
            announce, judge,
            parties::{Pair, PartyFacts, Place},
            permission::Mode,
            refused::SpyError,
            session::News,
            tap::{self, Tap},
            wish::{Hear, Wish},
        },
        talks::Side,
    },
    media::Sides,
};

/// Where a session's target is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Where {
    /// Talking with another party.
    Call,
    /// Answered, and with nobody: only it is heard.
    Alone,
    /// In a conference room: nobody is heard.
    Room(String),
    /// Where it may not be heard, for now.
    Apart,
    /// A party's codec cannot be decoded here: nobody is heard until it is another.
    Undecodable(Coding),
}

/// What is in force.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Facts {
    /// The session's own UUID.
    pub session: String,
    /// The call's: that of its calling leg.
    pub call: String,
    /// The party the UUID belongs to.
    pub target: PartyFacts,
    /// The other half, if there is one.
    pub peer: Option<PartyFacts>,
    /// Where the target is.
    pub place: Where,
    /// The mode.
    pub mode: Mode,
    /// The side that hears, or would hear, a whisper.
    pub to: Side,
    /// Who was asked to be heard.
    pub hear: Hear,
    /// Who is heard now.
    pub hears: Sides,
    /// Who hears the supervisor now.
    pub talks: Sides,
    /// The highest right: up to barge.
    pub allowed: Mode,
}

/// What changes of a session.
pub(super) struct State {
    pub(super) target: Arc<LegFacts>,
    pub(super) mode: Mode,
    /// The UUID of the leg whose party hears a whisper: a person, whatever side he comes to be on.
    pub(super) to: String,
    pub(super) hear: Hear,
    pub(super) allowed: Mode,
    /// Where the tap is.
    on: Option<Pair>,
    sides: (Sides, Sides),
    /// Whose place is taken.
    held: Option<Arc<LegFacts>>,
    /// Legs that are on record as listened to in this session.
    known: Vec<String>,
    /// Legs that were told.
    announced: Vec<String>,
    /// Changes that came by themselves and are not on record yet: why.
    pub(super) unrecorded: Vec<&'static str>,
    pub(super) is_over: bool,
}

impl State {
    pub(super) fn new(exchange: &Exchange, wish: &Wish, pair: &Pair, to: String) -> Self {
        Self {
            target: pair.target.clone(),
            mode: wish.mode,
            to,
            hear: wish.hear,
            allowed: wish.mode.min(Mode::Barge),
            on: None,
            sides: (Sides::NONE, Sides::NONE),
            held: None,
            known: pair.everybody(&exchange.live).iter().map(|leg| leg.uuid.clone()).collect(),
            announced: Vec::new(),
            unrecorded: Vec::new(),
            is_over: false,
        }
    }

    /// The party that is now on record.
    pub(super) fn knows(&mut self, leg: &LegFacts) {
        self.known.push(leg.uuid.clone());
    }

    /// Who would be heard, and who would hear the supervisor, on a pair.
    pub(super) fn sides_on(&self, pair: &Pair) -> (Sides, Sides) {
        tap::sides(pair, self.mode, pair.side_of(&self.to), self.hear)
    }

    /// The pair the tap is on.
    pub(super) fn on(&self) -> Option<&Pair> {
        self.on.as_ref()
    }

    /// Whoever's place is taken.
    pub(super) fn held(&self) -> Option<&Arc<LegFacts>> {
        self.held.as_ref()
    }

    /// The mode is lowered to listening, which is to go on record.
    pub(super) fn only_listens(&mut self, why: &'static str) {
        self.mode = Mode::Listen;
        self.unrecorded.push(why);
    }
}

/// What all holders of a session share.
pub(super) struct Core {
    pub(super) exchange: Arc<Exchange>,
    pub(super) id: String,
    pub(super) wish: Wish,
    pub(super) began: jiff::Timestamp,
    pub(super) tap: Tap,
    state: Mutex<State>,
    /// One change at a time, as long as it takes to put it on record.
    pub(super) changing: tokio::sync::Mutex<()>,
    /// Wakes the task that follows.
    pub(super) nudge: Notify,
    pub(super) news: watch::Sender<News>,
}

/// What came of settling.
pub(super) enum Settled {
    /// The tap is where it belongs.
    Done,
    /// The target talks with somebody who is not on record yet: nobody is heard until he is.
    Unrecorded(Pair),
    /// It may not go on.
    Refused(SpyError),
    /// The target's leg has ended.
    Over,
}

impl Core {
    pub(super) fn new(exchange: &Arc<Exchange>, id: String, wish: Wish, (tap, state): (Tap, State)) -> Self {
        let facts = facts(exchange, &id, &state, &Place::of(&state.target));
        Self {
            exchange: exchange.clone(),
            id,
            wish,
            began: jiff::Timestamp::now(),
            tap,
            state: Mutex::new(state),
            changing: tokio::sync::Mutex::default(),
            nudge: Notify::new(),
            news: watch::Sender::new(News { facts: Arc::new(facts), ended: None }),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Whole between any two statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is in force.
    pub(super) fn facts(&self) -> Arc<Facts> {
        self.news.borrow().facts.clone()
    }

    /// Takes the tap off every leg, until it is settled anew.
    pub(super) fn let_go(&self) {
        self.put(&mut self.lock(), None);
    }

    /// The tap is, or may be, on one of these legs, or follows one.
    pub(super) fn concerns(&self, legs: &[&Arc<LegFacts>]) -> bool {
        let state = self.lock();
        let is_one = |leg: &Arc<LegFacts>| legs.iter().any(|other| Arc::ptr_eq(other, leg));
        is_one(&state.target) || state.on.as_ref().is_some_and(|pair| pair.legs().any(is_one))
    }

    /// Puts the tap where the target is now, as far as rights and record allow; at once, without waiting for anything.
    pub(super) fn settle(&self) -> Settled {
        let mut state = self.lock();
        if state.is_over {
            return Settled::Over;
        }
        let place = Place::of(&state.target);
        let settled = match &place {
            Place::There(pair) => self.settle_on(&mut state, pair),
            Place::Early | Place::Room(_) => {
                self.put(&mut state, None);
                Settled::Done
            }
            Place::Over => {
                self.put(&mut state, None);
                return Settled::Over;
            }
        };
        let facts = facts(&self.exchange, &self.id, &state, &place);
        drop(state);
        let is_new = self.news.send_if_modified(|news| {
            let is_new = *news.facts != facts;
            if is_new {
                news.facts = Arc::new(facts);
            }
            is_new
        });
        if is_new {
            self.exchange.spies.note_change();
        }
        settled
    }

    fn settle_on(&self, state: &mut State, pair: &Pair) -> Settled {
        let allowed = judge::possible(&self.exchange, &self.wish, pair)
            .and_then(|()| Ok(judge::allowed(&self.exchange, &self.wish, pair)?));
        let allowed = match allowed {
            Ok(allowed) => allowed,
            Err(refused) => {
                self.put(state, None);
                // A party without the other may lack the group that the other one brought, and brings again.
                let may_pass = pair.peer.is_none() && refused.is_group();
                return if may_pass { Settled::Done } else { Settled::Refused(refused) };
            }
        };
        if pair.everybody(&self.exchange.live).iter().any(|leg| !state.known.contains(&leg.uuid)) {
            self.put(state, None);
            return Settled::Unrecorded(pair.clone());
        }
        state.allowed = allowed;
        if pair.undecodable().is_some() {
            // The call is not the worse for it, and may come back to what can be heard.
            self.put(state, None);
            return Settled::Done;
        }
        let to = pair.side_of(&state.to).filter(|_| state.mode == Mode::Whisper);
        match (state.mode, &pair.peer) {
            (mode, _) if mode != Mode::Listen && judge::permit(pair, mode, to, allowed).is_err() => {
                state.only_listens("the right to more was taken away");
            }
            (Mode::Whisper, Some(_)) if to.is_none() => {
                state.only_listens("the party that was whispered to has left the call");
            }
            (Mode::Takeover, None) => state.only_listens("there is nobody left to talk with"),
            _ => {}
        }
        self.put(state, Some(pair.clone()));
        Settled::Done
    }

    /// Puts the tap on a pair, or on nothing, with everything that follows from it. Nobody new hears anything from before.
    fn put(&self, state: &mut State, pair: Option<Pair>) {
        let ports = |pair: &Option<Pair>| pair.as_ref().map_or([None, None], Pair::ports);
        let sides = pair.as_ref().map_or((Sides::NONE, Sides::NONE), |pair| state.sides_on(pair));
        let moves = ports(&state.on) != ports(&pair);
        if moves {
            if state.sides != sides {
                self.tap.set((Sides::NONE, Sides::NONE));
                state.sides = (Sides::NONE, Sides::NONE);
            }
            self.tap.go(ports(&pair));
        }
        if state.sides != sides {
            self.tap.set(sides);
        }
        state.sides = sides;
        let held = pair.as_ref().filter(|_| state.mode == Mode::Takeover).and_then(|pair| pair.on(pair.replaced()));
        self.hold(&mut state.held, held);
        for leg in pair.iter().flat_map(|pair| announce::hearers(&self.exchange, &self.wish, pair)) {
            if !state.announced.contains(&leg.uuid) {
                announce::beep(&self.exchange, leg);
                state.announced.push(leg.uuid.clone());
            }
        }
        state.on = pair;
    }

    fn hold(&self, held: &mut Option<Arc<LegFacts>>, wanted: Option<&Arc<LegFacts>>) {
        if held.as_ref().map(|leg| leg.port) == wanted.map(|leg| leg.port) {
            return;
        }
        if let Some(leg) = held.take() {
            self.exchange.unhold(&leg, Holder::Supervisor);
        }
        if let Some(leg) = wanted {
            self.exchange.hold(leg, Holder::Supervisor);
        }
        *held = wanted.cloned();
    }

    /// The session is over: nobody is heard or held any more. False when it was over before.
    pub(super) fn finish(&self) -> bool {
        let mut state = self.lock();
        if state.is_over {
            return false;
        }
        self.put(&mut state, None);
        state.is_over = true;
        true
    }
}

/// A session as its supervisor is told.
fn facts(exchange: &Exchange, id: &str, state: &State, place: &Place) -> Facts {
    let lonely = Pair { target: state.target.clone(), side: Side::A, peer: None };
    let undecodable = |pair: &Pair| pair.undecodable().map_or(Where::Apart, Where::Undecodable);
    let (pair, place) = match place {
        Place::There(pair) if state.on.is_none() => (pair, undecodable(pair)),
        Place::There(pair) if pair.peer.is_none() => (pair, Where::Alone),
        Place::There(pair) => (pair, Where::Call),
        Place::Room(room) => (&lonely, Where::Room(room.clone())),
        Place::Early | Place::Over => (&lonely, Where::Apart),
    };
    let unknown = || PartyFacts {
        side: pair.side,
        uuid: state.target.uuid.clone(),
        user: None,
        number: String::new(),
        is_agent: None,
        is_held: false,
    };
    // Whoever may not be heard is not named either (S058).
    let peer = state.on.as_ref().and_then(|on| on.facts(on.side.other()));
    let call = exchange.live.find(&state.target.uuid).map(|(call, _)| call.uuid.clone());
    Facts {
        session: id.to_owned(),
        call: call.unwrap_or_else(|| state.target.uuid.clone()),
        target: pair.facts(pair.side).unwrap_or_else(unknown),
        peer,
        place,
        mode: state.mode,
        to: pair.side_of(&state.to).unwrap_or(pair.side),
        hear: state.hear,
        hears: state.sides.0,
        talks: state.sides.1,
        allowed: state.allowed,
    }
}
