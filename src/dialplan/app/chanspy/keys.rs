//! A supervisor's keys while he hears a channel and while there is none (S082, S070).
//! Above: `rounds`. Below: `call::supervision`, which asks the rights again at each change of mode.

use super::options::Options;
use crate::call::supervision::{Ears, End, Mode, Session, SpyError, Supervised};
use crate::call::{Channel, Gone};
use crate::dialplan::args::Args;
use crate::dialplan::options::LOUDEST;
use crate::dialplan::{keypad, supervise};

/// Digits of another channel, at most.
const MOST_DIGITS: usize = 40;

/// Why a channel is no longer heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// The next one is wanted.
    ToNext,
    /// Its call ended.
    Ended,
    /// Others are wanted.
    Typed(String),
    /// The supervisor has enough.
    Leaves,
    /// He goes on at this extension.
    Exits(char),
}

/// What a key is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pressed {
    /// For nothing, or for a number that is not whole yet.
    Nothing,
    /// It is louder now, or, after the loudest, least loud.
    Volume,
    /// Another mode.
    Mode(Mode),
    /// This channel is not heard any longer.
    Leaves(Left),
}

/// What the keys of a supervisor have come to.
pub(super) struct Keys {
    options: Options,
    volume: i8,
    typed: String,
}

impl Keys {
    pub(super) fn new(options: &Options) -> Self {
        Self { options: options.clone(), volume: options.volume, typed: String::new() }
    }

    /// Takes a key.
    pub(super) fn press(&mut self, chan: &Channel, args: &Args<'_>, key: char) -> Pressed {
        let exits = self.options.has('X') && {
            let context = chan.var("SPY_EXIT_CONTEXT").filter(|name| !name.is_empty()).map(str::to_owned);
            let context = context.unwrap_or_else(|| keypad::context(chan));
            keypad::is_extension(chan, args.plan(), (&context, &key.to_string()))
        };
        if exits { Pressed::Leaves(Left::Exits(key)) } else { self.means(key) }
    }

    fn means(&mut self, key: char) -> Pressed {
        let types = !self.options.has('d') && !self.options.has('u') && !self.options.has('X');
        match key {
            key if self.options.exit_key == Some(key) => Pressed::Leaves(Left::Leaves),
            key if self.options.next_key == key => Pressed::Leaves(Left::ToNext),
            '#' if self.typed.is_empty() => {
                self.volume = if self.volume >= LOUDEST { -LOUDEST } else { self.volume + 1 };
                Pressed::Volume
            }
            '#' => Pressed::Leaves(Left::Typed(std::mem::take(&mut self.typed))),
            '4' if self.options.has('d') => Pressed::Mode(Mode::Listen),
            '5' if self.options.has('d') => Pressed::Mode(Mode::Whisper),
            '6' if self.options.has('d') => Pressed::Mode(Mode::Barge),
            '0'..='9' if types && self.typed.len() < MOST_DIGITS => {
                self.typed.push(key);
                Pressed::Nothing
            }
            _ => Pressed::Nothing,
        }
    }
}

/// Hears through a session until a key or its end leaves it.
///
/// # Errors
/// The phone has hung up.
pub(super) async fn hear(
    chan: &mut Channel,
    args: &Args<'_>,
    ((mut session, ears), keys): ((Session, Ears), &mut Keys),
) -> Result<Result<Left, End>, Gone> {
    keys.typed.clear();
    chan.hears_through(&mut session, ears);
    chan.set_spy_volume(keys.volume);
    loop {
        match chan.supervise(&mut session, None).await? {
            Supervised::Key(key) => match keys.press(chan, args, key) {
                Pressed::Nothing => {}
                Pressed::Volume => chan.set_spy_volume(keys.volume),
                Pressed::Mode(mode) => {
                    // What has ended is told as news.
                    if let Err(error) = session.set_mode(mode, None).await
                        && error != SpyError::Ended
                    {
                        supervise::say_over(chan, args.env().sounds(), &error).await;
                    }
                }
                Pressed::Leaves(left) => return Ok(Ok(left)),
            },
            Supervised::Unheard(error) => supervise::say_over(chan, args.env().sounds(), &error).await,
            Supervised::News(news) => {
                if let Some(end) = news.ended {
                    return Ok(Err(end));
                }
            }
            Supervised::Time => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialplan::template::Template;

    fn keys(letters: &str) -> Keys {
        let template = Template::compile(letters).unwrap();
        Keys::new(&Options::read(Some(&template.piece()), |piece| piece.literal()).unwrap())
    }

    #[test]
    fn s082_hash_goes_up_to_four_and_round_to_minus_four() {
        let mut keys = keys("");
        let heard: Vec<i8> = (0..9)
            .map(|_| {
                assert_eq!(keys.means('#'), Pressed::Volume);
                keys.volume
            })
            .collect();
        assert_eq!(heard, [1, 2, 3, 4, -4, -3, -2, -1, 0]);
    }

    #[test]
    fn s082_digits_change_the_mode_under_d_and_name_a_channel_without() {
        let mut with_d = keys("d");
        let modes = ['4', '5', '6'].map(|key| with_d.means(key));
        assert_eq!(modes, [Mode::Listen, Mode::Whisper, Mode::Barge].map(Pressed::Mode));
        assert_eq!(with_d.means('7'), Pressed::Nothing);
        let mut without = keys("");
        assert_eq!(['1', '0', '0', '2'].map(|key| without.means(key)), [const { Pressed::Nothing }; 4]);
        assert_eq!(without.means('#'), Pressed::Leaves(Left::Typed("1002".into())));
        assert_eq!(without.means('#'), Pressed::Volume);
    }

    #[test]
    fn s082_star_is_the_next_channel_unless_another_key_is() {
        assert_eq!(keys("").means('*'), Pressed::Leaves(Left::ToNext));
        let mut other = keys("c(#)x(0)");
        assert_eq!(other.means('*'), Pressed::Nothing);
        assert_eq!(other.means('#'), Pressed::Leaves(Left::ToNext));
        assert_eq!(other.means('0'), Pressed::Leaves(Left::Leaves));
    }
}
