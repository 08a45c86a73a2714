//! The dialplans of the source documents as they stand in `examples/`: dialled by phones, their keys pressed, what they say heard.

pub(crate) mod heard;
mod listed;

use serde_json::Value;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::timeout;
use wirechief::call::trace::{Traced, What};
use wirechief::control::protocol::{StoreOrder, StoreValue, method};

use crate::call::{hear_each_other, talk};
use crate::harness::{Call, PATIENCE, Phone, Profile, TestPbx, Tone, example_folder, nothing};

use heard::was_said;

/// An answered call whose script is followed.
struct Followed {
    call: Call,
    lines: Receiver<Traced>,
}

impl Followed {
    async fn dials(pbx: &TestPbx, phone: &Phone, number: &str) -> Self {
        let (to, lines) = channel(1_000);
        pbx.pbx.exchange().traces.wait_for(number.to_owned(), to);
        let mut call = phone.invite(number).await;
        call.expects([200]).await.ack().await;
        Self { call, lines }
    }

    /// Waits until the script is at a step that begins with this text.
    async fn reaches(&mut self, text: &str) -> &mut Self {
        loop {
            let line = timeout(PATIENCE, self.lines.recv()).await;
            let line = line.unwrap_or_else(|_| panic!("{text} is not reached")).expect("a call that lives");
            if matches!(&line.what, What::Step { step, .. } if step.starts_with(text)) {
                return self;
            }
        }
    }

    /// Presses keys when the script reads them into that variable: those pressed earlier are nobody's.
    async fn enters(&mut self, variable: &str, keys: &str) -> &mut Self {
        self.reaches(&format!("Read({variable},")).await;
        self.call.presses(keys).await;
        self
    }
}

/// The fields of the `UserEvent`s of that name.
fn told(pbx: &TestPbx, name: &str) -> Vec<Value> {
    let (events, _) = pbx.pbx.exchange().journal.subscribe(Some(0));
    let events = events.iter().filter(|event| event.kind == "user" && event.fields["name"] == name);
    events.map(|event| event.fields["fields"].clone()).collect()
}

/// What stands in the store.
fn stored(pbx: &TestPbx, family: &str, key: &str) -> Option<String> {
    pbx.store().get(family, key).expect("a store").map(|value| value.text().into_owned())
}

/// Dials `*88`, enters extension and PIN, and hears the PIN back.
async fn sets_pin(pbx: &TestPbx, phone: &Phone) {
    let mut followed = Followed::dials(pbx, phone, "*88").await;
    followed.enters("UserExtension", "100").await.enters("PinEntry", "1234#").await;
    followed.call.is_hung_up().await;
    was_said(&followed.call, &["digits/1", "digits/2", "digits/3", "digits/4", "vm-goodbye"]).await;
}

/// Enters an extension and a PIN at a number that checks them, and hears this.
async fn is_told(pbx: &TestPbx, phone: &Phone, (number, extension, pin): (&str, &str, &str), prompt: &str) {
    let mut followed = Followed::dials(pbx, phone, number).await;
    followed.enters("UserExtension", extension).await.enters("PinEntry", pin).await;
    followed.call.is_hung_up().await;
    was_said(&followed.call, &[prompt, "vm-goodbye"]).await;
}

const ACCEPTED: &str = "pin-number-accepted";
const INVALID: &str = "pin-invalid";

#[tokio::test]
async fn s188_a_pin_is_set_with_star_88_read_back_stored_and_checked_with_star_77() {
    let pbx = TestPbx::example("pin", &[]).await;
    let phone = pbx.phone("100").await;
    sets_pin(&pbx, &phone).await;
    assert_eq!(stored(&pbx, "pin", "100").as_deref(), Some("1234"));
    is_told(&pbx, &phone, ("*77", "100", "1234#"), ACCEPTED).await;
    is_told(&pbx, &phone, ("*77", "100", "9999#"), INVALID).await;
    pbx.is_idle().await;
}

#[tokio::test]
async fn s189_s191_the_encrypted_pin_is_stored_as_the_document_shows_it_and_checked() {
    let pbx = TestPbx::example("pin-aes", &[]).await;
    let phone = pbx.phone("100").await;
    sets_pin(&pbx, &phone).await;
    assert_eq!(stored(&pbx, "pin", "100").as_deref(), Some("Je2G/qyHuGVKgvvXDwXjHA=="));
    is_told(&pbx, &phone, ("*77", "100", "1234#"), ACCEPTED).await;
    is_told(&pbx, &phone, ("*77", "100", "9999#"), INVALID).await;
    pbx.is_idle().await;
}

#[tokio::test]
async fn who_hangs_up_while_the_digits_are_read_back_leaves_no_pin() {
    for example in ["pin", "pin-aes"] {
        let pbx = TestPbx::example(example, &[]).await;
        let phone = pbx.phone("100").await;
        let mut followed = Followed::dials(&pbx, &phone, "*88").await;
        followed.enters("UserExtension", "100").await.enters("PinEntry", "1234#").await;
        followed.reaches("SayDigits(").await.call.hangs_up().await;
        pbx.is_idle().await;
        assert_eq!(stored(&pbx, "pin", "100"), None, "{example}");
    }
}

#[tokio::test]
async fn as_in_asterisk_the_documents_star_77_accepts_nothing_for_an_extension_without_a_pin() {
    for example in ["pin", "pin-aes"] {
        let pbx = TestPbx::example(example, &[]).await;
        let phone = pbx.phone("100").await;
        is_told(&pbx, &phone, ("*77", "555", "#"), ACCEPTED).await;
        is_told(&pbx, &phone, ("*77", "#", "#"), ACCEPTED).await;
    }
}

#[tokio::test]
async fn s198_the_safe_check_accepts_neither_nothing_nor_a_wrong_pin() {
    let pbx = TestPbx::example("pin", &[]).await;
    let phone = pbx.phone("100").await;
    pbx.store().put("pin", "100", "1234").await.expect("a store");
    is_told(&pbx, &phone, ("*78", "555", "#"), INVALID).await;
    is_told(&pbx, &phone, ("*78", "100", "#"), INVALID).await;
    is_told(&pbx, &phone, ("*78", "100", "9999#"), INVALID).await;
    is_told(&pbx, &phone, ("*78", "100", "1234#"), ACCEPTED).await;
}

/// A phone that stands for another system, before there is a server, and its address.
async fn outside(name: &str) -> (Phone, String) {
    let nowhere = "127.0.0.1:9".parse().expect("an address");
    let phone = Profile::new(name, nowhere).plug_in().await;
    let address = phone.local().to_string();
    (phone, address)
}

/// The number that a call is for.
fn dialled(call: &Call) -> String {
    let line = call.invite().start;
    line.trim_start_matches("INVITE sip:").split('@').next().unwrap_or_default().to_owned()
}

/// A plan with the document's *123 on it, its trunk, and a phone of ours.
async fn recording() -> (TestPbx, Phone, Phone) {
    let (trunk, address) = outside("icall").await;
    let changes = [("sip.icall.example:5060", address.as_str()), ("/usr/local/bin/rec", "/no/such/rec")];
    let pbx = TestPbx::example("recording-transport", &changes).await;
    let phone = pbx.phone("1001").await;
    (pbx, phone, trunk)
}

#[tokio::test]
async fn s098_s108_star_123_dials_through_the_trunk_and_goes_on_when_the_called_party_hangs_up() {
    let (pbx, phone, mut trunk) = recording().await;
    let mut calling = Followed::dials(&pbx, &phone, "*1234178575309").await;
    let mut called = trunk.is_called().await;
    assert_eq!(dialled(&called), "4178575309");
    called.answers().await;
    hear_each_other(&mut calling.call, &mut called).await;
    called.hangs_up().await;
    calling.reaches("System(").await.call.is_hung_up().await;
    pbx.is_idle().await;
    let told = &told(&pbx, "recording")[0];
    let file = told["file"].as_str().expect("a name");
    assert!(file.starts_with("OUT000-2") && file.matches('-').count() == 7, "{file}");
    assert_eq!((&told["number"], &told["dial"]), (&"4178575309".into(), &"ANSWER".into()));
    assert_eq!(told["notice"], "FAILURE", "a program that is not there");
}

#[tokio::test]
async fn s110_when_the_caller_hangs_up_only_h_runs() {
    let (pbx, phone, mut trunk) = recording().await;
    let mut calling = phone.invite("*1234178575309").await;
    calling.expects([200]).await.ack().await;
    let mut called = trunk.is_called().await;
    called.answers().await;
    calling.hangs_up().await;
    called.is_hung_up().await;
    pbx.is_idle().await;
    let told = told(&pbx, "recording");
    assert_eq!((told.len(), &told[0]["dial"], &told[0]["notice"]), (1, &"ANSWER".into(), &"".into()), "{told:?}");
}

#[tokio::test]
async fn s095_s096_from_outside_only_who_knows_the_pin_gets_a_dial_tone_and_dials_out() {
    let (mut trunk, address) = outside("icall").await;
    let pbx = TestPbx::example("disa", &[("sip.icall.example:5060", &address), ("192.0.2.10", "127.0.0.7")]).await;
    let provider = Profile { ip: [127, 0, 0, 7].into(), ..pbx.profile("2125559999") }.plug_in().await;
    let stranger = pbx.phone("2125559999").await;
    stranger.invite("2125550100").await.is_refused(&[401]).await;
    // as long as there is no PIN nobody gets in
    let mut guessing = provider.invite("2125550100").await;
    guessing.expects([200]).await.ack().await;
    guessing.presses("#").await.is_hung_up().await;
    pbx.store().put("disa", "pin", "48151").await.expect("a store");
    let mut calling = Followed::dials(&pbx, &provider, "2125550100").await;
    calling.reaches("DISA(").await.call.presses("48151#").await;
    calling.call.presses("4178575309").await;
    let mut called = trunk.is_called().await;
    assert_eq!(dialled(&called), "4178575309");
    called.answers().await;
    hear_each_other(&mut calling.call, &mut called).await;
    calling.call.hangs_up().await;
    called.is_hung_up().await;
    pbx.is_idle().await;
}

#[tokio::test]
async fn s102_without_our_second_priority_the_documents_plan_ends_behind_its_first() {
    let plan =
        std::fs::read_to_string(example_folder("recording-transport").join("extensions_custom.conf")).expect("a plan");
    let plan: Vec<&str> =
        plan.lines().filter(|line| line.starts_with("exten => _*123") && !line.contains("ours")).collect();
    assert_eq!(plan.len(), 4);
    let pbx = TestPbx::with(&plan.join("\n")).await;
    let mut call = pbx.phone("alice").await.invite("*1234178575309").await;
    call.expects([200]).await.ack().await.is_hung_up().await;
    pbx.is_idle().await;
    assert_eq!(pbx.records(1).await[0]["legs"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn s174_s176_s178_both_forms_of_set_and_goto_dial_numbers_of_seven_ten_and_eleven_digits() {
    for example in ["set-goto", "set-goto-one-line"] {
        let (mut trunk, address) = outside("icall").await;
        let pbx = TestPbx::example(example, &[("sip.icall.example:5060", &address)]).await;
        let phone = pbx.phone("1001").await;
        for number in ["5551234", "12125551234"] {
            let mut calling = phone.invite(number).await;
            let mut called = trunk.is_called().await;
            assert_eq!(dialled(&called), number, "{example}");
            called.refuses(486).await;
            calling.is_refused(&[486]).await;
        }
        let (mut calling, mut called) = talk(&phone, &mut trunk, "2125551234").await;
        assert_eq!(dialled(&called), "2125551234", "{example}");
        hear_each_other(&mut calling, &mut called).await;
        calling.hangs_up().await;
        called.is_hung_up().await;
        for number in ["1551234", "55512345", "112125551234"] {
            phone.invite(number).await.is_refused(&[404, 503]).await;
        }
        pbx.is_idle().await;
        assert!(trunk.was_not_called());
    }
}

#[tokio::test]
async fn s180_s201_the_first_in_the_room_calls_the_other_system_and_keys_in_its_room_and_the_second_does_not() {
    let (mut remote, address) = outside("remote").await;
    let pbx = TestPbx::example("conference", &[("remote-server.tld:5060", &address)]).await;
    let (ann, ben) = (pbx.phone("1001").await, pbx.phone("1002").await);
    let mut first = ann.invite("12345").await;
    first.expects([200]).await.ack().await;
    let mut bridge = remote.is_called().await;
    assert_eq!(dialled(&bridge), "7070");
    bridge.answers().await;
    bridge.hears_digits("12345#").await;
    let mut second = ben.invite("12345").await;
    second.expects([200]).await.ack().await;
    first.says(Tone::A).await;
    second.says(Tone::B).await;
    bridge.says(Tone::C).await;
    first.hears(Tone::B + Tone::C).await;
    second.hears(Tone::A + Tone::C).await;
    bridge.hears(Tone::A + Tone::B).await;
    assert!(remote.was_not_called());
    second.hangs_up().await;
    bridge.is_hung_up().await;
    first.hears(nothing()).await;
    first.hangs_up().await;
    pbx.is_idle().await;
}

#[tokio::test]
async fn s208_s173_who_asks_for_a_room_that_is_none_is_told_so_and_asked_again_and_h_runs_at_the_end() {
    let (mut remote, address) = outside("remote").await;
    let pbx = TestPbx::example("conference", &[("remote-server.tld:5060", &address)]).await;
    let mut followed = Followed::dials(&pbx, &pbx.phone("1001").await, "500004").await;
    followed.enters("ConferenceRoom", "99#").await.reaches("Playback(conf-invalid)").await;
    followed.reaches("Read(ConferenceRoom,").await;
    was_said(&followed.call, &["conf-invalid"]).await;
    followed.call.hangs_up().await;
    followed.reaches("ExecIf($[0${CONFBRIDGE_INFO(parties,11111)}").await;
    pbx.is_idle().await;
    assert!(remote.was_not_called());
}

#[tokio::test]
async fn s048_s049_s050_the_store_knows_who_is_in_which_call_and_whom_he_called() {
    let pbx = TestPbx::example("spymap", &[]).await;
    let (ann, mut ben, cleo) = (pbx.phone("1001").await, pbx.phone("1002").await, pbx.phone("1003").await);
    let (mut calling, mut called) = talk(&ann, &mut ben, "1002").await;
    let uuid = pbx.calls().await[0].uuid.clone();
    for (family, key, value) in
        [("spymap", "1001", uuid.as_str()), ("last_dial", "1001", "1002"), ("last_dial", "global", &uuid)]
    {
        let (family, key) = (family.to_owned(), key.to_owned());
        let asked = StoreOrder::Get { family, key };
        let answer: Option<StoreValue> = pbx.client().await.request(method::STORE, &asked).await.expect("an answer");
        assert_eq!(answer, Some(StoreValue::Text(value.to_owned())), "{asked:?}");
    }
    assert_eq!(stored(&pbx, "spymap", "1001"), None, "the map is live, and on no disk");
    for number in ["881001", "*01001"] {
        let mut asking = cleo.invite(number).await;
        asking.expects([200]).await.ack().await.is_hung_up().await;
        let told = told(&pbx, "spymap");
        let last = told.last().expect("an event");
        assert_eq!((&last["number"], &last["uuid"]), (&"1001".into(), &uuid.clone().into()), "{number}");
    }
    let mut asking = cleo.invite("881002").await;
    asking.expects([200]).await.ack().await.is_hung_up().await;
    let bens = told(&pbx, "spymap").pop().expect("an event")["uuid"].clone();
    assert!(bens != uuid.as_str() && bens.as_str().is_some_and(|uuid| !uuid.is_empty()), "who is called is found too");
    hear_each_other(&mut calling, &mut called).await;
    calling.hangs_up().await;
    called.is_hung_up().await;
    pbx.is_idle().await;
    let mut asking = cleo.invite("881001").await;
    asking.expects([200]).await.ack().await.is_hung_up().await;
    was_said(&asking, &["ss-noservice"]).await;
}
