//! Who is in which call, as a dialplan asks for it to listen: from the live calls, not from what was once written.

use crate::call::talk;
use crate::harness::{Phone, TestPbx, Unusual};

const PLAN: &str = "exten => _[a-z].,1,db(insert/spymap/${CALLERID(num)}/${UNIQUEID})
 same => n,db(insert/last_dial/${CALLERID(num)}/${EXTEN})
 same => n,db(insert/last_dial/global/${UNIQUEID})
 same => n,Dial(SIP/${EXTEN},20)
 same => n,Hangup()
exten => _88.,1,UserEvent(map,text:${DB(spymap/${EXTEN:2})}|${db(select/spymap/${EXTEN:2})}|${DB_EXISTS(spymap/${EXTEN:2})})
 same => n,UserEvent(last,text:${DB(last_dial/${EXTEN:2})}|${DB(last_dial/global)})
 same => n,UserEvent(keys,text:${DB_KEYS(spymap)})
 same => n,Hangup(17)
exten => _77.,1,Set(DB(spymap/desk)=${EXTEN:2})
 same => n,UserEvent(noted,text:${DB(spymap/desk)})
 same => n,Set(X=${DB_DELETE(spymap/desk)})
 same => n,UserEvent(noted,text:${DB(spymap/desk)}.)
 same => n,Hangup(17)
";

/// A server on which 88 is the dialplan's.
async fn server() -> TestPbx {
    let settings = "[supervision]\ncodes = { eavesdrop = [] }\n".to_owned();
    TestPbx::unusual(PLAN, Unusual { settings, ..Unusual::default() }).await
}

/// The last `UserEvent` of that name.
fn told(pbx: &TestPbx, name: &str) -> String {
    let (events, _) = pbx.pbx.exchange().journal.subscribe(Some(0));
    let event = events.iter().rfind(|event| event.kind == "user" && event.fields["name"] == name);
    event.expect("an event").fields["fields"]["text"].as_str().unwrap_or_default().to_owned()
}

/// What a plan finds in the map under that name.
async fn found(pbx: &TestPbx, who: &Phone, name: &str) -> String {
    who.invite(&format!("88{name}")).await.is_refused(&[486]).await;
    told(pbx, "map")
}

/// The UUID of a user's leg in the only call he is in.
async fn leg_of(pbx: &TestPbx, user: &str) -> Vec<String> {
    let legs = pbx.calls().await.into_iter().flat_map(|call| call.legs);
    legs.filter(|leg| leg.user.as_deref() == Some(user)).map(|leg| leg.uuid).collect()
}

#[tokio::test]
async fn s048_s050_s052_a_caller_and_a_called_one_are_found_and_s049_whom_he_dialled() {
    let pbx = server().await;
    let (alice, mut bob, carol) = (pbx.phone("alice").await, pbx.phone("bob").await, pbx.phone("carol").await);
    assert_eq!(found(&pbx, &carol, "alice").await, "||0");
    let (mut calling, mut called) = talk(&alice, &mut bob, "bob").await;
    for user in ["alice", "bob"] {
        let uuid = leg_of(&pbx, user).await.remove(0);
        assert_eq!(found(&pbx, &carol, user).await, format!("{uuid}|{uuid}|1"), "{user}");
    }
    assert!(told(&pbx, "last").starts_with('|'), "bob has called nobody");
    assert_eq!(told(&pbx, "keys"), "alice,bob,carol");
    found(&pbx, &carol, "alice").await;
    assert!(told(&pbx, "last").starts_with("bob|"));
    calling.hangs_up().await;
    called.is_hung_up().await;
    pbx.is_idle().await;
    found(&pbx, &carol, "alice").await;
    assert!(told(&pbx, "last").starts_with("bob|"), "whom he dialled last is remembered");
    assert_eq!(pbx.store().get("last_dial", "alice").unwrap().expect("it").text(), "bob");
}

#[tokio::test]
async fn s051_an_ended_call_is_not_found_and_of_two_the_newest_is() {
    let pbx = server().await;
    let (alice, mut bob, mut carol) = (pbx.phone("alice").await, pbx.phone("bob").await, pbx.phone("carol").await);
    let dave = pbx.phone("dave").await;
    let (mut first, mut first_called) = talk(&alice, &mut bob, "bob").await;
    let first_uuid = leg_of(&pbx, "alice").await.remove(0);
    let mut ringing = alice.invite("carol").await;
    let mut rung = carol.is_called().await;
    rung.rings().await;
    ringing.expects([180]).await;
    assert!(found(&pbx, &dave, "alice").await.starts_with(&first_uuid), "the one that is answered");
    rung.answers().await;
    ringing.expects([200]).await.ack().await;
    let legs = leg_of(&pbx, "alice").await;
    let second_uuid = legs.iter().find(|uuid| **uuid != first_uuid).expect("a second leg").clone();
    assert!(found(&pbx, &dave, "alice").await.starts_with(&second_uuid), "the newest");
    ringing.hangs_up().await;
    rung.is_hung_up().await;
    pbx.shows("one call", crate::harness::PATIENCE, |now| now.calls == 1).await;
    assert!(found(&pbx, &dave, "alice").await.starts_with(&first_uuid), "the one that is left");
    first.hangs_up().await;
    first_called.is_hung_up().await;
    pbx.is_idle().await;
    assert_eq!(found(&pbx, &dave, "alice").await, "||0");
    assert!(pbx.store().families().unwrap().iter().all(|family| family != "spymap"), "nothing of it is on the disk");
    assert_eq!(pbx.store().get("last_dial", "global").unwrap().map(|_| ()), None);
}

#[tokio::test]
async fn s051_what_a_script_inserts_is_given_out_only_while_it_names_a_live_leg() {
    let pbx = server().await;
    let (alice, mut bob, dave) = (pbx.phone("alice").await, pbx.phone("bob").await, pbx.phone("dave").await);
    let (mut calling, mut called) = talk(&alice, &mut bob, "bob").await;
    let uuid = leg_of(&pbx, "bob").await.remove(0);
    dave.invite(&format!("77{uuid}")).await.is_refused(&[486]).await;
    let (events, _) = pbx.pbx.exchange().journal.subscribe(Some(0));
    let noted = events.iter().filter(|event| event.kind == "user" && event.fields["name"] == "noted");
    let noted: Vec<_> =
        noted.map(|event| event.fields["fields"]["text"].as_str().unwrap_or_default().to_owned()).collect();
    assert_eq!(noted, [uuid.clone(), ".".to_owned()]);
    calling.hangs_up().await;
    called.is_hung_up().await;
    pbx.is_idle().await;
    dave.invite(&format!("77{uuid}")).await.is_refused(&[486]).await;
    let (events, _) = pbx.pbx.exchange().journal.subscribe(Some(0));
    let noted = events.iter().filter(|event| event.kind == "user" && event.fields["name"] == "noted").nth(2);
    assert_eq!(noted.expect("an event").fields["fields"]["text"], "", "the call it names has ended");
}

#[tokio::test]
async fn s048_the_map_answers_a_server_whose_store_is_locked() {
    let settings = "[astdb]\nkey = \"held\"\n[supervision]\ncodes = { eavesdrop = [] }\n".to_owned();
    let pbx = TestPbx::unusual(PLAN, Unusual { settings, ..Unusual::default() }).await;
    let (alice, mut bob, carol) = (pbx.phone("alice").await, pbx.phone("bob").await, pbx.phone("carol").await);
    let (mut calling, mut called) = talk(&alice, &mut bob, "bob").await;
    let uuid = leg_of(&pbx, "bob").await.remove(0);
    assert_eq!(found(&pbx, &carol, "bob").await, format!("{uuid}|{uuid}|1"));
    calling.hangs_up().await;
    called.is_hung_up().await;
    pbx.is_idle().await;
}

#[tokio::test]
async fn s046_what_runs_first_for_every_number_goes_on_to_the_extension_that_was_dialled() {
    let plan = "exten => _[a-z].,1,db(insert/last_dial/${CALLERID(num)}/${EXTEN})
 same => n,db(insert/last_dial/global/${UNIQUEID})
 same => n,Goto(phones,${EXTEN},1)
[phones]
exten => bob,1,UserEvent(last,text:${DB(last_dial/${CALLERID(num)})}|${DB(last_dial/global)})
 same => n,Dial(SIP/${EXTEN},20)
exten => _car.,1,UserEvent(last,text:a pattern|${EXTEN})
 same => n,Hangup(17)
";
    let pbx = TestPbx::with(plan).await;
    let (alice, mut bob) = (pbx.phone("alice").await, pbx.phone("bob").await);
    let (mut calling, mut called) = talk(&alice, &mut bob, "bob").await;
    let uuid = leg_of(&pbx, "alice").await.remove(0);
    assert_eq!(told(&pbx, "last"), format!("bob|{uuid}"), "the first has run, and then the second");
    calling.hangs_up().await;
    called.is_hung_up().await;
    alice.invite("carol").await.is_refused(&[486]).await;
    assert_eq!(told(&pbx, "last"), "a pattern|carol");
    // As Asterisk does where a plan goes on nowhere.
    alice.invite("nobody").await.is_refused(&[603]).await;
    assert_eq!(pbx.store().get("last_dial", "alice").unwrap().expect("it").text(), "nobody");
}
