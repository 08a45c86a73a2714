//! How steps of a dialplan wait for the store, and what of it is shown to nobody.

use rusqlite::{Connection, TransactionBehavior};
use serde_json::Value;
use tokio::time::{Duration, Instant, interval, timeout};
use wirechief::control::protocol::{Status, TraceWanted, Traced, method};

use crate::harness::{PATIENCE, TestPbx, Unusual};

/// The text fields of the `UserEvent(v,text:…)`s so far.
fn told(pbx: &TestPbx) -> Vec<String> {
    let (events, _) = pbx.pbx.exchange().journal.subscribe(Some(0));
    let events = events.iter().filter(|event| event.kind == "user");
    events.map(|event| event.fields["fields"]["text"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Calls `100` of these steps, and gives back what they told.
async fn tells(steps: &[&str]) -> Vec<String> {
    let pbx = TestPbx::with(&plan(steps)).await;
    pbx.phone("alice").await.invite("100").await.is_refused(&[486]).await;
    pbx.is_idle().await;
    told(&pbx)
}

fn plan(steps: &[&str]) -> String {
    let steps: Vec<String> = steps.iter().map(|step| format!(" same => n,{step}\n")).collect();
    format!("exten => 100,1,NoOp()\n{} same => n,Hangup(17)\n", steps.concat())
}

#[tokio::test]
async fn what_removes_is_read_once_wherever_it_is_written() {
    let put = "MSet(DB(t/a)=1,DB(t/b)=2,DB(t/c)=3,DB(t/d)=4,K=t)";
    let tell = |text: &str| format!("UserEvent(v,text:{text})");
    let steps = [
        put,
        &tell("${DB_DELETE(t/a)}${DB_DELETE(${K}/a)}|${DB_EXISTS(t/a)}"),
        &tell("$[${DB_DELETE(t/b)} + 40]${DB_EXISTS(t/b)}"),
        &tell("${IF($[1 = 2]?${DB_DELETE(t/c)}:${DB_DELETE(t/d)})}${DB_EXISTS(t/c)}${DB_EXISTS(t/d)}"),
        "ExecIf($[1 = 2]?Set(X=${DB_DELETE(t/c)}):Set(X=${db(delete/t/c)}))",
        &tell("${X}${DB_EXISTS(t/c)}"),
        put,
        &tell("${LEN(x${DB_DELETE(t/${DB_DELETE(t/a)}a)})}${DB_DELETE(t/d):0:1}${DB(t/b)}"),
        "MSet(DB(t/n)=5,N=${DB(t/n)},DB_DELETE(t/n)=)",
        &tell("${N}${DB_EXISTS(t/n)}"),
    ];
    assert_eq!(tells(&steps).await, ["1|0", "420", "410", "+OK0", "142", "50"]);
}

#[tokio::test]
async fn a_step_that_waits_for_the_disk_keeps_nobody_else_waiting() {
    for step in [
        "UserEvent(v,text:${DB_DELETE(pin/100)})",
        "UserEvent(v,text:${PIN_CHECK(pin/100,1234)}${PIN_STATUS})",
        "UserEvent(v,text:${db(insert/a/b/c)})",
        "MSet(DB(a/b)=1,DB(a/c)=2)",
        "ExecIf(1?Set(X=${DB_DELETE(pin/100)}))",
        "DBdeltree(pin)",
        "db(insert/a/b/c)",
    ] {
        let pbx = TestPbx::with(&plan(&["UserEvent(v,text:begun)", step])).await;
        pbx.store().put("pin", "100", "1234").await.unwrap();
        let path = pbx.store().setup().path.clone();
        let mut other = Connection::open(path).unwrap();
        // Somebody else writes, and takes his time.
        let writing = other.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
        let mut call = pbx.phone("alice").await.invite("100").await;
        let (end, mut beat) = (Instant::now() + PATIENCE, interval(Duration::from_millis(5)));
        while told(&pbx).is_empty() {
            beat.tick().await;
            assert!(Instant::now() < end, "{step}: the script does not run");
        }
        let mut client = pbx.client().await;
        let asked = client.request::<Status>(method::STATUS, &());
        let status = timeout(PATIENCE, asked).await.unwrap_or_else(|_| panic!("{step}: all wait"));
        assert_eq!(status.unwrap().calls, 1, "{step}: the call still waits");
        writing.rollback().unwrap();
        call.is_refused(&[486]).await;
        pbx.is_idle().await;
        let (events, _) = pbx.pbx.exchange().journal.subscribe(Some(0));
        let text = events.iter().rfind(|event| event.kind == "user").unwrap().fields["fields"]["text"].clone();
        let expected = match step {
            step if step.contains("text:${DB_DELETE") => "1234",
            step if step.contains("PIN_CHECK") => "1RIGHT",
            step if step.contains("text:${db(") => "+OK",
            _ => "begun",
        };
        assert_eq!(text, expected, "{step}");
    }
}

#[tokio::test]
async fn s197_what_a_secret_family_holds_is_shown_nowhere_and_works_all_the_same() {
    let steps = [
        "Set(PLAIN=1${DB(pin/100)})",
        "UserEvent(v,text:${DB(pin/100)}/${PLAIN}/${DB_RESULT}/${db(select/pin/100)}/${DB(open/1)})",
        "GotoIf($[${LEN(${PLAIN})} = 5]?right)",
        "Hangup(21)",
        "Set(DB(pin/200)=${DB_DELETE(pin/100)}${CALLERID(num)})",
        "Set(GLOBAL(G)=${DB(open/1)})",
        "Verbose(1,${PLAIN} ${DB_RESULT})",
    ];
    let mut plan = plan(&steps);
    plan = plan.replacen("same => n,Set(DB(pin/200)", "same => n(right),Set(DB(pin/200)", 1);
    let settings = "[dialplan]\nsecrets = [\"OTHER\", \"DB(pin/*)\"]\n".to_owned();
    let pbx = TestPbx::unusual(&plan, Unusual { settings, ..Unusual::default() }).await;
    pbx.store().put("pin", "100", "9876").await.unwrap();
    pbx.store().put("open", "1", "seen").await.unwrap();
    let wanted = TraceWanted { uuid: None, next: Some("100".into()) };
    let mut trace = pbx.client().await.stream(method::TRACE, &wanted).await.unwrap();
    let mut lines = Vec::new();
    let follow = async {
        while let Ok(Some(line)) = trace.next::<Traced>().await {
            lines.push(serde_json::to_string(&line).unwrap());
        }
    };
    let phone = pbx.phone("alice").await;
    let call = async {
        phone.invite("100").await.is_refused(&[486]).await;
        pbx.is_idle().await;
    };
    timeout(PATIENCE, async { tokio::join!(follow, call) }).await.expect("the trace ends with the call");
    assert_eq!(told(&pbx), ["****/****/****/****/seen"]);
    assert!(lines.iter().any(|line| line.contains("****")), "{lines:#?}");
    let (events, _) = pbx.pbx.exchange().journal.subscribe(Some(0));
    let events = serde_json::to_value(&events).unwrap_or(Value::Null).to_string();
    for text in lines.iter().chain([&events]) {
        assert!(!text.contains("9876"), "{text}");
    }
    let moved = pbx.store().get("pin", "200").unwrap().expect("the PIN");
    assert_eq!(moved.text(), "9876alice");
}
