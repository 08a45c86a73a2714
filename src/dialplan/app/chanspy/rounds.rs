//! From channel to channel: whom a supervisor hears next, what he is told before, and waiting while there is nobody.
//! Above: `chanspy`. Below: `call::supervision::walk`, `keys`.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::keys::{Keys, Left, Pressed, hear};
use super::options::Options;
use crate::call::recording::{self, By, RecordingHandle};
use crate::call::supervision::walk::{Candidate, Choice, Order, Walk, Whose, meant};
use crate::call::supervision::{End, Ended, Idle, SpyError, Wish, attach, may_ever, none_found, refuse};
use crate::call::talks::Talks;
use crate::call::{Channel, Gone};
use crate::dialplan::app::Next;
use crate::dialplan::args::Args;
use crate::dialplan::recorded::{self, ENDING};
use crate::dialplan::{keypad, say, supervise};
use crate::media::Source;

/// The result of a supervision that the supervisor left, or that ended with the call; others are the codes of refusals.
const RESULT: &str = "CHANSPY_RESULT";

/// Who is wanted.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) whose: Whose,
    /// The call must have been dialled in this context.
    pub(super) context: Option<String>,
    /// What digits and # stand for: channels of this technology, or an extension.
    pub(super) technology: Option<String>,
    pub(super) options: Options,
}

/// A supervisor's way through the channels.
struct Rounds {
    wanted: Wanted,
    walk: Walk,
    wish: Wish,
    /// Somebody was heard in this round: one of failures alone is not repeated.
    has_heard: bool,
}

/// Goes from channel to channel until the options, the supervisor or his rights end it.
///
/// # Errors
/// The phone has hung up.
pub(super) async fn go(chan: &mut Channel, args: &Args<'_>, (wanted, wish): (Wanted, Wish)) -> Result<Next, Gone> {
    let exchange = chan.exchange().clone();
    let wish = wanted.options.applied(wish);
    if let Err(error) = may_ever(&exchange, &wish, None).await {
        return refused(chan, args, &error).await;
    }
    let bridged_only = wanted.options.has('b');
    let choice = Choice { whose: wanted.whose.clone(), bridged_only, order: Order::Newest };
    let mut keys = Keys::new(&wanted.options);
    let mut rounds = Rounds { walk: Walk::new(&exchange, wish.clone(), choice), wanted, wish, has_heard: false };
    let mut is_told = false;
    loop {
        let left = match rounds.next() {
            Some(next) => {
                is_told = true;
                rounds.visit(chan, args, (&next, &mut keys)).await?
            }
            None => {
                if !std::mem::replace(&mut is_told, true) {
                    rounds.tell_why(chan, args).await?;
                }
                if rounds.wanted.options.has('S') {
                    return Ok(Next::Continue);
                }
                rounds.wait(chan, args, &mut keys).await?
            }
        };
        match left {
            Left::Ended if rounds.wanted.options.has('E') => return done(chan, "ended"),
            Left::ToNext | Left::Ended => {}
            Left::Typed(digits) => {
                is_told = false;
                rounds.turns_to(digits);
            }
            Left::Leaves => return done(chan, "left"),
            Left::Exits(key) => {
                let context = chan.var("SPY_EXIT_CONTEXT").filter(|name| !name.is_empty()).map(str::to_owned);
                let context = context.unwrap_or_else(|| keypad::context(chan));
                chan.set_var(RESULT, "left");
                return Ok(keypad::go_to(&context, key.to_string()));
            }
        }
    }
}

impl Rounds {
    /// The next channel; after the last one the first again, if somebody was heard meanwhile.
    fn next(&mut self) -> Option<Candidate> {
        if let Some(fresh) = self.fresh() {
            return Some(fresh);
        }
        if !std::mem::take(&mut self.has_heard) {
            return None;
        }
        self.walk.begins_round();
        self.fresh()
    }

    fn fresh(&mut self) -> Option<Candidate> {
        while let Some(candidate) = self.walk.fresh() {
            if self.is_wanted(&candidate) {
                return Some(candidate);
            }
        }
        None
    }

    fn is_wanted(&self, candidate: &Candidate) -> bool {
        let enforced = &self.wanted.options.enforced;
        let name = candidate.leg.name.rsplit_once('-').map_or(candidate.leg.name.as_str(), |(name, _)| name);
        let bare = name.split_once('/').map_or(name, |(_, bare)| bare);
        let is_one = |one: &String| one.eq_ignore_ascii_case(name) || one.eq_ignore_ascii_case(bare);
        let context = self.wanted.context.as_ref();
        (enforced.is_empty() || enforced.iter().any(is_one))
            && context.is_none_or(|name| *name == candidate.call.context)
    }

    /// Digits and # name other channels.
    fn turns_to(&mut self, digits: String) {
        let whose = match &self.wanted.technology {
            Some(technology) => Whose::Prefixes(vec![format!("{technology}/{digits}-")]),
            None => Whose::Extension(digits),
        };
        self.wanted.whose = whose.clone();
        self.walk.chooses(whose);
    }

    /// Says who it is, and hears him.
    async fn visit(
        &mut self,
        chan: &mut Channel,
        args: &Args<'_>,
        (next, keys): (&Candidate, &mut Keys),
    ) -> Result<Left, Gone> {
        if let Some(key) = announce(chan, args, (next, &self.wanted.options)).await? {
            chan.unread_digit(key);
        }
        let exchange = chan.exchange().clone();
        let session = match attach(&exchange, self.walk.wish(next)).await {
            Ok(session) => session,
            Err(SpyError::Ended | SpyError::NoSuchCall(_)) => return Ok(Left::ToNext),
            Err(error) => {
                refused(chan, args, &error).await?;
                return Ok(Left::ToNext);
            }
        };
        self.has_heard = true;
        chan.set_var("SPY_CHANNEL", next.leg.name.clone());
        let recording = self.records(chan, next).await;
        let heard = hear(chan, args, (session, keys)).await;
        if let Some(recording) = recording {
            // What went wrong is in the log, and its file is kept.
            let _ = recording.stop().await;
        }
        match heard? {
            Ok(left) => Ok(left),
            Err(End { why: Ended::Refused(error), .. }) => {
                refused(chan, args, &error).await?;
                Ok(Left::ToNext)
            }
            Err(_) => Ok(Left::Ended),
        }
    }

    /// Records who is heard, as option `r` asks.
    async fn records(&self, chan: &Channel, next: &Candidate) -> Option<RecordingHandle> {
        let base = self.wanted.options.record.as_ref()?;
        let when = Timestamp::now().to_zoned(TimeZone::system()).strftime("%Y%m%d-%H%M%S");
        let file = recorded::file(chan, &format!("{base}-{when}.{ENDING}"));
        let file = file.inspect_err(|error| tracing::warn!(uuid = chan.uuid(), %error, "ChanSpy")).ok();
        let wish = recording::Wish { file, ..recording::Wish::new(By::Dialplan("ChanSpy")) };
        let begun = recording::start(chan.exchange(), &next.leg.uuid, wish).await;
        begun.inspect_err(|error| tracing::error!(uuid = next.leg.uuid, %error, "ChanSpy: not recorded")).ok()
    }

    /// There is nobody: why is on record and told.
    async fn tell_why(&self, chan: &mut Channel, args: &Args<'_>) -> Result<(), Gone> {
        let error = self.why(chan).await;
        let is_quiet = error == SpyError::NobodyThere && self.wanted.options.has('q');
        if is_quiet { done(chan, error.code()).map(|_| ()) } else { refused(chan, args, &error).await.map(|_| ()) }
    }

    /// What is said of the newest channel that is meant, other than the supervisor's own where there is another.
    async fn why(&self, chan: &Channel) -> SpyError {
        let exchange = chan.exchange();
        let mut all = Vec::new();
        if self.wanted.whose != Whose::Everybody {
            all = meant(exchange, &self.wanted.whose);
        }
        all.retain(|one| self.is_wanted(one));
        all.sort_by_key(|one| one.leg.uuid == chan.uuid());
        let user = match &self.wanted.whose {
            Whose::Extension(extension) => Some(extension.as_str()),
            _ => None,
        };
        let Some(first) = all.first() else {
            let found = match may_ever(exchange, &self.wish, user).await {
                Ok(()) => none_found::<()>(exchange, &self.wish).await,
                Err(error) => Err(error),
            };
            return found.err().unwrap_or(SpyError::NobodyThere);
        };
        let wish = self.walk.wish(first);
        let talks = matches!(&*first.leg.talks.borrow(), Talks::With { .. });
        if self.wanted.options.has('b') && !talks && first.leg.uuid != chan.uuid() {
            let error = SpyError::NotConnected(wish.uuid.clone());
            return refuse::<()>(exchange, &wish, error).await.err().unwrap_or(SpyError::NobodyThere);
        }
        match attach(exchange, wish).await {
            Err(error) => error,
            // It may be heard by now; it is the next that is visited, or it is gone again.
            Ok(_) => SpyError::NobodyThere,
        }
    }

    /// Waits for somebody to hear; keys are served.
    async fn wait(&mut self, chan: &mut Channel, args: &Args<'_>, keys: &mut Keys) -> Result<Left, Gone> {
        chan.start_playing(Source::Silence);
        let left = loop {
            match chan.supervise_nobody(self.comes()).await? {
                Idle::Done(next) => {
                    chan.stop_playing();
                    return self.visit(chan, args, (&next, keys)).await;
                }
                Idle::Key(key) => match keys.press(chan, args, key) {
                    Pressed::Leaves(left) => break left,
                    Pressed::Volume | Pressed::Mode(_) | Pressed::Nothing => {}
                },
            }
        };
        chan.stop_playing();
        Ok(left)
    }

    async fn comes(&mut self) -> Candidate {
        loop {
            if let Some(fresh) = self.fresh() {
                return fresh;
            }
            self.walk.changed().await;
        }
    }
}

/// The beep and the channel's name; the key that cut it short.
async fn announce(
    chan: &mut Channel,
    args: &Args<'_>,
    (next, options): (&Candidate, &Options),
) -> Result<Option<char>, Gone> {
    if options.has('q') {
        return Ok(None);
    }
    let leg = &next.leg;
    let (technology, rest) = leg.name.split_once('/').unwrap_or(("", &leg.name));
    let bare = rest.rsplit_once('-').map_or(rest, |(bare, _)| bare);
    let mut names = vec!["beep".to_owned()];
    if options.has('n') {
        names.extend(say::letters(leg.user.as_deref().unwrap_or(&leg.number)));
    } else {
        if !options.has('s') && !technology.is_empty() {
            names.push(format!("spy-{}", technology.to_ascii_lowercase()));
        }
        names.extend(say::letters(bare));
    }
    Ok(keypad::prompt(chan, args, &names, |_| true).await?.key)
}

/// Tells why by ear and by variable.
async fn refused(chan: &mut Channel, args: &Args<'_>, error: &SpyError) -> Result<Next, Gone> {
    supervise::say(chan, args.env().sounds(), error).await?;
    done(chan, error.code())
}

fn done(chan: &mut Channel, result: &str) -> Result<Next, Gone> {
    chan.set_var(RESULT, result);
    Ok(Next::Continue)
}
