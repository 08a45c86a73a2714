//! `ChanSpy([prefix[,options]])` and `ExtenSpy(exten[@context][,options])`: a supervisor's phone hears channels, as in Asterisk.
//! Below: `rounds` goes from channel to channel; rights, groups and log are those of `call::supervision`.

mod keys;
mod options;
mod rounds;

use super::{App, CheckError, Doing, Line, Opt, Outcome, at_most};
use crate::call::Channel;
use crate::call::supervision::walk::Whose;
use crate::call::supervision::{Mode, Wish};
use crate::dialplan::args::Args;
use crate::dialplan::keypad::Unanswered;
use crate::dialplan::piece::Piece;
use options::{OPTIONS, Options};
use rounds::{Wanted, go};

pub(super) struct ChanSpy;
pub(super) struct ExtenSpy;

/// What stands before the slash of a SIP channel's name.
const SIP: &str = "SIP";

impl App for ChanSpy {
    fn name(&self) -> &'static str {
        "ChanSpy"
    }

    fn syntax(&self) -> &'static str {
        "[prefix[,options]]"
    }

    fn synopsis(&self) -> &'static str {
        "Hears channels whose names begin so, the newest call first, with the rights of the phone's user; * is the next one, # \
         the volume, digits and # another channel. SPY_CHANNEL is then the last one, CHANSPY_RESULT left, ended, or why it was \
         refused."
    }

    fn options(&self) -> &'static [Opt] {
        OPTIONS
    }

    fn line(&self) -> Line {
        Line::Needed
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        at_most(args, 2)?;
        Options::read(args.arguments(2).get(1), |piece| piece.literal()).map(|_| ())
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        Doing::waits(async move {
            let options = Options::read(args.piece().arguments(2).get(1), |piece| Some(args.value(chan, piece)))?;
            let [prefix, _] = args.values::<2>(chan);
            let prefix = as_sip(prefix.trim());
            let whose = match prefix.as_str() {
                "" => Whose::Everybody,
                name if options.has('u') => {
                    let named = chan.exchange().live.named(name);
                    Whose::Leg(named.map_or_else(|| name.to_owned(), |leg| leg.uuid.clone()))
                }
                name => Whose::Prefixes(vec![name.to_owned()]),
            };
            let technology = prefix.split('/').next().filter(|name| !name.is_empty()).unwrap_or(SIP);
            let technology = Some(technology.to_owned());
            spy(chan, &args, ("ChanSpy", Wanted { whose, context: None, technology, options })).await
        })
    }
}

impl App for ExtenSpy {
    fn name(&self) -> &'static str {
        "ExtenSpy"
    }

    fn syntax(&self) -> &'static str {
        "exten[@context][,options]"
    }

    fn synopsis(&self) -> &'static str {
        "As ChanSpy, hears the calls of an extension: of the user of that name, and of whoever has or was called by that number; \
         with a context only calls that were dialled there."
    }

    fn options(&self) -> &'static [Opt] {
        OPTIONS
    }

    fn line(&self) -> Line {
        Line::Needed
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        at_most(args, 2)?;
        let pieces = args.arguments(2);
        if pieces.first().is_none_or(Piece::is_empty) {
            return Err(CheckError::Missing("the extension"));
        }
        Options::read(pieces.get(1), |piece| piece.literal()).map(|_| ())
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        Doing::waits(async move {
            let options = Options::read(args.piece().arguments(2).get(1), |piece| Some(args.value(chan, piece)))?;
            let [target, _] = args.values::<2>(chan);
            let (extension, context) = match target.trim().split_once('@') {
                Some((extension, context)) => (extension.to_owned(), Some(context.to_owned())),
                None => (target.trim().to_owned(), None),
            };
            let wanted = Wanted { whose: Whose::Extension(extension), context, technology: None, options };
            spy(chan, &args, ("ExtenSpy", wanted)).await
        })
    }
}

/// What a supervision code runs: the calls of the extension behind it, with the letters of the user's `spy_params`.
pub(in crate::dialplan) struct ByCode(pub(in crate::dialplan) Mode);

impl App for ByCode {
    fn name(&self) -> &'static str {
        "ExtenSpy"
    }

    fn syntax(&self) -> &'static str {
        ""
    }

    fn synopsis(&self) -> &'static str {
        "Hears the calls of the extension that was dialled after a supervision code."
    }

    fn line(&self) -> Line {
        Line::Needed
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        at_most(args, 0)
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        let mode = self.0;
        Doing::waits(async move {
            let extension = chan.about().code.as_ref().map(|(_, extension)| extension.clone()).unwrap_or_default();
            let settings = chan.exchange().settings.load_full();
            let user = chan.facts().user.as_ref().and_then(|name| settings.users.get(name));
            let options =
                user.map_or_else(|| Ok(Options::default()), |user| Options::of_code(&user.spy_params, mode))?;
            let wanted = Wanted { whose: Whose::Extension(extension), context: None, technology: None, options };
            spy(chan, &args, ("ExtenSpy", wanted)).await
        })
    }
}

async fn spy(chan: &mut Channel, args: &Args<'_>, (application, wanted): (&'static str, Wanted)) -> Outcome {
    let unanswered = if wanted.options.has('N') { Unanswered::EarlyMedia } else { Unanswered::Answer };
    unanswered.meet(chan).await?;
    let _supervising = chan.begins_supervising();
    let wish = Wish::listen(chan.spy_rights(), chan.supervises_by(application), "");
    let next = go(chan, args, (wanted, wish)).await;
    chan.set_spy_volume(0);
    Ok(next?)
}

/// `PJSIP/…` and `SIP/…` are the same here.
fn as_sip(prefix: &str) -> String {
    let (technology, rest) =
        prefix.split_once('/').map_or((prefix, None), |(technology, rest)| (technology, Some(rest)));
    let technology = if technology.eq_ignore_ascii_case("PJSIP") { SIP } else { technology };
    rest.map_or_else(|| technology.to_owned(), |rest| format!("{technology}/{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialplan::template::Template;

    #[test]
    fn s080_what_is_wrong_is_found_when_the_file_is_read() {
        let check = |app: &dyn App, args: &str| app.check(&Template::compile(args).unwrap().piece());
        for right in ["", "SIP", "SIP/1001,qdw", "${X},v(${Y})"] {
            assert_eq!(check(&ChanSpy, right), Ok(()), "{right}");
        }
        assert_eq!(check(&ExtenSpy, "1001@internal,bqE"), Ok(()));
        for wrong in [",z", "SIP,v(9)", "SIP,${LETTERS}", "a,b,c"] {
            assert!(check(&ChanSpy, wrong).is_err(), "{wrong}");
        }
        assert_eq!(check(&ExtenSpy, ""), Err(CheckError::Missing("the extension")));
        assert_eq!([as_sip("pjsip/1001"), as_sip("PJSIP"), as_sip("Local/1")], ["SIP/1001", "SIP", "Local/1"]);
    }
}
