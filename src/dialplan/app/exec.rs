//! `Exec(application(arguments))`: runs an application whose name may be computed.

use super::{App, CheckError, Doing};
use crate::call::Channel;
use crate::dialplan::absent;
use crate::dialplan::args::Args;
use crate::dialplan::piece::Piece;
use crate::dialplan::risk::Risk;

pub(super) struct Exec;

impl App for Exec {
    fn name(&self) -> &'static str {
        "Exec"
    }

    fn syntax(&self) -> &'static str {
        "application(arguments)"
    }

    fn synopsis(&self) -> &'static str {
        "Runs an application whose name comes from a variable."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        check_call(args)
    }

    fn sounds<'p>(&self, args: &Piece<'p>) -> Vec<Piece<'p>> {
        sounds_of_call(args)
    }

    fn records<'p>(&self, args: &Piece<'p>) -> Vec<Piece<'p>> {
        records_of_call(args)
    }

    fn risks(&self, args: &Piece<'_>) -> Vec<Risk> {
        risks_of_call(args)
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        run(chan, &args, args.piece().clone())
    }
}

/// An application's name and its arguments.
fn split<'a>(call: Piece<'a>) -> Result<(Piece<'a>, Piece<'a>), CheckError> {
    let call = call.trim();
    match call.split_once('(') {
        Some((name, rest)) => Ok((name.trim(), rest.strip_suffix(')').ok_or(CheckError::Missing("`)` at the end"))?)),
        None => Ok((call, Piece::default())),
    }
}

/// Refuses what can be seen to be wrong with `application(arguments)`.
pub(super) fn check_call(call: &Piece<'_>) -> Result<(), CheckError> {
    let (name, arguments) = split(call.clone())?;
    match name.literal() {
        Some(name) if name.is_empty() => Err(CheckError::Missing("the name of an application")),
        Some(name) => find(&name)?.check(&arguments),
        None => Ok(()),
    }
}

/// The name in `application(arguments)`.
pub(super) fn name_of_call<'a>(call: &Piece<'a>) -> Piece<'a> {
    let call = call.clone().trim();
    call.split_once('(').map_or_else(|| call.clone(), |(name, _)| name.trim())
}

/// An application of that name does something here.
pub(super) fn is_there(name: &str) -> bool {
    super::find(name).is_some() && absent::why_app(name).is_none()
}

/// What is worth a second look in `application(arguments)`, as far as the application is written.
pub(super) fn risks_of_call(call: &Piece<'_>) -> Vec<Risk> {
    let Ok((name, arguments)) = split(call.clone()) else { return Vec::new() };
    let app = name.literal().and_then(|name| super::find(&name));
    app.map(|app| app.risks(&arguments)).unwrap_or_default()
}

/// The sounds that it would play.
pub(super) fn sounds_of_call<'p>(call: &Piece<'p>) -> Vec<Piece<'p>> {
    let Ok((name, arguments)) = split(call.clone()) else { return Vec::new() };
    let app = name.literal().and_then(|name| super::find(&name));
    app.map(|app| app.sounds(&arguments)).unwrap_or_default()
}

/// The files that it would record into.
pub(super) fn records_of_call<'p>(call: &Piece<'p>) -> Vec<Piece<'p>> {
    let Ok((name, arguments)) = split(call.clone()) else { return Vec::new() };
    let app = name.literal().and_then(|name| super::find(&name));
    app.map(|app| app.records(&arguments)).unwrap_or_default()
}

/// Runs `application(arguments)` in the place of the step.
pub(super) fn run<'a>(chan: &'a mut Channel, args: &Args<'a>, call: Piece<'a>) -> Doing<'a> {
    let found = split(call).and_then(|(name, arguments)| {
        let name = args.value(chan, &name);
        Ok((find(name.trim())?, arguments))
    });
    match found {
        Ok((app, arguments)) => app.exec(chan, args.with(arguments)),
        Err(error) => Err(error.into()).into(),
    }
}

/// Runs an application in whose arguments something takes its time, and was not to be read before this one was chosen.
pub(super) fn run_later<'a>(chan: &'a mut Channel, args: Args<'a>, call: Piece<'a>) -> Doing<'a> {
    Doing::waits(async move {
        let args = args.settle(chan, &call).await;
        match run(chan, &args, call) {
            Doing::Done(outcome) => outcome,
            Doing::Waits(work) => work.await,
        }
    })
}

fn find(name: &str) -> Result<&'static dyn App, CheckError> {
    super::find(name).ok_or_else(|| CheckError::Unknown {
        what: "application",
        found: name.to_owned(),
        known: crate::config::nearest(name, super::TABLE.iter().map(|app| app.name()))
            .unwrap_or("see the manual")
            .into(),
    })
}
