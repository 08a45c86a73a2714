//! What the tests stand on: scripted phones that speak raw SIP text and RTP over real sockets, tones, a `Pbx` in this process.
//!
//! Nothing here uses the crate's own SIP, SDP, RTP or G.711 code: two readings of the RFCs check each other.

mod attendant;
mod bucket;
mod call;
mod calm;
mod certs;
mod chaos;
mod crm;
mod description;
mod digest;
mod ear;
mod http;
mod media;
mod pbx;
mod phone;
pub(crate) mod program;
mod sigv4;
mod stores;
mod tape;
mod text;
mod tone;
mod wide;
mod wire;

use std::time::Duration;

pub(crate) use call::Call;
pub(crate) use calm::calmly;
pub(crate) use certs::{Authority, Flaw};
pub(crate) use chaos::{Chaos, Weather};
pub(crate) use crm::{Fault, StubCrm, sha256};
pub(crate) use description::Law;
pub(crate) use digest::{Algorithm, Challenge, Login, answer as digest_answer, challenges};
pub(crate) use ear::Ear;
pub(crate) use http::{Asked, Reply};
pub(crate) use media::Packet;
pub(crate) use pbx::{TestPbx, Unusual, example_folder, password};
pub(crate) use phone::{Phone, Profile, fresh};
pub(crate) use tape::{Tape, sound_of};
pub(crate) use text::Text;
pub(crate) use tone::{Sound, Tone, WINDOW, nothing, only, strength};
pub(crate) use wide::ABOVE_HZ;
pub(crate) use wire::{Tasks, Transport, datagram_socket, free_address, take_message};

/// How long a test waits for an event before it fails; never slept, only waited out.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Free bytes that a folder in memory must have: far more than tests write at once, and than servers want to be free.
const ROOM: u64 = 4 << 30;

/// A folder that is gone with its handle; in memory where there is room, so that nobody waits for a disk that has other work.
pub(crate) fn folder() -> tempfile::TempDir {
    let has_room = |memory: &&str| rustix::fs::statvfs(*memory).is_ok_and(|now| now.f_bavail * now.f_frsize >= ROOM);
    let in_memory = Some("/dev/shm").filter(has_room).and_then(|memory| tempfile::tempdir_in(memory).ok());
    in_memory.unwrap_or_else(|| tempfile::tempdir().expect("a folder"))
}
