//! One thing done to several recordings: each on its own, so that one that fails keeps no other from it.
//! Above: `retry`, `forget`, `rename`, `seal`, `shred`.

use super::place::Desk;
use crate::cli::common::Context;
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::output::Output;
use crate::outbox::{Manifest, OutboxError, RecordingId};

/// How far it has come.
pub(super) struct Several {
    output: Output,
    done: usize,
    failed: Vec<Exit>,
}

impl Several {
    /// With nothing done yet.
    pub(super) fn new(context: &Context) -> Self {
        Self { output: context.output, done: 0, failed: Vec::new() }
    }

    /// The recordings that these words mean, each once; a word that means none is told.
    ///
    /// # Errors
    /// The queue cannot be read.
    pub(super) fn meant(&mut self, words: &[String], desk: &Desk) -> Result<Vec<RecordingId>, Failure> {
        let mut ids = Vec::new();
        for word in words {
            match desk.all(std::slice::from_ref(word)) {
                Ok(found) => ids.extend(found.into_iter().filter(|id| !ids.contains(id)).collect::<Vec<_>>()),
                Err(Failure::Fault(fault)) if Exit::from(fault.code) == Exit::NotFound => {
                    self.note(Err(Failure::Fault(fault)))?;
                }
                Err(other) => return Err(other),
            }
        }
        Ok(ids)
    }

    /// Does it to one; what fails is told. An output that is closed ends it all.
    ///
    /// # Errors
    /// The output is closed.
    pub(super) fn each(
        &mut self,
        id: RecordingId,
        desk: &Desk,
        act: impl FnOnce(Manifest) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let known = desk.outbox.get(id).and_then(|known| known.ok_or(OutboxError::Unknown { id }));
        self.note(known.map_err(Failure::from).and_then(act))
    }

    fn note(&mut self, done: Result<(), Failure>) -> Result<(), Failure> {
        match done {
            Ok(()) => self.done += 1,
            Err(Failure::Fault(fault)) => {
                self.output.fault(&fault);
                self.failed.push(fault.code.into());
            }
            Err(other) => return Err(other),
        }
        Ok(())
    }

    /// How it ends: as the failures where nothing was done, and by halves where something was.
    pub(super) fn end(self) -> Done {
        let worst = self.failed.iter().copied().min_by_key(|exit| exit.code());
        match worst {
            None => Ok(Exit::Ok),
            Some(_) if self.done > 0 => Err(Failure::Silent(Exit::Partial)),
            Some(worst) => Err(Failure::Silent(worst)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::common::Common;
    use crate::control::protocol::{Fault, FaultCode};

    fn ended(results: &[Option<FaultCode>]) -> u8 {
        let context = Context::new("rec", Common { quiet: true, ..Common::default() });
        let mut several = Several::new(&context);
        for code in results {
            several.note(code.map_or(Ok(()), |code| Err(Fault::new(code, "").into()))).unwrap();
        }
        match several.end() {
            Ok(exit) | Err(Failure::Silent(exit)) => exit.code(),
            Err(_) => panic!("told twice"),
        }
    }

    #[test]
    fn what_is_done_by_halves_is_6_and_what_fails_altogether_is_the_worst_of_it() {
        use FaultCode::{Failure, NotFound, TryAgain};
        let cases = [
            (&[][..], 0),
            (&[None, None], 0),
            (&[None, Some(NotFound)], 6),
            (&[Some(NotFound), None], 6),
            (&[Some(NotFound), Some(NotFound)], 3),
            (&[Some(TryAgain), Some(NotFound)], 3),
            (&[Some(NotFound), Some(Failure)], 1),
        ];
        for (results, code) in cases {
            assert_eq!(ended(results), code, "{results:?}");
        }
    }
}
