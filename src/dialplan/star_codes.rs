//! Supervision codes: `*91`, `*92`, `*93`, `88` and `*0` before an extension, tried before the dialplan, for users only.
//! Above: `pbx` runs every incoming channel by this. Below: `app::chanspy` and `eavesdrop`; who may is decided in `call::supervision`.

use std::sync::Arc;

use super::app::{self, App, CheckError, Doing, Line};
use super::args::Args;
use super::context::Dialplan;
use super::env::Env;
use super::piece::Piece;
use super::template::Template;
use super::{exec, supervise};
use crate::call::Channel;
use crate::call::live::Way;
use crate::call::supervision::{Mode, SpyError, Wish, may_ever, none_found};
use crate::config::CodeFor;

/// The application that an eavesdrop code runs.
const EAVESDROP: &str = "eavesdrop";

static LISTEN: app::ByCode = app::ByCode(Mode::Listen);
static WHISPER: app::ByCode = app::ByCode(Mode::Whisper);
static BARGE: app::ByCode = app::ByCode(Mode::Barge);

/// Runs an incoming channel: what its code is for, else the script where it begins.
pub async fn run(plan: Arc<Dialplan>, env: Arc<Env>, mut channel: Channel) -> Channel {
    let Some((meaning, extension)) = dialled(&channel) else { return exec::run(plan, env, channel).await };
    let code = channel.position().extension.clone();
    tracing::info!(uuid = channel.uuid(), code, "supervision code");
    channel.about_mut().code = Some((code, extension));
    let app: &'static dyn App = match meaning {
        CodeFor::Listen => &LISTEN,
        CodeFor::Whisper => &WHISPER,
        CodeFor::Barge => &BARGE,
        CodeFor::Eavesdrop => &EavesdropByCode,
    };
    exec::run_apps(plan, env, channel, vec![(app, Template::default())]).await
}

/// The code that a user dialled, and the extension after it. A number that is a user's own name is that user, not a code.
fn dialled(channel: &Channel) -> Option<(CodeFor, String)> {
    let settings = channel.exchange().settings.load();
    let number = &channel.position().extension;
    if channel.facts().way != Way::In || channel.facts().user.is_none() || settings.users.contains_key(number) {
        return None;
    }
    let (meaning, extension) = settings.supervision.codes.read(number)?;
    let is_number = extension.bytes().all(|byte| byte.is_ascii_digit());
    (is_number || settings.users.contains_key(extension)).then(|| (meaning, extension.to_owned()))
}

/// What an eavesdrop code runs: `eavesdrop` on the leg that `spymap` has for the extension.
struct EavesdropByCode;

impl App for EavesdropByCode {
    fn name(&self) -> &'static str {
        EAVESDROP
    }

    fn syntax(&self) -> &'static str {
        ""
    }

    fn synopsis(&self) -> &'static str {
        "Hears the call of the extension that was dialled after a supervision code."
    }

    fn line(&self) -> Line {
        Line::Needed
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        if args.is_empty() { Ok(()) } else { Err(CheckError::TooMany { most: 0, found: 1 }) }
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        Doing::waits(async move {
            let extension = chan.about().code.as_ref().map(|(_, extension)| extension.clone()).unwrap_or_default();
            let exchange = chan.exchange().clone();
            let Some(uuid) = args.env().spymap().get(&exchange.live, "spymap", &extension) else {
                chan.answer().await?;
                let wish = Wish::listen(chan.spy_rights(), chan.supervises_by(EAVESDROP), "");
                let refused = match may_ever(&exchange, &wish, Some(&extension)).await {
                    Ok(()) => none_found::<()>(&exchange, &wish).await.err().unwrap_or(SpyError::NobodyThere),
                    Err(error) => error,
                };
                supervise::say(chan, args.env().sounds(), &refused).await?;
                return Ok(app::Next::Continue);
            };
            let malformed = || CheckError::Malformed { what: "UUID", found: uuid.clone() };
            let target = Template::compile(&uuid).map_err(|_| malformed())?;
            let app = app::find(EAVESDROP).ok_or_else(malformed)?;
            match app.exec(chan, args.with(target.piece())) {
                Doing::Done(outcome) => outcome,
                Doing::Waits(work) => work.await,
            }
        })
    }
}
