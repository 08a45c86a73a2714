//! What the dialplan knows of channels, groups, devices and headers, asked while real phones talk (S209, S212).

use std::collections::BTreeMap;

use tokio::time::{Duration, Instant, interval};
use wirechief::call::groups;
use wirechief::call::listing::{self, ChannelLine};
use wirechief::control::protocol::{CallDetail, Target, method};

use crate::call::{both_answer, talk};
use crate::harness::{Call, PATIENCE, Phone, TestPbx};

/// The variables of the only live call, once it has set `DONE`.
async fn variables(pbx: &TestPbx) -> BTreeMap<String, String> {
    let mut client = pbx.client().await;
    let (end, mut beat) = (Instant::now() + PATIENCE, interval(Duration::from_millis(20)));
    loop {
        beat.tick().await;
        assert!(Instant::now() < end, "no live call has set `DONE`");
        let calls = pbx.calls().await;
        let Some(call) = calls.first() else { continue };
        let wanted = Target { uuid: call.uuid.clone() };
        let Ok(detail) = client.request::<CallDetail>(method::CALL, &wanted).await else { continue };
        let variables = detail.legs[0].variables.clone();
        if variables.contains_key("DONE") {
            return variables;
        }
    }
}

/// What these values are to a channel whose phone rang in with `headers`.
async fn values(pbx: &TestPbx, alice: &Phone, headers: &[(&str, &str)]) -> (BTreeMap<String, String>, Call) {
    let uri = format!("sip:ask@{}", alice.station.profile.server);
    let mut call = alice.invite_uri(&uri, headers).await;
    call.expects([200]).await.ack().await;
    (variables(pbx).await, call)
}

/// A plan whose extension `ask` sets `V1`, `V2`, … to these values; `this=that;value` sets something else before.
fn asking(values: &[&str], more: &str) -> String {
    let mut plan = "exten => ask,1,Answer()\n".to_owned();
    for (at, value) in (1..).zip(values) {
        let value = match value.split_once(';') {
            Some((first, value)) => {
                plan.push_str(&format!(" same => n,Set({first})\n"));
                value
            }
            None => value,
        };
        plan.push_str(&format!(" same => n,Set(V{at}={value})\n"));
    }
    format!("{plan} same => n,Set(DONE=1)\n same => n,Wait(60)\n{more}\n")
}

fn check(found: &BTreeMap<String, String>, wanted: &[(&str, &str)]) {
    for (at, (ask, wanted)) in (1..).zip(wanted) {
        assert_eq!(found.get(&format!("V{at}")).map_or("", String::as_str), *wanted, "{ask}");
    }
}

#[tokio::test]
async fn s209_groups_are_counted_and_left_at_the_end() {
    let rows = [
        ("${GROUP_FIRST(12345@conference)}", "1"),
        ("${GROUP_FIRST(12345@conference)}", "0"),
        ("${GROUP_COUNT(12345@Conference)}", "1"),
        ("${GROUP_COUNT(zz@conference)}", "0"),
        ("${GROUP()}|${GROUP(conference)}|${GROUP(other)}", "12345|12345|"),
        ("${GROUP_COUNT()}|${GROUP_COUNT(@conference)}", "1|1"),
        ("${GROUP_MATCH_COUNT(^1.*5$@^conf)}|${GROUP_MATCH_COUNT(^2)}", "1|0"),
        ("${GROUP_LIST()}", "12345@conference"),
    ];
    let plan = asking(
        &rows.map(|(ask, _)| ask),
        "exten => plain,1,Set(GROUP()=plain)\n same => n,Answer()\n same => n,Wait(60)",
    );
    let pbx = TestPbx::with(&plan).await;
    let (alice, bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    let (found, mut call) = values(&pbx, &alice, &[]).await;
    check(&found, &rows);
    let mut other = bob.invite("plain").await;
    other.expects([200]).await.ack().await;
    let text = groups::table(&pbx.pbx.exchange().groups.members());
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[1].starts_with("SIP/alice-00000001         12345                 conference"), "{text}");
    assert!(lines[2].starts_with("SIP/bob-00000002           plain                 (default)"), "{text}");
    assert_eq!(lines[3], "2 active channels");
    call.hangs_up().await;
    other.hangs_up().await;
    pbx.is_idle().await;
    assert_eq!(pbx.pbx.exchange().groups.members(), []);
}

#[tokio::test]
async fn a_channel_tells_what_it_is_and_its_record_keeps_what_it_was_told() {
    let rows = [
        (
            "${CHANNEL(name)}|${CHANNEL(state)}|${CHANNEL(channeltype)}|${CHANNEL(peername)}",
            "SIP/alice-00000001|Up|SIP|alice",
        ),
        ("${CHANNEL(exten)}@${CHANNEL(context)}|${CHANNEL(recvip)}", "ask@internal|127.0.0.1"),
        ("${IF($[\"${CHANNEL(uniqueid)}\" = \"${CHANNEL(linkedid)}\" ]?same)}", "same"),
        ("CHANNEL(accountcode)=shop;${CHANNEL(accountcode)}|${CDR(accountcode)}", "shop|shop"),
        ("CDR(userfield)=note;${CDR(userfield)}|${CHANNEL(userfield)}", "note|note"),
        ("${CDR(src)}|${CDR(dst)}|${CDR(dcontext)}|${CDR(disposition)}", "alice|ask|internal|ANSWERED"),
        ("CDR(mine)=42;${CDR(mine)}", "42"),
        ("CHANNEL(language)=de_CH;${CHANNEL(language)}", "de_CH"),
        ("CHANNEL(musicclass)=jazz;${CHANNEL(musicclass)}", "jazz"),
        ("CHANNEL(max_forwards)=7;${CHANNEL(max_forwards)}", "7"),
        ("SHARED(A)=7;${SHARED(A)}|${SHARED(A,SIP/alice-00000001)}|${SHARED(A,SIP/nobody)}", "7|7|"),
        ("DEVICE_STATE(Custom:Lamp)=BUSY;${DEVICE_STATE(custom:lamp)}|${DEVICE_STATE(Custom:x)}", "BUSY|UNKNOWN"),
        (
            "${DEVICE_STATE(SIP/alice)}|${DEVICE_STATE(PJSIP/bob)}|${DEVICE_STATE(SIP/carol)}",
            "INUSE|NOT_INUSE|UNAVAILABLE",
        ),
        ("${DEVICE_STATE(SIP/nobody)}|${DEVICE_STATE(DAHDI/1)}", "INVALID|INVALID"),
        ("${DEVICE_STATE(Local/ask2@internal)}|${DEVICE_STATE(Local/no@internal)}", "NOT_INUSE|INVALID"),
        (
            "${EXTENSION_STATE(7@internal)}|${EXTENSION_STATE(8@internal)}|${EXTENSION_STATE(9@internal)}",
            "INUSE|BUSY|UNKNOWN",
        ),
        ("CONNECTEDLINE(name)=Bob;${CONNECTEDLINE(all)}", "\"Bob\" <>"),
    ];
    let hints = "exten => 7,hint,SIP/alice&SIP/bob\nexten => 8,hint,Custom:lamp\nexten => ask2,1,NoOp()";
    let pbx = TestPbx::with(&asking(&rows.map(|(ask, _)| ask), hints)).await;
    let (alice, _bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    let (found, mut call) = values(&pbx, &alice, &[]).await;
    check(&found, &rows);
    call.hangs_up().await;
    let record = &pbx.records(1).await[0];
    assert_eq!(
        (&record["account"], &record["user_field"], &record["fields"]["mine"]),
        (&"shop".into(), &"note".into(), &"42".into())
    );
}

#[tokio::test]
async fn s179_headers_are_read_and_added_and_no_value_begins_another() {
    let plan = "exten => bob,1,Set(PJSIP_HEADER(add,X-Out)=${PJSIP_HEADER(read,X-In)}|${SIP_HEADER(X-In,2)})
 same => n,Set(PJSIP_HEADER(add,X-Evil)=${URIDECODE(${PJSIP_HEADER(read,X-Coded)})})
 same => n,Set(PJSIP_HEADER(add,Via)=SIP/2.0/UDP evil)
 same => n,Set(PJSIP_HEADER(add,X-Gone)=1)
 same => n,Set(PJSIP_HEADER(remove,X-G*)=)
 same => n,SIPAddHeader(Alert-Info: <http://ring>)
 same => n,Dial(SIP/bob)";
    let pbx = TestPbx::with(plan).await;
    let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    let uri = format!("sip:bob@{}", alice.station.profile.server);
    let mut calling = alice.invite_uri(&uri, &[("X-In", "a, b;c=\"d\""), ("X-Coded", "1%0d%0aX-Injected: 1")]).await;
    let mut called = bob.is_called().await;
    let invite = called.invite();
    assert_eq!(invite.all("X-Out"), ["a, b;c=\"d\"|"]);
    assert_eq!(invite.all("Alert-Info"), ["<http://ring>"]);
    for absent in ["X-Evil", "X-Injected", "X-Gone"] {
        assert_eq!(invite.all(absent), Vec::<&str>::new(), "{absent}");
    }
    assert!(invite.all("Via").iter().all(|via| !via.contains("evil")));
    both_answer(&mut calling, &mut called).await;
    calling.hangs_up().await;
    called.is_hung_up().await;
}

#[tokio::test]
async fn s212_soft_hangup_ends_one_channel_or_all_of_a_device() {
    let plan = "exten => bob,1,Dial(SIP/bob,10,g)
 same => n,NoOp()
exten => all,1,SoftHangup(PJSIP/bob,a)
 same => n,Busy()
exten => one,1,SoftHangup(SIP/alice-00000001)
 same => n,SoftHangup(SIP/alice)
 same => n,Busy()
exten => far,1,Dial(Local/bob@internal)
exten => local,1,SoftHangup(Local/bob@internal,a)
 same => n,Busy()";
    let pbx = TestPbx::with(plan).await;
    let (alice, mut bob, carol) = (pbx.phone("alice").await, pbx.phone("bob").await, pbx.phone("carol").await);
    for (number, ends) in [("bob", "one"), ("bob", "all"), ("far", "local"), ("far", "all")] {
        let (mut calling, mut called) = talk(&alice, &mut bob, number).await;
        carol.invite(ends).await.is_refused(&[486]).await;
        calling.is_hung_up().await;
        called.is_hung_up().await;
        pbx.is_idle().await;
    }
}

#[tokio::test]
async fn live_channels_are_listed_with_what_they_do() {
    let plan = "exten => bob,1,Dial(SIP/${SET(TO=bob)}${EXTEN:3},10)";
    let pbx = TestPbx::with(plan).await;
    let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    let (mut calling, mut called) = talk(&alice, &mut bob, "bob").await;
    let exchange = pbx.pbx.exchange();
    let lines = exchange.channel_lines().await;
    let first = &lines[0];
    assert_eq!((first.name.as_str(), first.application.as_deref()), ("SIP/alice-00000001", Some("Dial")));
    assert_eq!(
        (first.extension.as_str(), first.priority, first.state, first.caller.as_str()),
        ("bob", 1, "Up", "alice")
    );
    assert!(!first.bridge.is_empty() && first.bridge == lines[1].bridge);
    let dialled = ChannelLine { seconds: 0, bridge: String::new(), unique_id: String::new(), ..lines[1].clone() };
    assert_eq!(listing::concise(&[dialled]), "SIP/bob-00000002!internal!!1!Up!AppDial!(Outgoing Line)!bob!!!3!0!!\n");
    assert!(
        listing::plain(&lines, exchange.totals()).ends_with("2 active channels\n1 active call\n1 call processed\n")
    );
    calling.hangs_up().await;
    called.is_hung_up().await;
    pbx.is_idle().await;
    assert_eq!(exchange.channel_lines().await, []);
}
