//! `MixMonitor(file.wav[,options[,command]])`: records the channel's call until it ends, through holds and transfers.
//! Below: `call::recording`.

mod later;
mod options;

use super::{App, CheckError, Doing, Next, Opt, Outcome};
use crate::call::Channel;
use crate::call::recording::{By, IfThere, RecordingHandle, Voices, While, Wish};
use crate::config::RecordChannels;
use crate::dialplan::args::Args;
use crate::dialplan::piece::Piece;
use crate::dialplan::recorded::{self, begin};
use crate::dialplan::risk::{self, Risk};
use options::{OPTIONS, Options, choose};

pub(super) struct MixMonitor;

/// As it is called, in manifests too.
pub(super) const NAME: &str = "MixMonitor";
/// The whole path of the newest recording.
pub(super) const FILENAME: &str = "MIXMONITOR_FILENAME";

impl App for MixMonitor {
    fn name(&self) -> &'static str {
        NAME
    }

    fn syntax(&self) -> &'static str {
        "[file.wav][,options[,command]]"
    }

    fn synopsis(&self) -> &'static str {
        "Records the call from now on, from the answer if there is none yet, through holds and transfers. The file lies in \
         [recording] spool, also one with a whole path; where there is one of that name already, the new one is called -2, \
         and MIXMONITOR_FILENAME says which. It may be left out where option r or t names one. Of values in the name only letters, digits and +._- are left. The command is run \
         when the recording is complete, as System would run it; ^{NAME} in it is read when the file has its name."
    }

    fn options(&self) -> &'static [Opt] {
        OPTIONS
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        let pieces = args.arguments(3);
        let options = pieces.get(1).map(choose).transpose()?.unwrap_or_default();
        if !pieces.first().is_none_or(Piece::is_empty) || !options.iter().any(|option| "rt".contains(option.letter)) {
            recorded::check(pieces.first())?;
        }
        Options::read(pieces.get(1), |_, piece| piece.literal()).map(|_| ())
    }

    fn records<'p>(&self, args: &Piece<'p>) -> Vec<Piece<'p>> {
        let pieces = args.arguments(3);
        let options = pieces.get(1).and_then(|options| choose(options).ok()).unwrap_or_default();
        let named = options.into_iter().filter(|option| "rt".contains(option.letter));
        pieces.into_iter().take(1).chain(named.filter_map(|option| option.argument)).collect()
    }

    fn risks(&self, args: &Piece<'_>) -> Vec<Risk> {
        args.arguments(3).get(2).map(risk::of_command).unwrap_or_default()
    }

    fn exec<'a>(&self, chan: &'a mut Channel, args: Args<'a>) -> Doing<'a> {
        Doing::waits(record(chan, args))
    }
}

async fn record(chan: &mut Channel, args: Args<'_>) -> Outcome {
    let pieces = args.piece().arguments(3);
    let options = Options::read(pieces.get(1), |letter, piece| match letter {
        'r' | 't' => Some(recorded::value(chan, &args, piece)),
        _ => Some(args.value(chan, piece)),
    })?;
    let name = pieces.first().filter(|name| !name.is_empty()).map(|name| recorded::value(chan, &args, name));
    let wished = [(name, Voices::Both), (options.received.clone(), Voices::Own), (options.sent.clone(), Voices::Heard)];
    // All names are known to be right before the first recording begins.
    let named = wished.into_iter().filter_map(|(name, voices)| Some((name?, voices)));
    let wishes = named.map(|(name, voices)| Ok(Wish { voices, ..wish(chan, &name, &options)? }));
    let wishes = wishes.collect::<Result<Vec<_>, CheckError>>()?;
    let mut begun: Vec<RecordingHandle> = Vec::new();
    for wish in wishes {
        let beside = begun.first().map(RecordingHandle::id);
        begun.extend(begin(chan, Wish { beside, ..wish }).await?);
    }
    let Some(first) = begun.first() else { return Ok(Next::Continue) };
    chan.set_var(FILENAME, first.path().to_string_lossy());
    if let Some(variable) = &options.id_variable {
        chan.set_var(variable, first.id().to_string());
    }
    if options.has('P') {
        chan.about_mut().beep_after.push(first.id().to_string());
    }
    if let Some(command) = later::prepare(chan, &args, pieces.get(2)) {
        later::run(begun, command, (chan.uuid().to_owned(), args.env().clone()));
    }
    if options.has('p') {
        recorded::beep(chan, &args).await?;
    }
    Ok(Next::Continue)
}

fn wish(chan: &Channel, name: &str, options: &Options) -> Result<Wish, CheckError> {
    Ok(Wish {
        file: Some(recorded::file(chan, name)?),
        if_there: if options.has('a') { IfThere::Append } else { IfThere::Number },
        channels: options.has('D').then_some(RecordChannels::Split),
        during: if options.has('b') { While::Talking } else { While::Answered },
        volumes: [options.spoken, options.heard],
        beep: options.beep_every,
        ..Wish::new(By::Dialplan(NAME))
    })
}
