//! The subroutine stack of a channel: where a `Gosub` or `Macro` goes on, and the variables it hides.
//! Above: `dialplan` pushes and pops. Below: `variables`.

use crate::call::{
    channel::{Channel, Position},
    variables::Variable,
};

/// One subroutine that runs.
#[derive(Clone, Debug)]
pub struct Frame {
    /// What called it.
    pub kind: FrameKind,
    /// The step that called it.
    pub back: Position,
    /// Variables as they were before.
    saved: Vec<(String, Option<Variable>)>,
}

/// What kind of subroutine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// `Gosub`: ends at `Return`.
    Gosub,
    /// `Macro`: ends at `MacroExit`, or where its steps end.
    Macro,
}

impl Frame {
    /// A subroutine called from `back`.
    pub fn new(kind: FrameKind, back: Position) -> Self {
        Self { kind, back, saved: Vec::new() }
    }
}

impl Channel {
    /// The subroutines that run, the innermost last.
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// A subroutine begins.
    pub fn push_frame(&mut self, frame: Frame) {
        self.frames.push(frame);
    }

    /// The innermost subroutine ends: the variables it hid are as before.
    pub fn pop_frame(&mut self) -> Option<Frame> {
        let mut frame = self.frames.pop()?;
        for (name, before) in frame.saved.drain(..).rev() {
            self.variables_mut().restore(&name, before);
        }
        Some(frame)
    }

    /// Hides a variable until the innermost subroutine ends; false when none runs.
    pub fn hide_var(&mut self, name: &str) -> bool {
        let Some(frame) = self.frames.last_mut() else { return false };
        if !frame.saved.iter().any(|(saved, _)| saved == name) {
            let before = self.variables.remove(name);
            frame.saved.push((name.to_owned(), before));
        }
        true
    }
}
