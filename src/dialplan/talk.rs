//! Two parties that an order brings together, and no Dial: they talk until either leaves, and both scripts end.
//! Above: `exec`. Below: `call::dial` joins the two.

use std::sync::Arc;

use super::context::Dialplan;
use super::env::Env;
use super::exec::hung_up;
use crate::call::dial::{BridgeEnd, Watch};
use crate::call::{Cause, Channel, Gone};

/// Lets a channel talk with the party that comes; whoever runs this finishes the channel.
pub(super) async fn run((plan, env): (&Arc<Dialplan>, &Arc<Env>), mut channel: Channel) -> Channel {
    let cause = match channel.meet().await {
        Ok(Some(mut partner)) => {
            channel.begins_talk(&partner);
            let end = channel.talk_with(&mut partner, &Watch::default()).await;
            let cause = match end {
                BridgeEnd::CallerGone if channel.cause() != Cause::UNKNOWN => channel.cause(),
                BridgeEnd::CalleeGone(cause) if cause != Cause::UNKNOWN => cause,
                BridgeEnd::BothSilent => Cause::NETWORK_FAILURE,
                _ => Cause::NORMAL,
            };
            // A party whose own script was given up for this talk has its `h` as if that script had gone on to here.
            if partner.had_a_script() && !partner.is_leaving() {
                partner.ends_line(cause);
                let here = partner.position().clone();
                hung_up((plan, env), &mut partner, &here).await;
            }
            channel.drop_callee(*partner, cause);
            cause
        }
        Ok(None) => Cause::NORMAL,
        Err(Gone) => channel.cause(),
    };
    if channel.is_leaving() {
        return channel;
    }
    if !channel.is_gone() {
        channel.hangup(cause);
    }
    let here = channel.position().clone();
    hung_up((plan, env), &mut channel, &here).await;
    channel
}
