//! Supervision over the control socket: turns its words into `call::supervision`'s, and goes from call to call where that is asked.

use std::sync::{Arc, Weak};

use tokio::sync::{Mutex, Notify, mpsc};

use crate::{
    call::supervision::{
        self, Ended, Rights, Session, SpyError, Via, Wish, attach,
        walk::{Choice, Order, Walk, Whose},
    },
    config::Announce,
    control::{
        protocol::{Fault, FaultCode},
        server::{BoxFuture, Identity, SpyControl, SpyNews, SpySession, SpySound},
        supervision::{
            Announce as Announced, EndedBecause, Hear, Mode, Party, SpyEnd, SpyFacts, SpyRequest, SpyTarget,
        },
    },
};

use super::{
    House,
    spy_words::{fault, spy_facts, waiting},
};

/// News that may wait for a slow client.
const NEWS: usize = 32;

/// Where the calls of a session come from.
enum Calls {
    /// One leg.
    Leg,
    /// The first that is found.
    One(Walk),
    /// One after the other.
    Many(Walk),
}

/// What the client's handle and the task that goes from call to call share.
struct Shared {
    house: Weak<House>,
    /// The session with the current target.
    current: Mutex<Option<Session>>,
    /// The client wants the next call.
    next: Notify,
    goes_on: bool,
}

/// A session's handle for the control server.
struct Handle(Arc<Shared>);

impl House {
    /// Attaches a supervisor for a client of the control socket.
    pub(crate) async fn spy(self: &Arc<Self>, who: &Identity, request: SpyRequest) -> Result<SpySession, Fault> {
        let wish = self.wish(who, &request);
        let (mode, wait) = (wish.mode, request.wait);
        let mut calls = self.calls(&wish, &request.target);
        let always_waits = matches!(&calls, Calls::Many(_));
        let first = match self.first(&mut calls, &wish).await {
            Err(error) if (wait || always_waits) && may_come(&error) => None,
            other => Some(other.map_err(|error| none_found(&error, &request.target))?),
        };
        let facts = first.as_ref().map_or_else(|| waiting(mode), |(session, _)| spy_facts(self, &session.facts()));
        let (news, told) = mpsc::channel(NEWS);
        let (session, sound) = first.map_or((None, None), |(session, ears)| (Some(session), Some(ears)));
        let shared = Arc::new(Shared {
            house: Arc::downgrade(self),
            current: Mutex::new(session),
            next: Notify::new(),
            goes_on: always_waits,
        });
        let run = Run { house: self.clone(), shared: shared.clone(), wish, calls, news };
        tokio::spawn(run.run());
        let sound = sound.map(spy_sound);
        Ok(SpySession { facts, sound, control: Box::new(Handle(shared)), news: told })
    }

    fn wish(&self, who: &Identity, request: &SpyRequest) -> Wish {
        let uuid = match &request.target {
            SpyTarget::Uuid(uuid) => uuid.clone(),
            _ => String::new(),
        };
        let via = Via::Socket { account: who.account.clone(), uid: who.uid };
        Wish {
            mode: request.mode,
            to: request.to,
            hear: request.hear,
            ceiling: request.max_mode,
            groups: request.groups.clone(),
            reason: request.reason.clone(),
            announce: request.announce.map(|announce| match announce {
                Announced::None => Announce::None,
                Announced::Beep => Announce::Beep,
            }),
            ..Wish::listen(self.rights(who), via, uuid)
        }
    }

    fn rights(&self, who: &Identity) -> Rights {
        if who.admin {
            return Rights::Admin;
        }
        let settings = self.exchange.settings.load();
        let user = who.account.as_ref().and_then(|account| settings.supervision.shell_users.get(account));
        user.map_or(Rights::Nobody, |user| Rights::User(user.clone()))
    }

    fn calls(&self, wish: &Wish, target: &SpyTarget) -> Calls {
        let walk = |whose, order| {
            let choice = Choice { whose, bridged_only: true, order };
            Walk::new(&self.exchange, wish.clone(), choice)
        };
        match target {
            SpyTarget::Uuid(_) => Calls::Leg,
            SpyTarget::Exten(exten) => Calls::One(walk(Whose::Extension(exten.clone()), Order::Newest)),
            SpyTarget::User { user, follow } => {
                let name = user.split_once('@').map_or(user.as_str(), |(name, _)| name);
                let walk = walk(Whose::User(name.to_owned()), Order::Newest);
                if *follow { Calls::Many(walk) } else { Calls::One(walk) }
            }
            SpyTarget::All { order } => Calls::Many(walk(Whose::Everybody, *order)),
        }
    }

    async fn first(&self, calls: &mut Calls, wish: &Wish) -> Result<(Session, supervision::Ears), SpyError> {
        match calls {
            Calls::Leg => attach(&self.exchange, wish.clone()).await,
            Calls::One(walk) | Calls::Many(walk) => match walk.fresh() {
                Some(found) => attach(&self.exchange, walk.wish(&found)).await,
                None => {
                    // Nobody may learn who there is by the difference between no call and no right; but the attempt is on record.
                    supervision::none_found(&self.exchange, wish).await
                }
            },
        }
    }
}

/// Goes from target to target until the supervisor leaves, or there is none any more.
struct Run {
    house: Arc<House>,
    shared: Arc<Shared>,
    wish: Wish,
    calls: Calls,
    news: mpsc::Sender<SpyNews>,
}

impl Run {
    async fn run(mut self) {
        let left = self.news.clone();
        tokio::select! {
            () = self.go_on() => {}
            () = left.closed() => {}
        }
        self.shared.current.lock().await.take();
    }

    async fn go_on(&mut self) {
        loop {
            if self.shared.current.lock().await.is_none() {
                match self.find().await {
                    Ok(()) => {}
                    Err(error) => return self.tell(SpyNews::Ended(end_of(&Ended::Refused(error)))).await,
                }
            }
            let ended = self.follow().await;
            self.shared.current.lock().await.take();
            if !matches!(self.calls, Calls::Many(_)) {
                let end = ended.map_or_else(|| end_of(&Ended::Call), |end| end_of(&end));
                return self.tell(SpyNews::Ended(end)).await;
            }
            if let (Calls::Many(walk), Some(Ended::Call | Ended::Left)) = (&mut self.calls, &ended) {
                // Where no new call is, one that was heard before is better than none.
                walk.begins_round();
            }
            self.tell(SpyNews::Silence).await;
        }
    }

    /// Waits for a target, and attaches to it.
    async fn find(&mut self) -> Result<(), SpyError> {
        self.tell(SpyNews::Facts(waiting(self.wish.mode).into())).await;
        let mut changes = self.house.exchange.live.changes();
        loop {
            let wish = match &mut self.calls {
                Calls::Leg => self.wish.clone(),
                Calls::One(walk) | Calls::Many(walk) => {
                    let found = tokio::select! {
                        found = walk.wait() => found,
                        // Those that were heard before are wanted again.
                        () = self.shared.next.notified() => {
                            walk.begins_round();
                            continue;
                        }
                    };
                    walk.wish(&found)
                }
            };
            changes.mark_unchanged();
            match attach(&self.house.exchange, wish).await {
                Ok((session, ears)) => {
                    self.tell(SpyNews::Sound(spy_sound(ears))).await;
                    self.tell(SpyNews::Facts(spy_facts(&self.house, &session.facts()).into())).await;
                    *self.shared.current.lock().await = Some(session);
                    return Ok(());
                }
                Err(error) if matches!(self.calls, Calls::Leg) && error.may_pass() => {
                    let _ = changes.changed().await;
                }
                Err(error) if matches!(self.calls, Calls::Leg) || matches!(error, SpyError::Log(_)) => {
                    return Err(error);
                }
                // That one cannot be heard, or is over: another will come.
                Err(_) => {}
            }
        }
    }

    /// Tells what changes until the session with this target is over, or the next one is wanted.
    async fn follow(&mut self) -> Option<Ended> {
        let mut news = self.shared.current.lock().await.as_ref()?.news();
        let mut last = news.borrow().facts.clone();
        loop {
            let now = news.borrow_and_update().clone();
            if let Some(end) = now.ended {
                return Some(end.why);
            }
            if *now.facts != *last {
                last = now.facts;
                self.tell(SpyNews::Facts(spy_facts(&self.house, &last).into())).await;
            }
            tokio::select! {
                changed = news.changed() => {
                    changed.ok()?;
                }
                () = self.shared.next.notified(), if self.shared.goes_on => {
                    if let Calls::Many(walk) = &mut self.calls {
                        walk.begins_round();
                    }
                    return None;
                }
            }
        }
    }

    async fn tell(&self, news: SpyNews) {
        // A client that has left needs no news.
        let _ = self.news.send(news).await;
    }
}

impl SpyControl for Handle {
    fn set_mode(&self, mode: Mode, to: Option<Party>) -> BoxFuture<'_, Result<SpyFacts, Fault>> {
        Box::pin(async move {
            let current = self.0.current.lock().await;
            let session = current.as_ref().ok_or_else(nobody_yet)?;
            let facts = session.set_mode(mode, to).await.map_err(|error| fault(&error))?;
            self.0.facts(&facts)
        })
    }

    fn set_hear(&self, hear: Hear) -> BoxFuture<'_, Result<SpyFacts, Fault>> {
        Box::pin(async move {
            let current = self.0.current.lock().await;
            let session = current.as_ref().ok_or_else(nobody_yet)?;
            let facts = session.set_hear(hear).await.map_err(|error| fault(&error))?;
            self.0.facts(&facts)
        })
    }

    fn next(&self) -> BoxFuture<'_, Result<SpyFacts, Fault>> {
        Box::pin(async move {
            if !self.0.goes_on {
                return Err(Fault::new(FaultCode::Usage, "this session is for one call")
                    .hint("`spy --all` goes from call to call"));
            }
            self.0.next.notify_one();
            let current = self.0.current.lock().await;
            match current.as_ref() {
                Some(session) => self.0.facts(&session.facts()),
                None => Err(nobody_yet()),
            }
        })
    }
}

impl Shared {
    fn facts(&self, facts: &supervision::Facts) -> Result<SpyFacts, Fault> {
        let house = self.house.upgrade().ok_or_else(|| Fault::new(FaultCode::Unreachable, "the server stops"))?;
        Ok(spy_facts(&house, facts))
    }
}

fn spy_sound(ears: supervision::Ears) -> SpySound {
    SpySound { frames: ears.frames, voice: ears.voice }
}

fn nobody_yet() -> Fault {
    Fault::new(FaultCode::TryAgain, "there is no call to listen to yet")
}

fn end_of(ended: &Ended) -> SpyEnd {
    match ended {
        Ended::Call | Ended::Left => SpyEnd { why: EndedBecause::CallEnded, message: "the call ended".into() },
        Ended::Refused(SpyError::Ended | SpyError::NoSuchCall(_)) => {
            SpyEnd { why: EndedBecause::CallEnded, message: "the call ended".into() }
        }
        Ended::Refused(error) => SpyEnd { why: EndedBecause::Denied, message: error.to_string() },
    }
}

/// There may be such a call later.
fn may_come(error: &SpyError) -> bool {
    error.may_pass() || matches!(error, SpyError::NobodyThere)
}

/// In the words of what was asked for.
fn none_found(error: &SpyError, target: &SpyTarget) -> Fault {
    let whose = match target {
        SpyTarget::Exten(exten) => format!("extension {exten}"),
        SpyTarget::User { user, .. } => format!("user {user}"),
        _ => return fault(error),
    };
    match error {
        SpyError::NobodyThere => {
            Fault::new(FaultCode::NotFound, format!("{whose} is in no call that you may listen to"))
                .hint("--wait waits for one; `pbx calls` lists the live ones")
        }
        other => fault(other),
    }
}
