//! The desk's calls of its own: an endpoint is called, and a script runs on whoever answers.

use std::time::Duration;

use super::House;
use crate::{
    call::{CallerId, Cause, Originate as OriginateCall, Position, originate, variables::Variables},
    control::protocol::{Fault, FaultCode, Originate, Originated},
    dialplan::exec,
};

/// How long a call rings where the request does not say.
const RING_TIME: Duration = Duration::from_secs(30);

impl House {
    pub(super) async fn originate(&self, request: Originate) -> Result<Originated, Fault> {
        let plan = self.plan.load_full();
        let step = plan.application(&request.app, &request.args).map_err(|error| {
            Fault::new(FaultCode::Usage, format!("{}({}): {error}", request.app, request.args))
                .hint("an application of the dialplan, such as 'Playback(beep)' or 'Echo()'")
        })?;
        let mut variables = Variables::default();
        for (name, value) in request.vars {
            variables.set(&name, value);
        }
        let wanted = OriginateCall {
            endpoint: request.endpoint.clone(),
            caller: CallerId { name: "pbx".into(), number: String::new() },
            timeout: request.timeout_s.map_or(RING_TIME, Duration::from_secs),
            variables,
            origin: None,
            position: Position { context: String::new(), extension: request.app.clone(), priority: 1 },
        };
        let channel = originate(&self.exchange, wanted).await.map_err(|cause| {
            let code = match cause {
                Cause::NO_ROUTE | Cause::UNALLOCATED => FaultCode::NotFound,
                Cause::NO_ANSWER | Cause::BUSY | Cause::REJECTED => FaultCode::Failure,
                _ => FaultCode::Unreachable,
            };
            Fault::new(code, format!("{}: {}", request.endpoint, cause.text()))
        })?;
        let uuid = channel.uuid().to_owned();
        let env = self.env.clone();
        tokio::spawn(async move {
            exec::run_application(plan, env, channel, step).await.finish().await;
        });
        Ok(Originated { uuid })
    }
}
