//! The store as a dialplan and the `astdb` program use it.

use crate::harness::TestPbx;

/// Runs a plan whose last `Verdict` decides: 486 when it is `expected`.
async fn gives(lines: &[&str], verdict: &str, expected: &str) {
    let mut plan = String::from("exten => 100,1,NoOp()\n");
    for line in lines {
        plan.push_str(&format!(" same => n,{line}\n"));
    }
    plan.push_str(&format!(
        " same => n,Set(GOT={verdict})\n same => n,GotoIf($[\"${{GOT}}\" = \"{expected}\"]?right)\n"
    ));
    plan.push_str(" same => n,Hangup(21)\n same => n(right),Hangup(17)\n");
    let pbx = TestPbx::with(&plan).await;
    let mut call = pbx.phone("alice").await.invite("100").await;
    let status = call.is_refused(&[486, 403, 603]).await;
    assert_eq!(status, 486, "{lines:?}: {verdict} is {expected}");
    pbx.is_idle().await;
}

#[tokio::test]
async fn s183_the_dialplan_reads_writes_and_removes_in_the_store() {
    gives(&["Set(DB(pin/100)=1234)"], "${DB(pin/100)}|${DB_RESULT}", "1234|1234").await;
    gives(&[], "x${DB(pin/absent)}|${DB_EXISTS(pin/absent)}", "x|0").await;
    gives(&["Set(DB(pin/100)=a,b)"], "${DB_EXISTS(pin/100)}|${DB_RESULT}", "1|a,b").await;
    let removes = ["Set(DB(pin/100)=1234)", "Set(OLD=${DB_DELETE(pin/100)})"];
    gives(&removes, "${OLD}|${DB_RESULT}|${DB_EXISTS(pin/100)}", "1234|1234|0").await;
    gives(&["Set(DB(pin/)=)"], "${DB_EXISTS(pin/)}", "1").await;
    gives(&["Set(DB(pin/100)=1)", "DBdel(pin/100)"], "${DB_EXISTS(pin/100)}", "0").await;
    gives(&["Set(DB(pin/100)=1)", "Set(DB_DELETE(pin/100)=)"], "${DB_EXISTS(pin/100)}", "0").await;
}

#[tokio::test]
async fn s183_families_and_keys_are_listed_counted_and_removed_as_trees() {
    let puts = ["MSet(DB(pin/100)=1,DB(pin/sub/7)=2,DB(pin/sub/8)=3,DB(other/1)=4)"];
    gives(&puts, "${DB_KEYS()}|${DB_KEYS(pin)}|${DB_KEYS(pin/sub)}", "other,pin|100,sub|7,8").await;
    gives(&puts, "${DB_KEYCOUNT(pin)}|${DB_KEYCOUNT(pin/sub)}|${DB_KEYCOUNT(none)}", "3|2|0").await;
    let tree = [puts[0], "DBdeltree(pin/sub)"];
    gives(&tree, "${DB_KEYS(pin)}", "100").await;
    let family = [puts[0], "DBdeltree(pin)"];
    gives(&family, "${DB_KEYS()}", "other").await;
}

#[tokio::test]
async fn a_value_with_slashes_reaches_no_other_key() {
    let lines = ["Set(DB(pin/100)=1234)", "Set(CALLERID(num)=../pin/100)", "Set(DB(name/${CALLERID(num)})=x)"];
    gives(&lines, "${DB(pin/100)}|${DB(name/../pin/100)}|${DB(${CALLERID(num)}/100)}", "1234|x|").await;
}

#[tokio::test]
async fn s050_freeswitchs_words_read_the_same_store() {
    let lines = ["Set(DB(map/1001)=abc)", "Set(X=${db(insert/last_dial/1001/a/b)})"];
    gives(&lines, "${db(select/map/1001)}|${db(select/last_dial/1001)}|${db(exists/map/7)}", "abc|a/b|false").await;
}

#[tokio::test]
async fn s198_an_empty_pin_is_refused_and_attempts_are_limited() {
    let put = "Set(DB(pin/100)=1234)";
    gives(&[put], "${PIN_CHECK(pin/100,1234)}${PIN_CHECK(pin/100,)}${PIN_CHECK(pin/7,)}", "100").await;
    let guess = "Set(X=${PIN_CHECK(pin/100,9,2)})";
    gives(&[put, guess, guess], "${PIN_CHECK(pin/100,1234,2)}|${PIN_STATUS}", "0|LOCKED").await;
}

#[tokio::test]
async fn s188_the_built_in_pin_pair_stores_a_pin_and_asks_for_the_old_one_first() {
    let plan = wirechief::config::BUILTIN_EXTENSIONS.split_once("[internal]").unwrap().1;
    let asks = "exten => asks,1,GotoIf($[\"${DB(pin/1001)}\" = \"4321\"]?first)\n \
                same => n,GotoIf($[\"${DB(pin/1001)}\" = \"5555\"]?second)\n same => n,Hangup(21)\n \
                same => n(first),Hangup(17)\n same => n(second),Hangup(1)\n";
    let pbx = TestPbx::with(&format!("{plan}\n{asks}")).await;
    let phone = pbx.phone("alice").await;
    let steps: [(&[&str], u16); 5] = [
        (&["1001#", "12#"], 403),
        (&["9999#"], 403),
        (&["1001#", "4321#"], 486),
        (&["1001#", "9999#"], 486),
        (&["1001#", "4321#", "5555#"], 404),
    ];
    for (keys, status) in steps {
        let mut call = phone.invite("*88").await;
        call.expects([200]).await.ack().await;
        for digits in keys {
            call.presses(digits).await;
        }
        call.is_hung_up().await;
        let got = phone.invite("asks").await.is_refused(&[403, 486, 404, 603]).await;
        assert!(got == status || (status == 403 && got == 603), "{keys:?}: {got}");
    }
    pbx.is_idle().await;
}
