//! `pbx conf`: the conference rooms and who is in them.

use clap::{Args as ClapArgs, Subcommand};
use serde::Serialize;

use crate::cli::common::Context;
use crate::cli::exit::{Done, Exit, Failure};
use crate::cli::words;
use crate::control::protocol::{Fault, FaultCode, MemberInfo, RoomChanged, RoomInfo, RoomMute, RoomTarget, method};

/// List the conference rooms, or change one
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// List the rooms that anybody is in
    Ls,
    /// Show who is in a room; exit 3 when nobody is
    Show {
        /// The room's name
        room: String,
    },
    /// Send a member out of a room; its call goes on in the dialplan
    Kick(Whom),
    /// Let the others in a room hear a member no longer
    Mute(Whom),
    /// Let the others hear a member again
    Unmute(Whom),
}

#[derive(ClapArgs, Debug)]
struct Whom {
    /// The room's name
    room: String,
    /// The UUID or the channel of a member
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    member: Option<String>,
    /// Everybody in the room
    #[arg(long)]
    all: bool,
}

#[derive(Serialize)]
struct Rooms {
    rooms: Vec<RoomInfo>,
}

pub(super) async fn run(args: Args, context: &Context) -> Done {
    match args.command {
        Command::Ls => list(context).await?,
        Command::Show { room } => show(&room, context).await?,
        Command::Kick(whom) => {
            let target = target(whom);
            change("send out", "sent out", context, (method::ROOM_KICK, &target, &target)).await?;
        }
        Command::Mute(whom) => {
            let wanted = RoomMute { target: target(whom), muted: true };
            change("mute", "muted", context, (method::ROOM_MUTE, &wanted, &wanted.target)).await?;
        }
        Command::Unmute(whom) => {
            let wanted = RoomMute { target: target(whom), muted: false };
            change("unmute", "unmuted", context, (method::ROOM_MUTE, &wanted, &wanted.target)).await?;
        }
    }
    Ok(Exit::Ok)
}

fn target(whom: Whom) -> RoomTarget {
    RoomTarget { room: whom.room, member: whom.member }
}

async fn list(context: &Context) -> Result<(), Failure> {
    let rooms: Vec<RoomInfo> = context.list(method::ROOMS, &()).await?;
    if context.output.is_json() {
        return context.output.document("pbx.rooms/1", &Rooms { rooms });
    }
    let rows: Vec<Vec<String>> = rooms.iter().map(row).collect();
    context.output.table(&["ROOM", "MEMBERS", "MUTED", "DURATION"], &rows)
}

fn row(room: &RoomInfo) -> Vec<String> {
    let muted = room.members.iter().filter(|member| member.muted).count();
    vec![room.room.clone(), room.members.len().to_string(), muted.to_string(), words::duration(room.duration_s)]
}

async fn show(name: &str, context: &Context) -> Result<(), Failure> {
    let rooms: Vec<RoomInfo> = context.list(method::ROOMS, &()).await?;
    let empty = || Fault::new(FaultCode::NotFound, format!("{name}: nobody is in that room"));
    let room = rooms.into_iter().find(|room| room.room == name).ok_or_else(empty)?;
    if context.output.is_json() {
        return context.output.document("pbx.room/1", &room);
    }
    let rows: Vec<Vec<String>> = room.members.iter().map(member_row).collect();
    context.output.table(&["UUID", "NUMBER", "NAME", "ENTERED", "MUTED", "CHANNEL"], &rows)
}

fn member_row(member: &MemberInfo) -> Vec<String> {
    vec![
        member.uuid.clone(),
        member.number.clone(),
        member.name.clone(),
        words::local(member.entered),
        if member.muted { "yes" } else { "no" }.to_owned(),
        member.channel.clone(),
    ]
}

/// Asks for a change, and says to whom it was made.
async fn change(
    would: &str,
    did: &str,
    context: &Context,
    (method, params, target): (&str, &(impl Serialize + Sync), &RoomTarget),
) -> Result<(), Failure> {
    if context.common.dry_run {
        let whom = target.member.as_deref().unwrap_or("everybody");
        context.output.note(&format!("would {would} {whom} in room {}", target.room));
        return Ok(());
    }
    let changed: RoomChanged = context.ask(method, params).await?;
    if context.output.is_json() {
        return context.output.document("pbx.room-change/1", &changed);
    }
    for member in &changed.members {
        context.output.note(&format!("{did} {member}"));
    }
    Ok(())
}
