//! Sounds that a dialplan names and that are nowhere, told before a call needs them (S200). Above: `pbx check`, load and reload.

use super::Sounds;
use crate::dialplan::context::{Dialplan, Step};
use crate::dialplan::piece::Piece;
use crate::dialplan::problem::{PlanError, ProblemKind};

impl Dialplan {
    /// The sounds that are written out in the plan and missing; names that a value decides are not known before a call.
    pub fn missing_sounds(&self, sounds: &Sounds) -> Vec<PlanError> {
        let extensions = self.contexts.iter().flat_map(|context| &context.extensions);
        let steps: Vec<&Step> = extensions.flat_map(|extension| extension.steps.iter().map(|(_, step)| step)).collect();
        let recorded =
            steps.iter().flat_map(|step| step.app.records(&step.args.piece())).filter_map(|file| file.literal());
        let recorded: Vec<String> = recorded.map(|file| file.trim().trim_end_matches(".wav").to_owned()).collect();
        let mut missing: Vec<PlanError> =
            steps.into_iter().flat_map(|step| missing_of(step, (sounds, &recorded))).collect();
        missing.sort_by(|a, b| a.span.cmp(&b.span));
        missing
    }
}

/// Of those that a call may have recorded before it names them nothing is known.
fn missing_of(step: &Step, (sounds, recorded): (&Sounds, &[String])) -> Vec<PlanError> {
    let Some(span) = &step.span else { return Vec::new() };
    let names = step.app.sounds(&step.args.piece()).into_iter().filter_map(|piece| Piece::literal(&piece));
    let names = names.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty() && !recorded.contains(name));
    let missing = names.filter(|name| sounds.check(name).is_err());
    let app = step.app.name();
    missing.map(|name| PlanError { span: span.clone(), kind: ProblemKind::NoSound { app, name } }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s200_sounds_that_are_nowhere_are_told_with_their_line() {
        let text = "[main]\nexten => 100,1,Playback(beep&nowhere)\n same => n,Read(P,${WHICH}&vm-goodbye&own,3)\n \
                    same => n,Read(P,440,3,i)\n same => n,ExecIf(1?Playback(inside):NoOp())\n same => n,BackGround(silence/7)\n same => n,Record(said.wav)\n same => n,Playback(said)\n same => n,Authenticate(1,,,lost)\n \
                    same => n,ExecIf(1?Record(perhaps.wav))\n same => n,Exec(MixMonitor(all.wav,r(in.wav)))\n same => n,Monitor(wav,base)\n \
                    same => n,Playback(perhaps&all&in&base)\n";
        let plan = Dialplan::parse(&[("extensions.conf".into(), text.to_owned())]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("en")).unwrap();
        std::fs::write(folder.path().join("en/own.gsm"), [0xd0; 33]).unwrap();
        let missing = plan.missing_sounds(&Sounds::new(folder.path().to_owned()));
        let told: Vec<String> = missing.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(
            told[0].starts_with("extensions.conf:2:") && told[0].contains("Playback: no sound `nowhere`"),
            "{told:?}"
        );
        assert!(told[1].starts_with("extensions.conf:5:") && told[1].contains("no sound `inside`"), "{told:?}");
        assert!(
            told[2].starts_with("extensions.conf:9:") && told[2].contains("Authenticate: no sound `lost`"),
            "{told:?}"
        );
    }
}
