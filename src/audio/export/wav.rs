//! WAV of 16-bit PCM.

use std::io::Write;

use super::{Afterwards, ExportError};
use crate::audio::source::Source;
use crate::audio::wave::pcm_head;

pub(super) fn write(source: &mut dyn Source, to: &mut dyn Write) -> Result<Afterwards, ExportError> {
    let (rate_hz, channels) = (source.rate_hz(), source.channels());
    to.write_all(&pcm_head(rate_hz, channels, source.frames())).map_err(ExportError::Write)?;
    let (mut block, mut bytes, mut samples) = (Vec::new(), Vec::new(), 0);
    loop {
        source.next(&mut block)?;
        if block.is_empty() {
            break;
        }
        samples += block.len() as u64;
        bytes.clear();
        bytes.extend(block.iter().flat_map(|sample| sample.to_le_bytes()));
        to.write_all(&bytes).map_err(ExportError::Write)?;
    }
    let frames = samples / u64::from(channels.max(1));
    Ok(Afterwards { at: 0, bytes: pcm_head(rate_hz, channels, Some(frames)).to_vec() })
}
