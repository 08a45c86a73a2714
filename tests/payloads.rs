//! Whatever a caller sends as number, name or dialled digits stays data (threats D2 and D3): one called party, equal to the
//! literal, and no program but the one that was written.

use crate::harness::{Call, Phone, Profile, TestPbx, Unusual, free_address, fresh};

/// What a caller might send, `{}` standing for a fragment below.
const SHAPES: [&str; 10] =
    ["{}", "1{}2", "300&{}", "5,30,{}", "9){}", "x\"{}\"", "a'{}'b", "7;{}", "8/{}", "6@evil.example{}"];

/// Pieces of every syntax that a value comes near: dialplan, dial string, SIP, shell, format strings.
const FRAGMENTS: [&str; 20] = [
    "SIP/carol",
    "&SIP/carol",
    "&SIP/far/1900",
    "Local/9@internal",
    ",30,gD(1)",
    "${GLOBAL(SECRET)}",
    "$[1+1]",
    "${SHELL(id)}",
    "^b^1",
    "|g",
    "@127.0.0.1:9",
    "/n",
    ";lr;maddr=127.0.0.1",
    "?Route=%3Csip:x%3E",
    "%00%41",
    "\\,\\&",
    "%s%n%x",
    "<sip:carol@x>",
    "$(id)`id`",
    "ü\u{202e}\u{1f4de}",
];

/// Alice's server, and a phone at an address that only the plan knows.
async fn world(plan: &str, settings: &str) -> (TestPbx, Phone) {
    let address = free_address();
    let far = Profile::new("far", address).plug_in().await;
    let plan = plan.replace("FAR", &far.local().to_string());
    let settings = format!("{settings}\n[trunks.far]\nhost = \"{}\"\n", far.local());
    let pbx = TestPbx::unusual(&plan, Unusual { udp: Some(address), settings, ..Unusual::default() }).await;
    (pbx, far)
}

fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn unescaped(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match (first, hex) {
            (b'%', Some(byte)) => (bytes.push(byte), rest = &after[2..]).1,
            _ => (bytes.push(first), rest = after).1,
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A guest sends this as everything that a caller chooses.
async fn sends_everywhere(guest: &Phone, payload: &str) -> Call {
    let server = guest.station.profile.server;
    let name = payload.replace('\\', "\\\\").replace('"', "\\\"");
    let from = format!("\"{name}\" <sip:{}@{server}>;tag={}", escaped(payload), fresh("f"));
    guest.invite_uri(&format!("sip:{}@{server}", escaped(payload)), &[("From", &from), ("X-Evil", payload)]).await
}

/// The user part of the address that a call was sent to.
fn called_user(call: &Call) -> String {
    let invite = call.invite();
    let uri = invite.start.split(' ').nth(1).unwrap_or("");
    unescaped(uri.strip_prefix("sip:").and_then(|rest| rest.rsplit_once('@')).map_or("", |(user, _)| user))
}

#[tokio::test]
async fn d2_two_hundred_payloads_in_every_variable_reach_one_party_equal_to_the_literal() {
    let plan = "exten => _.,1,NoOp(${EXTEN})
 same => n,Dial(SIP/${EXTEN}@FAR,5)
 same => n,Dial(SIP/far/${CALLERID(num)},5)
 same => n,Dial(PJSIP/${CALLERID(name)}@far,5,b(internal^before^1(${EXTEN})))
 same => n,Dial(SIP/${PJSIP_HEADER(read,X-Evil)}@FAR,5)
 same => n,Set(DB(evil/${EXTEN})=${CALLERID(name)})
 same => n,Dial(SIP/${DB(evil/${EXTEN})}@FAR,5)
 same => n,Set(__COPY=${EXTEN})
 same => n,Gosub(sub,1(${COPY}))
 same => n,Dial(SIP/${EXTEN})
 same => n,Dial(SIP/${CALLERID(num)}&Local/${CALLERID(name)}@nowhere)
 same => n,Hangup(17)
exten => before,1,Set(PJSIP_HEADER(add,X-Copy)=${ARG1})
 same => n,Return()
exten => sub,1,Dial(SIP/${ARG1}@FAR,5)
 same => n,Return()
";
    let (pbx, mut far) = world(plan, "").await;
    let (mut carol, guest) = (pbx.phone("carol").await, pbx.phone("guest").await);
    let payloads: Vec<String> =
        SHAPES.iter().flat_map(|shape| FRAGMENTS.map(|fragment| shape.replace("{}", fragment))).collect();
    assert_eq!(payloads.len(), 200);
    for payload in &payloads {
        let mut calling = sends_everywhere(&guest, payload).await;
        for number in 0..6 {
            let mut called = far.is_called().await;
            assert_eq!(called_user(&called), *payload, "{number}");
            let copy = (number == 2).then_some(payload.as_str());
            assert_eq!(called.invite().header("X-Copy"), copy, "{number}");
            called.refuses(486).await;
        }
        calling.is_refused(&[486]).await;
    }
    assert!(carol.was_not_called() && far.was_not_called(), "nobody else");
    pbx.is_idle().await;
}

#[tokio::test]
async fn d3_no_payload_starts_a_program_and_each_stays_one_argument() {
    let folder = tempfile::tempdir().expect("a folder");
    let marker = folder.path().join("marker");
    let touch = format!("touch {}", marker.display());
    let shapes = [
        "{}",
        ";{}",
        "|{}",
        "||{}",
        "&{}",
        "&&{}",
        "$({})",
        "`{}`",
        "\";{};\"",
        "';{};'",
        "x;{} #",
        "\\`{}\\`",
        "${IFS}{}",
        "a b;{}",
        "\"$({})\"",
        "'$({})'",
        ")\";{}",
        "-n;{}",
        "%0a{}",
        "$((a[$({})]))",
        "<({})",
        ">/dev/null;{}",
        "*;{}",
        "~;{}",
        "!{}",
        "--;{}",
        "{},{}",
        "a=b;{}",
        "\\\";{}",
        "\\';{}",
        "x\\;{}",
        "\u{2028}{}",
        "é;{}",
        "$'\\x3b{}'",
        "{{}}",
        "(({}))",
        "[ {} ]",
        "x&y;{}",
        "&&& {}",
        "||| {}",
        "1>&2;{}",
        "$0;{}",
        "$@;{}",
        "\"{}\"",
        "'{}'",
        "`\"{}\"`",
        "$({}) ",
        "${1}{}",
        "\"'\"'{}",
        "'\"'\"{}",
    ];
    assert_eq!(shapes.len(), 50);
    let lines = "exten => _.,1,System(test ${EXTEN})
 same => n,GotoIf($[\"${SYSTEMSTATUS}\" = \"SUCCESS\"]?:wrong)
 same => n,TrySystem(testCOMMA${CALLERID(name)})
 same => n,GotoIf($[\"${SYSTEMSTATUS}\" = \"SUCCESS\"]?:wrong)
 same => n,TrySystem(test \"${CALLERID(num)}\" = '${CALLERID(num)}')
 same => n,GotoIf($[\"${SYSTEMSTATUS}\" = \"SUCCESS\"]?:wrong)
 same => n,TrySystem(${EXTEN} ${EXTEN})
 same => n,GotoIf($[\"${SYSTEMSTATUS}\" = \"FAILURE\"]?:wrong)
 MORE
 same => n,Hangup(17)
 same => n(wrong),Hangup(34)";
    let piped =
        "same => n,TrySystem(test ${EXTEN} && echo \"${CALLERID(name)} ${EXTEN}\" '${CALLERID(num)}' | cat >/dev/null)";
    for (system, comma, more) in [("argv", ",", "same => n,NoOp()"), ("shell", " ", piped)] {
        let settings = format!("[dialplan]\nsystem = \"{system}\"\nprograms = [\"/usr/bin/test\"]\n");
        let (pbx, _far) = world(&lines.replace("MORE", more).replace("COMMA", comma), &settings).await;
        let guest = pbx.phone("guest").await;
        for shape in shapes {
            let payload = shape.replace("{}", &touch);
            let status = sends_everywhere(&guest, &payload).await.is_refused(&[486, 503]).await;
            assert_eq!(status, 486, "{system}: {payload}");
        }
        assert!(!marker.exists(), "{system}");
        pbx.is_idle().await;
    }
}
