//! The desk's calls of its own: an endpoint is called, and a script runs on whoever answers.

use std::time::Duration;

use super::House;
use crate::{
    call::{CallerId, Cause, Originate as OriginateCall, Position, demands, originate, variables::Variables},
    control::protocol::{Application, Fault, FaultCode, Originate, Originated, Place},
    dialplan::{Dialplan, Step, exec},
};

/// How long a call rings where the request does not say.
const RING_TIME: Duration = Duration::from_secs(30);

impl House {
    pub(super) async fn originate(&self, request: Originate) -> Result<Originated, Fault> {
        let plan = self.plan.load_full();
        let Originate { endpoint, app, args, apps, place, vars, caller_name, caller_number, timeout_s } = request;
        let first = Some(Application { app, args }).filter(|first| !first.app.is_empty());
        let apps: Vec<Application> = first.into_iter().chain(apps).collect();
        let steps = apps.iter().map(|app| step(&plan, app)).collect::<Result<Vec<Step>, Fault>>()?;
        let position = match (&place, apps.first()) {
            (Some(Place { extension, context }), None) => {
                let there = Position { context: context.clone(), extension: extension.clone(), priority: 1 };
                self.leads_somewhere(&there, caller_number.as_deref().unwrap_or_default())?;
                there
            }
            (None, Some(first)) => Position { context: String::new(), extension: first.app.clone(), priority: 1 },
            _ => return Err(Fault::new(FaultCode::Usage, "either applications or a place in the dialplan")),
        };
        let mut variables = Variables::default();
        for (name, value) in vars {
            variables.set(&name, value);
        }
        demands::meet(&variables).map_err(|demand| {
            Fault::new(FaultCode::Failure, format!("{endpoint}: {demand}"))
                .hint("leave the variable out only if the call may go without what it asks for")
        })?;
        let usual = if caller_number.is_some() { "" } else { "pbx" };
        let wanted = OriginateCall {
            endpoint: endpoint.clone(),
            caller: CallerId {
                name: caller_name.unwrap_or_else(|| usual.to_owned()),
                number: caller_number.unwrap_or_default(),
            },
            timeout: timeout_s.map_or(RING_TIME, Duration::from_secs),
            variables,
            origin: None,
            position,
        };
        let channel = originate(&self.exchange, wanted).await.map_err(|cause| {
            let code = match cause {
                Cause::NO_ROUTE | Cause::UNALLOCATED => FaultCode::NotFound,
                Cause::NO_ANSWER | Cause::BUSY | Cause::REJECTED => FaultCode::Failure,
                _ => FaultCode::Unreachable,
            };
            Fault::new(code, format!("{endpoint}: {}", cause.text()))
        })?;
        let uuid = channel.uuid().to_owned();
        let env = self.env.clone();
        tokio::spawn(async move {
            let channel = match place {
                Some(_) => exec::run(plan, env, channel).await,
                None => exec::run_applications(plan, env, channel, steps).await,
            };
            channel.finish().await;
        });
        Ok(Originated { uuid })
    }
}

fn step(plan: &Dialplan, Application { app, args }: &Application) -> Result<Step, Fault> {
    plan.application(app, args).map_err(|error| {
        Fault::new(FaultCode::Usage, format!("{app}({args}): {error}"))
            .hint("an application of the dialplan, such as 'Playback(beep)' or 'Echo()'")
    })
}
