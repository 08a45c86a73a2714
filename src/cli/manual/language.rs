//! The words of wirechief-dialplan(7) that no table has: what the language is, and where it is not Asterisk's on purpose.
//! Above: `manual` sets them. What can be checked is checked there.

use crate::call::variables;
use crate::dialplan::{MAX_VALUE_BYTES, exec};

/// A piece of the page.
pub(super) enum Block {
    /// A paragraph.
    Words(String),
    /// A term and what is to be said of it.
    Point(String, String),
    /// Lines as they are.
    Lines(Vec<String>),
}

pub(super) const EXAMPLE: &[&str] = &[
    "[globals]",
    "RINGTIME=30",
    "",
    "[internal]",
    "exten => _100X,1,NoOp(${CALLERID(num)} calls ${EXTEN})",
    " same => n,Dial(SIP/${EXTEN},${RINGTIME})",
    " same => n,GotoIf($[\"${DIALSTATUS}\" = \"BUSY\"]?busy)",
    " same => n,Congestion(10)",
    " same => n(busy),Busy(10)",
];

pub(super) const CHECKED_PIN: &[&str] = &[
    "[internal]",
    "exten => *78,1,Answer()",
    " same => n,Read(Exten,extension,3)",
    " same => n,Set(SECRET(Pin)=yes)",
    " same => n,Read(Pin,agent-pass)",
    " same => n,GotoIf($[${PIN_CHECK(pin/${Exten},${Pin})}]?right)",
    " same => n,Playback(pin-invalid)",
    " same => n,Hangup()",
    " same => n(right),Playback(pin-number-accepted)",
];

pub(super) const RECORDED: &[&str] = &[
    "[internal]",
    "exten => _9X.,1,Answer()",
    " same => n,MixMonitor(${STRFTIME(,,%Y/%m)}/${FILTER(0-9,${EXTEN})}-${UNIQUEID}.wav,b,rec push -q ^{UNIQUEID})",
    " same => n,Dial(SIP/icall/${EXTEN:1},,g)",
    " same => n,StopMixMonitor()",
    " same => n,UserEvent(recorded,file:${MIXMONITOR_FILENAME})",
];

/// Texts and their values where V is 0123456789.
pub(super) const VALUES: &[(&str, &str)] = &[
    ("${V:2}", "23456789"),
    ("${V:-3:2}", "78"),
    ("${V:0:-1}", "012345678"),
    ("${LEN(äöü)}", "3"),
    ("${TOUPPER(abcdef):1:3}", "BCD"),
    ("$[7 / 2]", "3.5"),
    ("$[1 / 3]", "0.333333333333333333"),
    ("$[\"a\" = a]", "0"),
    ("$[\"10\" > \"9\"]", "0"),
    ("$[10 > 9]", "1"),
    ("$[\"hello123\" : \"([a-z]+)\"]", "hello"),
    ("${IF(0.0?yes:no)}", "no"),
    ("${IF(text?yes:no)}", "yes"),
];

pub(super) const APPLICATIONS: &str = "Letter case does not count. The arguments in [ ] may be left out. An option that is a letter \
stands among the others without a comma; where it says so, its own argument follows in ( ).";

pub(super) const FUNCTIONS: &str = "Read as ${NAME(arguments)}; those that can be set are set by Set(NAME(arguments)=value). Letter \
case counts. A function that fails gives an empty value and a line in the log.";

pub(super) const ABSENT: &str = "What Asterisk and well-known dialplans have and this has not. A dialplan that names it is read, with \
a warning; a call that reaches such an application ends, with its h extension, and such a function is empty. A name that \
nobody knows is a mistake, and the dialplan is not taken.";

/// All but the tables, in order.
pub(super) fn sections() -> Vec<(&'static str, Vec<Block>)> {
    vec![
        ("DESCRIPTION", description()),
        ("VALUES", values()),
        ("DIFFERENCES FROM ASTERISK", differences()),
        ("PINS", pins()),
        ("RECORDING", recording()),
        ("WHO IS IN WHICH CALL", spymap()),
        ("RELOADING", reloading()),
        ("LIMITS", limits()),
    ]
}

fn words(text: &str) -> Block {
    Block::Words(text.to_owned())
}

fn point(head: &str, text: &str) -> Block {
    Block::Point(head.to_owned(), text.to_owned())
}

fn lines(lines: &[&str]) -> Block {
    Block::Lines(lines.iter().map(|line| (*line).to_owned()).collect())
}

fn description() -> Vec<Block> {
    vec![
        words(
            "The dialplan says what calls do. It is the language of Asterisk's extensions.conf, read and run as Asterisk 22 does \
             but for the differences below. pbx.toml names its files; a later one overlays an earlier one.",
        ),
        lines(EXAMPLE),
        words(
            "A call enters a context at the number dialled, runs that extension's priorities in their order, and ends after the \
             last one. Then the extension h of the context runs, where there is one.",
        ),
        point(
            "exten => NAME[/CALLER],PRIORITY[(LABEL)],APPLICATION(ARGUMENTS)",
            "One priority: a number, n for the next, n+5 to leave room, s for the same.",
        ),
        point("same => PRIORITY[(LABEL)],APPLICATION(ARGUMENTS)", "One more of the extension above."),
        point("exten => NAME,hint,DEVICE&DEVICE", "The devices whose state is the extension's."),
        point(
            "include => CONTEXT[,HOURS,WEEKDAYS,DAYS,MONTHS]",
            "What is not found in this context is looked for there, at those times.",
        ),
        point(
            "[NAME](!), [NAME](TEMPLATE), [NAME](+)",
            "A template; a context that begins with its lines; an addition to a context above.",
        ),
        point("#include \"FILE\", #tryinclude \"FILE\"", "The file's lines stand here. #exec is refused."),
        point("; and ;-- --;", "A comment to the end of the line, and one over several lines."),
        words(
            "A NAME that begins with _ is a pattern: X is 0-9, Z 1-9, N 2-9, [2-57] a set, . one or more characters, ! none or more. \
             Names come before patterns; of two patterns the one that is narrower at the first place where they differ comes \
             first; a context's own extensions come before those it includes. `pbx match` shows it for a number.",
        ),
        words(
            "Names with a meaning: s where nothing was dialled, i for what is nothing, t for a caller who dials nothing in time, h after \
             the end. To the matcher they are names like others: the pattern _. catches h too, so that it runs twice for every \
             call. Write _X. instead. There is no caller any more in h: an application that speaks to one ends it.",
        ),
    ]
}

fn values() -> Vec<Block> {
    let rows = VALUES.iter().map(|(text, value)| format!("{text:<32} {value}"));
    vec![
        words(
            "${NAME} is the value of a variable, ${NAME:OFFSET:LENGTH} a part of it, counted in characters from the end when \
             negative; ${FUNCTION(arguments)} that of a function; $[ ] that of an expression. A value is not substituted again. \
             Channel variables come before [globals]. Set(_NAME=...) gives a variable to the channels that are called, \
             Set(__NAME=...) also to those that they call.",
        ),
        words(
            "Operators, the loosest first: ? ::, |, &, = == > < >= <= !=, + -, * / %, ! and - before a value, : =~ ~~. Numbers have \
             18 digits. Two values are compared as numbers only if both are numbers without quotes, which are part of a text. \
             A syntax error is a warning when the file is read and gives what was understood up to there; a division by zero \
             gives 2147483647.",
        ),
        words("With V=0123456789:"),
        Block::Lines(rows.collect()),
        words(
            "A condition (GotoIf, ExecIf, While, IF) holds unless it is empty or begins with a number whose whole part is zero: \
             0, 00 and 0.5 do not hold, 1, -1 and no do.",
        ),
        words("`pbx eval` prints the value of any such text; `pbx trace` shows them in a live call."),
    ]
}

fn differences() -> Vec<Block> {
    vec![
        point(
            "Values are data",
            "Arguments are split before variables are put in. A caller whose number or name is 300&SIP/1001 or a,b reaches no second \
             phone and makes no second argument; quotes, brackets and $[ in a value are characters like others.",
        ),
        point(
            "What an administrator wrote may be split",
            "A variable that was set from text of the dialplan alone, one of [globals], and what IF or IFTIME chooses among written \
             texts, are split as if they stood there: Dial(${RINGALL}) with RINGALL=SIP/1001&SIP/1002 rings two phones. As soon \
             as anything in the value came from a phone, a key, the store or a channel, it is one operand.",
        ),
        point(
            "EVAL of values from outside",
            "EVAL substitutes in text of the dialplan. A value from outside with ${ or $[ in it gives nothing, and a line in the log.",
        ),
        point(
            "Programs",
            "System and TrySystem start nothing unless [dialplan] system in pbx.toml says \"argv\" (the listed programs, with the words \
             that were written, no shell) or \"shell\" (values are arguments of the script, never part of it). SHELL() and AGI are \
             not here.",
        ),
        point("Environment", "ENV() reads the variables that [dialplan] env lists, no others."),
        point(
            "Secrets",
            "Set(SECRET(NAME)=yes), or NAME in [dialplan] secrets, keeps a variable's values out of logs, events and traces.",
        ),
        point(
            "Dialling from outside",
            "DISA(no-password) is refused without the option u; wrong PINs block the caller for a while.",
        ),
        point("LEN and offsets", "count characters; Asterisk counts bytes."),
        point("HASHKEYS", "gives the key that was set last first."),
        point(
            "VERSION",
            "VERSION() is wirechief's; VERSION(ASTERISK_VERSION_NUM) that of the Asterisk it behaves like. Who built it, where and \
             when is empty.",
        ),
        point("switch =>", "is read, with a warning, and never searched."),
        point(
            "Mistakes",
            "An unknown application, a wrong option, an unclosed bracket is an error with file, line and column when the file is read, \
             not when a call gets there. `pbx check` finds them.",
        ),
    ]
}

fn pins() -> Vec<Block> {
    vec![
        words(
            "A widespread dialplan compares what the caller entered with the store by $[\"${PinEntry}\" = \"${DB(pin/${Extension})}\"]. \
             Run here to the letter it does what it does in Asterisk: an extension without a PIN and a caller who enters nothing \
             are equal, and the caller is let in. PIN_CHECK never finds nothing equal to nothing, takes the same time for every \
             wrong PIN, and locks after five wrong ones in a row:",
        ),
        lines(CHECKED_PIN),
        words(
            "Whether a PIN is stored under a key: astdb check. DB's family and key are parts, split at the first / that was written.",
        ),
        words(
            "[dialplan] secrets in pbx.toml lists variables whose values appear in no log, trace or event, and families of the store: \
             secrets = [\"PinEntry\", \"DB(pin/*)\"]. What is computed from such a value is as secret. PIN_STATUS is RIGHT, WRONG, \
             LOCKED, or FAILED where the store could not be asked, as before `astdb unlock`.",
        ),
    ]
}

fn recording() -> Vec<Block> {
    vec![
        lines(RECORDED),
        words(
            "A recording carries its name from its first byte and can be played at every second. Its file and the manifest beside \
             it lie in [recording] spool of pbx.toml, and when it is complete it is in the outbox, from where rec push brings it \
             to the remotes. It begins with the answer, follows its call through holds and transfers, and ends with the leg that \
             it was begun on; StopMixMonitor and StopMonitor end it earlier and go on when it is complete. What the macro \
             record-enable began is complete when the next Dial has ended: the priority behind it finds the file.",
        ),
        words(
            "[recording] announce tells parties first, each once and those who join later too, and consent = \"key\" lets each of them \
             agree by a key, which nobody else gets to see. Of a call that somebody refuses to have recorded nothing is kept but \
             that he did: rec show of the call's UUID says so. Where recording is required a call that could not be recorded is \
             refused with 503 before a phone rings, and DIALSTATUS is CONGESTION in the h extension.",
        ),
        words(
            "Nothing is overwritten: where there is a file of that name, the new one is called -2, -3 and so on, but for option a. \
             Of what is not written in the dialplan, as a caller's number, only letters, digits and +._- come into a name, and no \
             name leads out of the spool. Only .wav is written; rec export makes other files of it.",
        ),
        words(
            "A command of MixMonitor is started as System starts one, and what it starts finds this server: WIRECHIEF_CONFIG, \
             WIRECHIEF_SOCKET and REC_SPOOL are in its environment.",
        ),
    ]
}

fn spymap() -> Vec<Block> {
    vec![
        words(
            "Some entries of the store are answered from the live calls, are never on the disk, and can be read also while the store is \
             locked; whatever a dialplan inserts there does no harm.",
        ),
        point(
            "DB(spymap/1001), db(select/spymap/1001)",
            "The UUID of a leg of the user or number 1001, calling or called: the newest that is answered, else the newest; a user's \
             before that of a stranger who only gives the number; nothing when there is none. Where there is no such leg, what was \
             inserted, as long as it names a live one. DB_EXISTS, DB_KEYS(spymap) and DB_KEYCOUNT(spymap) go by the same.",
        ),
        point("DB(last_dial/global)", "The UUID of the newest call; nothing when there is none."),
        point("DB(last_dial/1001)", "Whom 1001 calls now; else what was stored there."),
    ]
}

fn reloading() -> Vec<Block> {
    vec![words(
        "`pbx reload dialplan` reads all files aside and swaps the whole plan. Live calls keep the plan they began with to their \
         end; new ones take the new. Variables of [globals] get the values of the files again; those that only calls have set \
         stay. A mistake anywhere changes nothing and is told with exit code 5; `pbx reload dialplan --dry-run` only tells what \
         would change.",
    )]
}

fn limits() -> Vec<Block> {
    let steps = exec::MAX_BUSY_STEPS;
    let subroutines = exec::MAX_FRAMES;
    let value = MAX_VALUE_BYTES / 1024;
    let variables = variables::MAX_BYTES / (1024 * 1024);
    vec![
        words("A call whose script goes beyond one of these is ended, with an event dialplan.runaway:"),
        Block::Point(format!("{steps} priorities"), "without waiting for anything once.".to_owned()),
        Block::Point(format!("{subroutines} subroutines"), "inside each other.".to_owned()),
        Block::Point(format!("{value} KiB"), "a value.".to_owned()),
        Block::Point(format!("{variables} MiB"), "of names and values of one channel's variables.".to_owned()),
    ]
}
