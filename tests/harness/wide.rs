//! Sound of codecs that are wider than G.711: a second of two voices, packet by packet, as other encoders made it.

use std::io::Cursor;
use std::sync::LazyLock;

use super::description::Law;
use super::tone::Tone;

/// What is heard beside a voice where a codec is wide enough, in Hz: of A and of B.
pub(crate) const ABOVE_HZ: [f64; 2] = [5_000.0, 3_500.0];

/// The packets of a voice, of 20 ms each, to be said over and over.
///
/// # Panics
/// No other encoder has said that.
pub(super) fn packets(law: Law, tone: Tone) -> &'static [Vec<u8>] {
    static ALL: LazyLock<[Vec<Vec<u8>>; 4]> = LazyLock::new(|| {
        [
            g722(include_bytes!("../data/sounds/high.g722")),
            g722(include_bytes!("../data/sounds/low.g722")),
            opus(include_bytes!("../data/sounds/high.opus")),
            opus(include_bytes!("../data/sounds/low.opus")),
        ]
    });
    match (law, tone) {
        (Law::G722, Tone::A) => &ALL[0],
        (Law::G722, Tone::B) => &ALL[1],
        (Law::Opus, Tone::A) => &ALL[2],
        (Law::Opus, Tone::B) => &ALL[3],
        other => panic!("nobody has said {other:?}"),
    }
}

fn g722(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.chunks(160).map(<[u8]>::to_vec).collect()
}

/// The packets of an Ogg Opus file behind the two that describe it: those of a whole second.
fn opus(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut reader = ogg::PacketReader::new(Cursor::new(bytes));
    std::iter::from_fn(|| reader.read_packet().expect("Ogg").map(|packet| packet.data)).skip(2).take(50).collect()
}
