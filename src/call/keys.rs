//! How the dialplan speaks with a caller: the language, and the keys he presses meanwhile. Above: `dialplan`'s menus. Below: `channel`.

use crate::{
    call::{
        channel::{Channel, Gone},
        leg::LegEvent,
    },
    media::Source,
};

impl Channel {
    /// The language it is spoken to in, such as `en` or `de_CH`; empty when none was chosen.
    pub fn language(&self) -> &str {
        &self.language
    }

    /// Chooses the language it is spoken to in.
    pub fn set_language(&mut self, language: impl Into<String>) {
        self.language = language.into();
    }

    /// Whom its caller answers for: the user, else the address that the call comes from.
    pub fn source(&self) -> String {
        match (&self.leg.facts.user, self.leg.signalled_from()) {
            (Some(user), _) => user.clone(),
            (None, Some(address)) => address.to_string(),
            (None, None) => "this server".to_owned(),
        }
    }

    /// Plays until the end or the first key that `stops` it, which is returned; other keys are forgotten.
    ///
    /// # Errors
    /// The phone has hung up.
    pub async fn play_until(&mut self, source: Source, stops: impl Fn(char) -> bool) -> Result<Option<char>, Gone> {
        let id = self.start(source);
        loop {
            while let Some(digit) = self.digits.pop_front() {
                if stops(digit) {
                    self.stop_playing();
                    return Ok(Some(digit));
                }
            }
            match self.next_event(None).await? {
                Some(LegEvent::Played(done)) if done == id => return Ok(None),
                _ => {}
            }
        }
    }

    /// Gives a key back, to be read again as the next one.
    pub fn unread_digit(&mut self, digit: char) {
        self.digits.push_front(digit);
    }
}
