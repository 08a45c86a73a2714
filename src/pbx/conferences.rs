//! The desk's answers about conference rooms.

use std::sync::Arc;

use jiff::Timestamp;

use super::House;
use crate::{
    call::{
        live::Order,
        room::{Member, RoomFacts},
    },
    control::protocol::{Fault, FaultCode, MemberInfo, RoomChanged, RoomInfo, RoomMute, RoomTarget},
};

impl House {
    pub(super) fn rooms(&self) -> Vec<RoomInfo> {
        self.exchange.rooms.all().into_iter().map(room_info).collect()
    }

    pub(super) fn kick(&self, target: &RoomTarget) -> Result<RoomChanged, Fault> {
        let mut members = self.members(target)?;
        // Whoever has so many orders waiting is leaving already.
        members.retain(|member| member.leg.orders.try_send(Order::LeaveRoom).is_ok());
        Ok(changed(&members))
    }

    pub(super) fn mute(&self, wanted: &RoomMute) -> Result<RoomChanged, Fault> {
        let members = self.members(&wanted.target)?;
        for member in &members {
            self.exchange.mute_in_room(member, wanted.muted);
        }
        Ok(changed(&members))
    }

    fn members(&self, target: &RoomTarget) -> Result<Vec<Arc<Member>>, Fault> {
        let RoomTarget { room, member } = target;
        let members = self.exchange.rooms.members(room, member.as_deref());
        if !members.is_empty() {
            return Ok(members);
        }
        let message = match member {
            Some(member) => format!("{member}: nobody of that name is in room {room}"),
            None => format!("{room}: nobody is in that room"),
        };
        Err(Fault::new(FaultCode::NotFound, message)
            .hint("`pbx conf ls` lists the rooms, `pbx conf show` who is in one"))
    }
}

fn changed(members: &[Arc<Member>]) -> RoomChanged {
    RoomChanged { members: members.iter().map(|member| member.leg.uuid.clone()).collect() }
}

fn room_info(facts: RoomFacts) -> RoomInfo {
    RoomInfo {
        duration_s: Timestamp::now().duration_since(facts.began).as_secs_f64().max(0.0),
        room: facts.name,
        started: facts.began,
        members: facts.members.iter().map(|member| member_info(member)).collect(),
    }
}

fn member_info(member: &Member) -> MemberInfo {
    MemberInfo {
        uuid: member.leg.uuid.clone(),
        channel: member.leg.name.clone(),
        number: member.caller.number.clone(),
        name: member.caller.name.clone(),
        entered: member.entered,
        muted: member.is_muted(),
    }
}
