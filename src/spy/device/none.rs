//! The device `none`: what is heard goes nowhere, and nothing is said.

use super::Device;
use crate::control::supervision::VoiceFrame;
use crate::spy::sound::Heard;

pub(super) struct Silence;

impl Device for Silence {
    fn play(&mut self, _: &Heard) {}

    fn voice(&mut self) -> Option<VoiceFrame> {
        None
    }

    fn finish(self: Box<Self>) {}
}
