//! A self-test's call: a customer who called and an agent who answered, both saying their script.
//! Above: `selftest`. Below: `phone`.

use std::{path::Path, sync::Arc};

use super::{
    SelfTestError,
    line::Line,
    phone::{Dialog, Phone},
    script::{Script, TONES_HZ},
};
use crate::control::{
    client::Client,
    protocol::{CallInfo, method},
};
use crate::pbx::Pbx;

/// A call between two phones.
pub(super) struct TestCall {
    /// The customer and the agent.
    pub(super) phones: [Phone; 2],
    /// What each says.
    pub(super) scripts: [Arc<Script>; 2],
    /// The UUIDs of their legs.
    pub(super) uuids: [String; 2],
    dialog: Dialog,
}

impl TestCall {
    /// The customer calls `agent`, who answers; both speak.
    pub(super) async fn connect(pbx: &Pbx, agent: &str) -> Result<Self, SelfTestError> {
        let server = pbx.sip_addr(crate::sip::Transport::Udp).ok_or(SelfTestError::NoAddress)?;
        let scripts = [0, 1].map(|at| Arc::new(Script::of_tone(TONES_HZ[at])));
        let name = format!("customer-of-{agent}");
        let customer = Phone::plug_in(&name, server, Line::open(scripts[0].clone()).await?).await?;
        let called = Phone::plug_in(agent, server, Line::open(scripts[1].clone()).await?).await?;
        let password = pbx.exchange().settings.load().users.get(agent).map(|user| user.password.clone());
        called.register(&password.ok_or(SelfTestError::NoAddress)?).await?;
        customer.invite(agent).await?;
        called.answers().await?;
        let dialog = customer.connects().await?;
        let uuids = legs(pbx.control_path(), agent).await?;
        Ok(Self { phones: [customer, called], scripts, uuids, dialog })
    }

    /// The customer hangs up.
    pub(super) async fn hang_up(&self) -> Result<(), SelfTestError> {
        let [customer, agent] = &self.phones;
        tokio::try_join!(customer.hangs_up(&self.dialog), agent.is_hung_up()).map(|_| ())
    }
}

/// The legs of an agent's call.
async fn legs(socket: &Path, agent: &str) -> Result<[String; 2], SelfTestError> {
    let calls: Vec<CallInfo> = Client::connect(socket).await?.list(method::CALLS, &()).await?;
    let call = calls.into_iter().find(|call| call.legs.iter().any(|leg| leg.user.as_deref() == Some(agent)));
    let uuids: Option<Vec<String>> = call.map(|call| call.legs.into_iter().map(|leg| leg.uuid).collect());
    uuids.and_then(|uuids| uuids.try_into().ok()).ok_or(SelfTestError::NoCall)
}
