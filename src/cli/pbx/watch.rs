//! `--watch`: the same answer again each second, redrawn on a terminal, one after the other in a pipe.

use std::future::Future;
use std::time::Duration;

use crate::cli::common::Context;
use crate::cli::exit::{Done, Failure};

const PERIOD: Duration = Duration::from_secs(1);
/// Cursor home, clear to the end of the screen.
const HOME_AND_CLEAR: &str = "\x1b[H\x1b[J";

/// Shows again and again, until the server or the reader is gone, or Ctrl-C.
pub(in crate::cli) async fn watch<F: Future<Output = Result<(), Failure>>>(
    context: &Context,
    mut show: impl FnMut() -> F,
) -> Done {
    let redraw = context.output.on_terminal() && !context.output.is_json();
    let mut beat = tokio::time::interval(PERIOD);
    loop {
        beat.tick().await;
        if redraw {
            context.output.raw(HOME_AND_CLEAR)?;
        }
        show().await?;
    }
}
