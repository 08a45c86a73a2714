//! What the server asks of the house: the other side of every method on the control socket.
//! Above: `server` calls it. Implemented by the composition root, and by a fake one in tests.

use std::pin::Pin;

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::{broadcast, mpsc};
use zeroize::Zeroizing;

use super::protocol::{
    Bridge, Bridged, CallDetail, CallInfo, CodeInfo, ConsoleSaid, Dtmf, EventRecord, Fault, FaultCode, Hear,
    HeardFrame, Held, Hold, Hungup, LogVerify, Mode, Originate, Originated, Party, Perms, Pressed, RecordTarget,
    RecordVerb, Recorded, RegistrationInfo, ReloadReport, ReloadWhat, RoomChanged, RoomInfo, RoomMute, RoomTarget,
    SettingsInForce, SpyEnd, SpyFacts, SpyInfo, SpyRequest, Status, Stop, StoreKey, StoreList, StoreOrder, TraceWanted,
    Traced, Transfer, Transferred, Unlock, UserInfo, VoiceFrame,
};

use crate::evidence::{Report, Wanted};

/// A future that may be sent to another thread.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Who asks: from the kernel's word about the socket, never from the client's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user id of the client's process.
    pub uid: u32,
    /// Its name in the account file.
    pub account: Option<String>,
    /// Root or the server's own account: may do everything.
    pub admin: bool,
    /// An admin or a member of the control group: may read and change everything but other users' speech.
    pub operator: bool,
}

/// What the server can do. Synchronous methods answer from memory and never block.
///
/// [`status`](Self::status), [`calls`](Self::calls) and [`spy`](Self::spy) may be asked by anyone who reaches the socket; the last two decide by the
/// [`Identity`] they are given. Everything else is asked only for operators: the server has seen to that.
pub trait Backend: Send + Sync + 'static {
    /// The server in one document.
    fn status(&self) -> Status;

    /// The live calls that `who` may see.
    fn calls(&self, who: &Identity) -> Vec<CallInfo>;

    /// One call in full, by the UUID of any of its legs.
    ///
    /// # Errors
    /// Not found.
    fn call<'a>(&'a self, uuid: &'a str) -> BoxFuture<'a, Result<CallDetail, Fault>>;

    /// Ends the call of that leg; `cause` is a Q.850 cause, normal clearing when absent.
    fn hangup<'a>(&'a self, uuid: &'a str, cause: Option<u8>) -> BoxFuture<'a, Result<Hungup, Fault>>;

    /// Presses keys on a leg, towards its phone or as if it pressed them.
    fn dtmf(&self, wanted: Dtmf) -> BoxFuture<'_, Result<Pressed, Fault>>;

    /// Sends legs elsewhere in the dialplan.
    fn transfer(&self, wanted: Transfer) -> BoxFuture<'_, Result<Transferred, Fault>>;

    /// Connects two legs with each other.
    fn bridge(&self, wanted: Bridge) -> BoxFuture<'_, Result<Bridged, Fault>>;

    /// Holds a party for whom it talks with.
    fn hold(&self, wanted: Hold) -> BoxFuture<'_, Result<Held, Fault>>;

    /// Takes back a party that is held by order.
    fn unhold(&self, wanted: Hold) -> BoxFuture<'_, Result<Held, Fault>>;

    /// Begins, ends or changes recordings; what has ended is complete when this returns.
    fn record<'a>(
        &'a self,
        who: &'a Identity,
        wanted: (RecordVerb, RecordTarget),
    ) -> BoxFuture<'a, Result<Recorded, Fault>>;

    /// Calls an endpoint and connects it with an application; returns when the call is under way.
    fn originate(&self, request: Originate) -> BoxFuture<'_, Result<Originated, Fault>>;

    /// The configured users.
    fn users(&self) -> Vec<UserInfo>;

    /// The phones registered now.
    fn registrations(&self) -> Vec<RegistrationInfo>;

    /// The feature codes of the dialplan in force.
    fn codes(&self) -> Vec<CodeInfo>;

    /// The conference rooms that anybody is in.
    fn rooms(&self) -> Vec<RoomInfo>;

    /// Sends members out of a room: their calls go on in the dialplan.
    ///
    /// # Errors
    /// Nobody of that name is in a room of that name.
    fn kick(&self, target: &RoomTarget) -> Result<RoomChanged, Fault>;

    /// Mutes members of a room, or lets them be heard again.
    ///
    /// # Errors
    /// Nobody of that name is in a room of that name.
    fn mute(&self, wanted: &RoomMute) -> Result<RoomChanged, Fault>;

    /// Detail records of calls that ended at `since` or later, the oldest first; at most `limit`, the latest.
    fn records(&self, since: Option<Timestamp>, limit: Option<usize>) -> BoxFuture<'_, Result<Vec<Value>, Fault>>;

    /// The settings in force, secrets masked, and the files they came from.
    fn settings(&self) -> SettingsInForce;

    /// Reads files again and swaps them in whole; on an error the old ones stay in force.
    fn reload(&self, what: ReloadWhat) -> BoxFuture<'_, Result<ReloadReport, Fault>>;

    /// Begins to stop and returns at once.
    fn stop(&self, how: Stop);

    /// Events after `since` that are still remembered, and those to come, with no gap between.
    fn subscribe(&self, since: Option<u64>) -> (Vec<EventRecord>, broadcast::Receiver<EventRecord>);

    /// Follows a script: what it does comes out until its channel is over. Dropping the receiver ends it.
    fn trace(&self, wanted: TraceWanted) -> BoxFuture<'_, Result<mpsc::Receiver<Traced>, Fault>>;

    /// Answers a line as Asterisk's console would.
    fn console<'a>(&'a self, line: &'a str) -> BoxFuture<'a, ConsoleSaid>;

    /// Does something with the store. Only the sealing and opening is the server's: its key never leaves it.
    fn store<'a>(&'a self, _who: &'a Identity, _order: StoreOrder) -> BoxFuture<'a, Result<Value, Fault>> {
        Box::pin(async { Err(no_store()) })
    }

    /// Lists what is in the store, or its history. Dropping the receiver ends the list; an error is its last item.
    fn store_list(&self, _list: StoreList) -> BoxFuture<'_, Result<mpsc::Receiver<Result<Value, Fault>>, Fault>> {
        Box::pin(async { Err(no_store()) })
    }

    /// Whether the server is one that is given its store's key while it runs.
    ///
    /// # Errors
    /// It is not.
    fn takes_a_key(&self) -> Result<(), Fault> {
        Err(no_store())
    }

    /// Takes the key of the store, for a while.
    fn unlock<'a>(
        &'a self,
        _who: &'a Identity,
        _how: Unlock,
        _key: Zeroizing<Vec<u8>>,
    ) -> BoxFuture<'a, Result<StoreKey, Fault>> {
        Box::pin(async { Err(no_store()) })
    }

    /// The running sessions.
    fn spies(&self) -> Vec<SpyInfo>;

    /// The entries of the log of supervision. Dropping the receiver ends the list; an error is its last item.
    fn log(&self, _wanted: Wanted) -> mpsc::Receiver<Result<Value, Fault>> {
        mpsc::channel(1).1
    }

    /// Verifies the log of supervision.
    fn verify_log(&self, _wanted: LogVerify) -> BoxFuture<'_, Result<Report, Fault>> {
        Box::pin(async { Ok(Report::default()) })
    }

    /// Who may supervise whom.
    fn perms(&self) -> Perms {
        Perms::default()
    }

    /// Attaches a supervisor, if `who` may.
    fn spy<'a>(&'a self, who: &'a Identity, request: SpyRequest) -> BoxFuture<'a, Result<SpySession, Fault>>;
}

fn no_store() -> Fault {
    Fault::new(FaultCode::NotFound, "this server has no store")
}

/// The server's side of a running session. Dropping it detaches.
pub struct SpySession {
    /// The session as it begins.
    pub facts: SpyFacts,
    /// The sound, where there is a call yet.
    pub sound: Option<SpySound>,
    /// Changes the session.
    pub control: Box<dyn SpyControl>,
    /// What changes without the client's asking. The last one is the end; a dropped sender means that the call ended.
    pub news: mpsc::Receiver<SpyNews>,
}

/// The sound of one target.
pub struct SpySound {
    /// What the supervisor hears, filled by the media thread, one frame each 20 ms.
    pub frames: rtrb::Consumer<HeardFrame>,
    /// What the supervisor says, emptied by the media thread.
    pub voice: rtrb::Producer<VoiceFrame>,
}

/// What changes of a session by itself.
pub enum SpyNews {
    /// Another target: its sound.
    Sound(SpySound),
    /// Nobody is heard until there is another target.
    Silence,
    /// Other parties, another state or mode.
    Facts(Box<SpyFacts>),
    /// It is over.
    Ended(SpyEnd),
}

/// Changes a running session; rights are checked at each change.
pub trait SpyControl: Send + Sync {
    /// Takes another mode; on record when this returns.
    ///
    /// # Errors
    /// Denied, or the party cannot be told.
    fn set_mode(&self, mode: Mode, to: Option<Party>) -> BoxFuture<'_, Result<SpyFacts, Fault>>;

    /// Hears other parties.
    ///
    /// # Errors
    /// The session is over.
    fn set_hear(&self, hear: Hear) -> BoxFuture<'_, Result<SpyFacts, Fault>>;

    /// Goes on to the next call: the session as it stands until then.
    ///
    /// # Errors
    /// There is nothing to go on to: the session is for one call.
    fn next(&self) -> BoxFuture<'_, Result<SpyFacts, Fault>>;
}
