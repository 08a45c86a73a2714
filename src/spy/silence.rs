//! Why nothing is heard from a party, found out beside a session by asking for the call twice.
//! Above: `session`. Below: the control client.

use std::time::Duration;

use crate::control::client::{Client, ClientError};
use crate::control::protocol::{CallDetail, CallState, LegDetail, Target, method};

/// Between the two looks: twenty packets of an active party.
const BETWEEN: Duration = Duration::from_millis(400);

/// The reason for each side's silence, where one is known; only meant where there is silence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reasons {
    /// For the party that called.
    pub a: Option<String>,
    /// For the party that answered.
    pub b: Option<String>,
}

/// Looks at the call twice and compares.
///
/// # Errors
///
/// [`ClientError`]; also for those who may listen but not see the numbers of a call.
pub async fn reasons(client: &mut Client, uuid: &str) -> Result<Reasons, ClientError> {
    let target = Target { uuid: uuid.to_owned() };
    let before: CallDetail = client.request(method::CALL, &target).await?;
    tokio::time::sleep(BETWEEN).await;
    let after: CallDetail = client.request(method::CALL, &target).await?;
    let reason = |at: usize| after.legs.get(at).map(|leg| reason(before.legs.get(at), leg));
    Ok(Reasons { a: reason(0), b: reason(1) })
}

fn reason(before: Option<&LegDetail>, now: &LegDetail) -> String {
    match (&now.leg.state, &now.media) {
        (CallState::Trying | CallState::Ringing, _) => "it has not answered".to_owned(),
        (CallState::Held, _) => "on hold".to_owned(),
        (_, None) => "no audio is set up with its phone".to_owned(),
        (_, Some(media)) if media.packets_in == 0 => "no packet has come from its phone".to_owned(),
        (_, Some(media)) => {
            let earlier = before.and_then(|leg| leg.media.as_ref()).map_or(0, |media| media.packets_in);
            if media.packets_in > earlier {
                "its packets come and hold silence".to_owned()
            } else {
                "its packets have stopped".to_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::protocol::{LegInfo, MediaInfo};

    fn leg(state: CallState, packets_in: Option<u64>) -> LegDetail {
        LegDetail {
            leg: LegInfo { state, ..LegInfo::default() },
            media: packets_in.map(|packets_in| MediaInfo { packets_in, ..MediaInfo::default() }),
            ..LegDetail::default()
        }
    }

    #[test]
    fn each_kind_of_silence_has_its_reason() {
        let of = |before, state, now| reason(Some(&leg(CallState::Up, before)), &leg(state, now));
        assert_eq!(of(None, CallState::Ringing, None), "it has not answered");
        assert_eq!(of(Some(9), CallState::Held, Some(20)), "on hold");
        assert_eq!(of(None, CallState::Up, None), "no audio is set up with its phone");
        assert_eq!(of(Some(0), CallState::Up, Some(0)), "no packet has come from its phone");
        assert_eq!(of(Some(50), CallState::Up, Some(50)), "its packets have stopped");
        assert_eq!(of(Some(50), CallState::Up, Some(70)), "its packets come and hold silence");
    }
}
