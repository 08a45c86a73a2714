//! Applications and functions that Asterisk has and we do not, each with the reason. A plan that names them loads with a
//! warning; a call that reaches such an application ends, such a function is empty. Above: `app`, `func`, `parse`.

use std::sync::LazyLock;

use serde_json::json;

use super::app::{self, App, CheckError, Doing, Next};
use super::args::Args;
use super::func::{self, Func, FuncError};
use super::piece::Piece;
use super::vars::Scope;
use crate::call::{Channel, Position};

const CALENDARS: &str = "calendars are not part of this";
const CHAN_SIP: &str = "chan_sip is gone from Asterisk too; use PJSIP_HEADER and CHANNEL";
const DATABASES: &str = "needs a database driver";
const FAX: &str = "fax is not part of this";
const FILES: &str = "files are not read or written by a dialplan";
const GONE: &str = "gone from Asterisk too";
const HARDWARE: &str = "there are no telephone cards here";
const MEETME: &str = "use ConfBridge";
const MESSAGES: &str = "text messages are not part of this";
const NOT_BUILT: &str = "is not built in";
const OTHER_PROTOCOLS: &str = "only SIP is spoken here";
const PARKING: &str = "parking and pickup are not part of this";
const PROGRAMS: &str = "programs do not take part in calls; use System";
const QUEUES: &str = "queues and agents are not part of this";
const RENAMING: &str = "a recording has its name from its first byte; rec rename gives it another one";
const SIP_INSIDE: &str = "the SIP stack does not show this";
const SOUND: &str = "sound is not changed in a call";
const SPEECH: &str = "speech recognition is not part of this";
const SPYING: &str = "use spy";
const VOICEMAIL: &str = "voicemail is not part of this";

/// Applications of Asterisk 22 and of well-known dialplans, by why they are not here.
const APPS: &[(&str, &str)] = &[
    (
        QUEUES,
        "AddQueueMember AgentLogin AgentRequest PauseQueueMember Queue QueueLog QueueUpdate RemoveQueueMember \
         SLAStation SLATrunk UnpauseQueueMember",
    ),
    (
        HARDWARE,
        "ADSIProg AlarmReceiver DAHDIAcceptR2Call DAHDIScan DAHDISendCallreroutingFacility \
         DAHDISendKeypadFacility Flash GetCPEID PrivacyManager ReceiveMF ReceiveSF Rpt SendMF SendSF \
         SetTransferCapability Signal StoreDTMF WaitForRing WaitForSignal Zapateller",
    ),
    (
        PROGRAMS,
        "AELSub AGI AudioSocket DeadAGI EAGI ExternalIVR Festival ICES IVRDemo JACK MP3Player NBScat Stasis \
         StasisBroadcast",
    ),
    (SOUND, "AMD StreamEcho ToneScan WaitForNoise WaitForTone"),
    (
        NOT_BUILT,
        "AttendedTransfer BlindTransfer Bridge BridgeAdd CELGenUserEvent ChanIsAvail ChannelRedirect \
         ClearHash ControlPlayback DateTime DumpChan Else ElseIf EndIf ExitIf FollowMe ForkCDR \
         HangupCauseClear If Milliwatt Morsecode Proceeding RaiseException ResetCDR RetryDial SayAlphaCase \
         SayCountedAdj SayCountedNoun SayMoney SayOrdinal SayUnixTime StartMusicOnHold StatsD StopMusicOnHold \
         TestClient TestServer Transfer WaitDigit WaitForCondition WaitUntil",
    ),
    (
        GONE,
        "BackgroundDetect CallingPres DBget DBput ImportVar LookupBlacklist LookupCIDName MacroExclusive \
         MacroIf Math NoCDR ReadFile SayCountPL SetAMAFlags SetCallerID SetCallerPres SetCIDName SetCIDNum \
         SetGlobalVar SetMusicOnHold SetVar WaitMusicOnHold",
    ),
    (MEETME, "BridgeWait Broadcast ConfKick MeetMe MeetMeAdmin MeetMeChannelAdmin MeetMeCount Page"),
    (PARKING, "CallCompletionCancel CallCompletionRequest Park ParkAndAnnounce ParkedCall Pickup PickupChan"),
    (RENAMING, "ChangeMonitor"),
    (SPYING, "ChanSpy ExtenSpy"),
    (
        VOICEMAIL,
        "Dictate Directory HasNewVoicemail HasVoicemail MailboxExists MinivmAccMess MinivmDelete MinivmGreet \
         MinivmMWI MinivmNotify MinivmRecord VMAuthenticate VMSayName VoiceMail VoiceMailMain \
         VoiceMailPlayMsg",
    ),
    (OTHER_PROTOCOLS, "IAX2Provision OSPAuth OSPFinish OSPLookup OSPNext"),
    (
        MESSAGES,
        "Image JabberJoin JabberLeave JabberSend JabberSendGroup MessageSend ReceiveText SendImage SendText \
         SendURL SMS Url",
    ),
    (DATABASES, "MYSQL ODBC_Commit ODBC_Rollback ODBCFinish"),
    (FAX, "NVFaxDetect ReceiveFAX SendFAX"),
    (SIP_INSIDE, "PJSIPHangup PJSIPNotify"),
    (FILES, "Reload"),
    (CHAN_SIP, "SIPDtmfMode SIPRemoveHeader SIPSendCustomINFO"),
    (
        SPEECH,
        "SpeechActivateGrammar SpeechBackground SpeechCreate SpeechDeactivateGrammar SpeechDestroy \
         SpeechLoadGrammar SpeechProcessingSound SpeechStart SpeechUnloadGrammar",
    ),
];

/// Functions, likewise.
const FUNCTIONS: &[(&str, &str)] = &[
    (
        SOUND,
        "AGC DENOISE FRAME_DROP FRAME_TRACE HOLD_INTERCEPT JITTERBUFFER MUTEAUDIO PITCH_SHIFT SCRAMBLE \
         TALK_DETECT TONE_DETECT VOLUME",
    ),
    (
        QUEUES,
        "AGENT QUEUE_EXISTS QUEUE_GET_CHANNEL QUEUE_MEMBER QUEUE_MEMBER_COUNT QUEUE_MEMBER_LIST \
         QUEUE_MEMBER_PENALTY QUEUE_VARIABLES QUEUE_WAITING_COUNT QUEUEAGENTCOUNT",
    ),
    (
        NOT_BUILT,
        "AMI_CLIENT CDR_PROP CHANNEL_EXISTS CHANNELS CONFBRIDGE DELETE DIALGROUP EVAL_EXTEN \
         EVAL_SUB EXCEPTION EXPORT FEATURE FEATUREMAP GLOBAL_DELETE GLOBAL_EXISTS HANGUPCAUSE_KEYS \
         HINT ICONV IMPORT JSON_DECODE LOCAL_PEEK LOCK LOG_GROUP MASTER_CHANNEL PERIODIC_HOOK \
         PP_EACH_EXTENSION PP_EACH_USER PRESENCE_STATE REDIRECTING SAYFILES STACK_PEEK TESTTIME TRYLOCK UNLOCK VALID_EXTEN \
         VARIABLE_EXISTS",
    ),
    (
        DATABASES,
        "AST_CONFIG AST_SORCERY ODBC ODBC_FETCH REALTIME REALTIME_DESTROY REALTIME_FIELD REALTIME_HASH \
         REALTIME_STORE SQL_ESC SQL_ESC_BACKSLASHES",
    ),
    (FILES, "BASENAME DIRNAME FILE FILE_COUNT_LINE FILE_FORMAT IFMODULE STAT SYSINFO"),
    (GONE, "BLACKLIST CALLERPRES DEVSTATE LANGUAGE MUSICCLASS"),
    (CALENDARS, "CALENDAR_BUSY CALENDAR_EVENT CALENDAR_QUERY CALENDAR_QUERY_RESULT CALENDAR_WRITE"),
    (PARKING, "CALLCOMPLETION PARK_GET_CHANNEL"),
    (CHAN_SIP, "CHECKSIPDOMAIN SIP_HEADER SIP_HEADERS SIPCHANINFO SIPPEER"),
    (
        OTHER_PROTOCOLS,
        "CURL CURLOPT DUNDILOOKUP DUNDIQUERY DUNDIRESULT ENUMLOOKUP ENUMQUERY ENUMRESULT GEOLOC_PROFILE \
         IAXPEER IAXVAR SRVQUERY SRVRESULT STIR_SHAKEN STIR_SHAKEN_ATTESTATION TXTCIDNAME",
    ),
    (HARDWARE, "DAHDI_CHANNEL POLARITY"),
    (FAX, "FAXOPT"),
    (MESSAGES, "JABBER_RECEIVE JABBER_STATUS MESSAGE MESSAGE_DATA"),
    (VOICEMAIL, "MAILBOX_EXISTS MINIVMACCOUNT MINIVMCOUNTER SMDI_MSG SMDI_MSG_RETRIEVE VM_INFO VMCOUNT"),
    (MEETME, "MEETME_INFO"),
    (
        SIP_INSIDE,
        "PJSIP_AOR PJSIP_CONTACT PJSIP_DIAL_CONTACTS PJSIP_DTMF_MODE PJSIP_ENDPOINT PJSIP_HEADER_PARAM \
         PJSIP_HEADERS PJSIP_INHERITABLE_HEADER PJSIP_MEDIA_OFFER PJSIP_MOH_PASSTHROUGH PJSIP_PARSE_URI \
         PJSIP_PARSE_URI_FROM PJSIP_RESPONSE_HEADER PJSIP_RESPONSE_HEADERS PJSIP_SEND_SESSION_REFRESH \
         PJSIP_TRANSFER_HANDLING",
    ),
    (PROGRAMS, "SHELL"),
    (SPEECH, "SPEECH SPEECH_ENGINE SPEECH_GRAMMAR SPEECH_RESULTS_TYPE SPEECH_SCORE SPEECH_TEXT"),
];

/// An application that is not here.
struct AbsentApp {
    name: &'static str,
    why: &'static str,
}

/// A function that is not here.
struct AbsentFunc {
    name: &'static str,
    why: &'static str,
}

/// In the order of the alphabet, whatever the letter case; without those that have come into the table.
static ABSENT_APPS: LazyLock<Vec<AbsentApp>> = LazyLock::new(|| {
    let here = |name: &str| app::TABLE.iter().any(|app| app.name().eq_ignore_ascii_case(name));
    let mut apps: Vec<_> =
        named(APPS).filter(|(name, _)| !here(name)).map(|(name, why)| AbsentApp { name, why }).collect();
    apps.sort_by_key(|app| app.name.to_ascii_lowercase());
    apps
});

/// In the order of their names; without those that have come into the table.
static ABSENT_FUNCTIONS: LazyLock<Vec<AbsentFunc>> = LazyLock::new(|| {
    let here = |name: &str| func::TABLE.iter().any(|func| func.name() == name);
    let all = named(FUNCTIONS).filter(|(name, _)| !here(name));
    let mut functions: Vec<_> = all.map(|(name, why)| AbsentFunc { name, why }).collect();
    functions.sort_by_key(|func| func.name);
    functions
});

fn named(table: &'static [(&'static str, &'static str)]) -> impl Iterator<Item = (&'static str, &'static str)> {
    table.iter().flat_map(|(why, names)| names.split_ascii_whitespace().map(|name| (name, *why)))
}

/// Names of applications and the reasons, for the manual.
pub fn apps() -> impl Iterator<Item = (&'static str, &'static str)> {
    ABSENT_APPS.iter().map(|app| (app.name, app.why))
}

/// Names of functions and the reasons, for the manual.
pub fn functions() -> impl Iterator<Item = (&'static str, &'static str)> {
    ABSENT_FUNCTIONS.iter().map(|func| (func.name, func.why))
}

/// The stand-in for an application; letter case does not count.
pub(super) fn app(name: &str) -> Option<&'static dyn App> {
    found_app(name).map(|app| app as &dyn App)
}

/// The stand-in for a function.
pub(super) fn function(name: &str) -> Option<&'static dyn Func> {
    found_function(name).map(|func| func as &dyn Func)
}

/// Why an application is not here.
pub(super) fn why_app(name: &str) -> Option<&'static str> {
    found_app(name).map(|app| app.why)
}

/// The functions in a text that are not here: name, reason, and the byte at which each stands.
pub(super) fn functions_in(text: &str) -> impl Iterator<Item = (&'static str, &'static str, usize)> {
    text.match_indices('(').filter_map(|(open, _)| {
        let before = text.get(..open)?;
        let name = before.rsplit(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next()?;
        let start = open - name.len();
        let read = before.get(..start).is_some_and(|before| before.ends_with("${"));
        let set = || text.get(open..)?.split_once(')').map(|(_, behind)| behind.starts_with('='));
        let func = found_function(name).filter(|_| read || set() == Some(true))?;
        Some((func.name, func.why, start))
    })
}

fn found_app(name: &str) -> Option<&'static AbsentApp> {
    let lower = name.to_ascii_lowercase();
    let index = ABSENT_APPS.binary_search_by(|app| app.name.to_ascii_lowercase().cmp(&lower)).ok()?;
    ABSENT_APPS.get(index)
}

fn found_function(name: &str) -> Option<&'static AbsentFunc> {
    let index = ABSENT_FUNCTIONS.binary_search_by(|func| func.name.cmp(name)).ok()?;
    ABSENT_FUNCTIONS.get(index)
}

impl App for AbsentApp {
    fn name(&self) -> &'static str {
        self.name
    }

    fn syntax(&self) -> &'static str {
        ""
    }

    fn synopsis(&self) -> &'static str {
        self.why
    }

    fn check(&self, _args: &Piece<'_>) -> Result<(), CheckError> {
        Ok(())
    }

    fn exec<'a>(&self, chan: &'a mut Channel, _args: Args<'a>) -> Doing<'a> {
        let Position { context, extension, priority } = chan.position().clone();
        let name = self.name;
        tracing::error!(
            uuid = chan.uuid(),
            "No application '{name}' for extension ({context}, {extension}, {priority})"
        );
        chan.exchange().journal.note(
            "dialplan.absent",
            json!({"uuid": chan.uuid(), "application": name, "context": context, "extension": extension, "priority": priority}),
        );
        Ok(Next::End).into()
    }
}

impl Func for AbsentFunc {
    fn name(&self) -> &'static str {
        self.name
    }

    fn syntax(&self) -> &'static str {
        ""
    }

    fn synopsis(&self) -> &'static str {
        self.why
    }

    fn read(&self, _scope: &mut dyn Scope, _args: Piece<'_>) -> Result<String, FuncError> {
        Err(FuncError::Wrong(format!("is not here ({})", self.why)))
    }

    fn write(&self, _scope: &mut dyn Scope, _args: Piece<'_>, _value: String) -> Result<(), FuncError> {
        Err(FuncError::Wrong(format!("is not here ({})", self.why)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_here_is_not_absent() {
        assert!(apps().all(|(name, _)| !app::TABLE.iter().any(|app| app.name().eq_ignore_ascii_case(name))));
        assert!(functions().all(|(name, _)| !func::TABLE.iter().any(|func| func.name() == name)));
    }

    #[test]
    fn names_are_given_once() {
        assert!(ABSENT_APPS.is_sorted_by(|a, b| a.name.to_ascii_lowercase() < b.name.to_ascii_lowercase()));
        assert!(ABSENT_FUNCTIONS.is_sorted_by(|a, b| a.name < b.name));
        assert_eq!(why_app("voicemail"), Some(VOICEMAIL));
    }

    #[test]
    fn functions_are_seen_where_they_are_read_or_set() {
        let seen = |text| functions_in(text).map(|(name, _, at)| (name, at)).collect::<Vec<_>>();
        assert_eq!(seen("a${CURL(x)}$[${ODBC_FETCH(1)}]"), [("CURL", 3), ("ODBC_FETCH", 15)]);
        assert_eq!(seen("Set(VOLUME(TX)=3)"), [("VOLUME", 4)]);
        assert_eq!(seen("NoOp(VOLUME(up)) and CURL("), []);
    }
}
