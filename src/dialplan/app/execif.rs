//! `ExecIf(condition?application(arguments)[:application(arguments)])`: runs one of two applications.

use super::exec::{check_call, records_of_call, risks_of_call, run, run_later, sounds_of_call};
use super::{App, CheckError, Doing, Next};
use crate::call::Channel;
use crate::dialplan::args::Args;
use crate::dialplan::evaluate::is_true;
use crate::dialplan::piece::Piece;
use crate::dialplan::risk::Risk;

pub(super) struct ExecIf;

impl App for ExecIf {
    fn name(&self) -> &'static str {
        "ExecIf"
    }

    fn syntax(&self) -> &'static str {
        "condition?application(arguments)[:application(arguments)]"
    }

    fn synopsis(&self) -> &'static str {
        "Runs an application if the condition is true, or another one if it is not."
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        check_calls(args)
    }

    fn sounds<'p>(&self, args: &Piece<'p>) -> Vec<Piece<'p>> {
        of_calls(args, sounds_of_call)
    }

    fn records<'p>(&self, args: &Piece<'p>) -> Vec<Piece<'p>> {
        of_calls(args, records_of_call)
    }

    fn risks(&self, args: &Piece<'_>) -> Vec<Risk> {
        of_calls(args, risks_of_call)
    }

    fn read_first<'p>(&self, args: &Piece<'p>) -> Piece<'p> {
        split(args).map(|(condition, _)| condition).unwrap_or_default()
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        let chosen = split(args.piece()).map(
            |(condition, [yes, no])| {
                if is_true(&args.value(chan, &condition)) { yes } else { no }
            },
        );
        run_chosen(chan, args, chosen)
    }
}

/// The condition and the two applications; a `:` inside brackets belongs to the arguments.
pub(super) fn split<'a>(args: &Piece<'a>) -> Result<(Piece<'a>, [Piece<'a>; 2]), CheckError> {
    let (condition, applications) = args.split_once('?').ok_or(CheckError::Missing("`?`"))?;
    let (yes, no) = applications.split_outside(':').unwrap_or_else(|| (applications, Piece::default()));
    Ok((condition, [yes.trim(), no.trim()]))
}

/// Refuses what can be seen to be wrong with either application.
pub(super) fn check_calls(args: &Piece<'_>) -> Result<(), CheckError> {
    let (_, [yes, no]) = split(args)?;
    check_call(&yes)?;
    if no.is_empty() { Ok(()) } else { check_call(&no) }
}

/// What is to be said of both applications.
pub(super) fn of_calls<'p, T>(args: &Piece<'p>, of_call: impl FnMut(&Piece<'p>) -> Vec<T>) -> Vec<T> {
    split(args).map(|(_, calls)| calls.iter().flat_map(of_call).collect()).unwrap_or_default()
}

/// Runs the application that was chosen, if one was written.
pub(super) fn run_chosen<'a>(
    chan: &'a mut Channel,
    args: Args<'a>,
    chosen: Result<Piece<'a>, CheckError>,
) -> Doing<'a> {
    match chosen {
        Ok(chosen) if chosen.is_empty() => Ok(Next::Continue).into(),
        Ok(chosen) if chosen.waits() => run_later(chan, args, chosen),
        Ok(chosen) => run(chan, &args, chosen),
        Err(error) => Err(error.into()).into(),
    }
}

#[cfg(test)]
mod tests {
    use crate::dialplan::app::find;
    use crate::dialplan::template::Template;

    #[test]
    fn s115_what_is_risky_is_told_of_the_application_inside_as_well() {
        let told = |app: &str, args: &str| {
            let template = Template::compile(args).unwrap();
            find(app).unwrap().risks(&template.piece()).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let sign = told("System", "a & b");
        assert_eq!(sign.len(), 1);
        for (app, args) in [
            ("ExecIf", "$[1]?System(a & b)"),
            ("ExecIf", "$[1]?NoOp():TrySystem(a & b)"),
            ("ExecIfTime", "9:00-17:00,mon-fri,*,*?System(a & b)"),
            ("Exec", "System(a & b)"),
            ("Exec", "ExecIf(1?System(a & b))"),
            ("TryExec", "System(a & b)"),
            ("ExecIf", "1?MixMonitor(a.wav,,a & b)"),
        ] {
            assert_eq!(told(app, args), sign, "{app}({args})");
        }
        assert_eq!(told("ExecIf", "1?System(${CALLERID(name)})").len(), 1);
        for (app, args) in [("ExecIf", "1?System(a b):NoOp(a & b)"), ("Exec", "${APP}(a & b)")] {
            assert_eq!(told(app, args), Vec::<String>::new(), "{app}({args})");
        }
    }
}
