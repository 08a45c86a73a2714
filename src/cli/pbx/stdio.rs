//! `pbx stdio`: the control socket on stdin and stdout, which is what `--host` runs on the other machine.

use clap::Args as ClapArgs;
use tokio::io::{copy_bidirectional, join, stdin, stdout};
use tokio::net::UnixStream;

use crate::cli::common::Context;
use crate::cli::exit::{Done, Exit};
use crate::control::client::ClientError;

/// Put the control socket on stdin and stdout, for --host
#[derive(ClapArgs, Debug)]
pub(super) struct Args {}

pub(super) async fn run(_: Args, context: &Context) -> Done {
    let path = context.socket();
    let unreachable = |source| ClientError::Unreachable { path: path.clone(), source };
    let mut socket = UnixStream::connect(&path).await.map_err(unreachable)?;
    let mut streams = join(stdin(), stdout());
    copy_bidirectional(&mut streams, &mut socket).await?;
    Ok(Exit::Ok)
}
