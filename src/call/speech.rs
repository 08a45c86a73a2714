//! What a phone is known to speak, and which codecs one leg is offered because of another: one that cannot be decoded here is agreed
//! on only where both phones speak it.
//! Above: `leg` and `place`. Below: the settings name the codecs, `sdp` writes them.

use crate::{
    audio::codec::{Coding, Foreign},
    call::exchange::Exchange,
    config::CodecChoice,
    sdp::Spoken,
};

/// What a phone has shown that it speaks.
#[derive(Clone, Debug, Default)]
pub struct Takes {
    spoken: Vec<Spoken>,
    /// Its offer named nothing that can be decoded here.
    lacks_sound: bool,
}

impl Takes {
    /// It offered these.
    pub(super) fn offered(&mut self, codecs: Vec<Spoken>) {
        self.lacks_sound = !codecs.is_empty() && !codecs.iter().any(|spoken| spoken.codec.can_be_decoded());
        self.answered(codecs);
    }

    /// It answered with these, which says nothing about others.
    pub(super) fn answered(&mut self, codecs: Vec<Spoken>) {
        self.spoken.retain(|known| !codecs.iter().any(|newer| newer.codec == known.codec));
        self.spoken.extend(codecs);
    }

    /// The same of a phone that speaks this now, and is not to change to another that cannot be decoded.
    pub(super) fn only(mut self, now: Coding) -> Self {
        self.spoken.retain(|known| known.codec == now);
        self
    }

    fn find(&self, codec: Coding) -> Option<&Spoken> {
        self.spoken.iter().find(|known| known.codec == codec)
    }
}

impl Exchange {
    /// The codecs for a leg, the settings' order, `first` moved to the front. `other` is what the phone takes that it talks with, or is
    /// to talk with: without one, only what can be decoded.
    pub(super) fn codecs(&self, first: Option<Coding>, other: Option<&Takes>) -> Vec<Spoken> {
        chosen(&self.settings.load().media.codecs, first, other)
    }
}

fn chosen(settings: &[CodecChoice], first: Option<Coding>, other: Option<&Takes>) -> Vec<Spoken> {
    let is_silent = other.is_some_and(|other| other.lacks_sound);
    let codecs = settings.iter().map(|choice| codec(*choice));
    let mut codecs: Vec<Spoken> = codecs
        .filter_map(|codec| match codec.can_be_decoded() {
            true => (!is_silent).then(|| codec.into()),
            false => other.and_then(|other| other.find(codec)).cloned(),
        })
        .collect();
    if let Some(at) = codecs.iter().position(|spoken| Some(spoken.codec) == first) {
        codecs[..=at].rotate_right(1);
    }
    codecs
}

fn codec(choice: CodecChoice) -> Coding {
    match choice {
        CodecChoice::Ulaw => Coding::PCMU,
        CodecChoice::Alaw => Coding::PCMA,
        CodecChoice::G722 => Coding::Foreign(Foreign::G722),
        CodecChoice::G723 => Coding::Foreign(Foreign::G723),
        CodecChoice::G729 => Coding::Foreign(Foreign::G729),
        CodecChoice::Gsm => Coding::Foreign(Foreign::Gsm),
        CodecChoice::Ilbc => Coding::Foreign(Foreign::Ilbc),
        CodecChoice::Opus => Coding::Foreign(Foreign::Opus),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const G729: Coding = Coding::Foreign(Foreign::G729);
    const GSM: Coding = Coding::Foreign(Foreign::Gsm);

    fn offering(codecs: &[Coding]) -> Takes {
        let mut takes = Takes::default();
        takes.offered(codecs.iter().copied().map(Spoken::from).collect());
        takes
    }

    fn names(first: Option<Coding>, other: Option<&Takes>) -> Vec<&'static str> {
        let settings = [CodecChoice::G729, CodecChoice::Ulaw, CodecChoice::Gsm, CodecChoice::Alaw];
        chosen(&settings, first, other).iter().map(|spoken| spoken.codec.word()).collect()
    }

    #[test]
    fn what_cannot_be_decoded_is_offered_in_its_place_where_the_other_phone_takes_it() {
        assert_eq!(names(None, None), ["ulaw", "alaw"]);
        assert_eq!(names(Some(Coding::PCMA), None), ["alaw", "ulaw"]);
        assert_eq!(names(None, Some(&Takes::default())), ["ulaw", "alaw"]);
        assert_eq!(names(None, Some(&offering(&[Coding::PCMU, GSM, G729]))), ["g729", "ulaw", "gsm", "alaw"]);
        assert_eq!(names(Some(GSM), Some(&offering(&[GSM, Coding::PCMA]))), ["gsm", "ulaw", "alaw"]);
        assert_eq!(names(Some(GSM), Some(&offering(&[GSM, G729, Coding::PCMA]).only(GSM))), ["gsm", "ulaw", "alaw"]);
    }

    #[test]
    fn a_phone_that_offered_nothing_else_is_given_nothing_else_and_an_answer_does_not_say_that() {
        assert_eq!(names(None, Some(&offering(&[G729]))), ["g729"]);
        let mut answered = Takes::default();
        answered.answered(vec![G729.into()]);
        assert_eq!(names(None, Some(&answered)), ["g729", "ulaw", "alaw"]);
    }

    #[test]
    fn the_newest_parameters_hold() {
        let mut takes = offering(&[G729]);
        takes.answered(vec![Spoken { codec: G729, fmtp: Some("annexb=no".into()) }]);
        assert_eq!(chosen(&[CodecChoice::G729], None, Some(&takes))[0].fmtp.as_deref(), Some("annexb=no"));
    }
}
