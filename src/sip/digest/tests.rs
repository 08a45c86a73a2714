//! Both sides against each other and against the RFCs' examples.

use super::*;
use proptest::prelude::*;

const NOW: Duration = Duration::from_secs(5);

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn authenticator() -> Authenticator {
    Authenticator::new("wirechief", [1; 32])
}

/// The answer of user 1001 to a challenge of its REGISTER.
fn signed(challenge: &str, password: &str, nc: u32) -> String {
    answer(challenge, "REGISTER", "sip:wirechief;transport=udp", "1001", &secret(password), nc, "0a4f").unwrap()
}

fn challenge(authenticator: &mut Authenticator, index: usize) -> String {
    authenticator.challenges(NOW, false).remove(index)
}

/// Challenge, answer and verdict; `index` picks the algorithm, `edit` is what a phone does differently.
fn round(index: usize, password: Option<&Secret>, edit: impl Fn(String) -> String) -> Verdict {
    let mut authenticator = authenticator();
    let authorization = edit(signed(&challenge(&mut authenticator, index), "right", 1));
    authenticator.verify(NOW, "REGISTER", &authorization, b"", password)
}

#[test]
fn the_examples_of_rfc_7616_and_2617_come_out() {
    let password = secret("Circle of Life");
    let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
    for (algorithm, response) in [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ] {
        let challenge = format!(
            "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
            nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
        );
        let answer = answer(&challenge, "GET", "/dir/index.html", "Mufasa", &password, 1, cnonce).unwrap();
        assert!(answer.contains(&format!("response=\"{response}\"")), "{answer}");
        assert!(answer.contains("opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""));
    }
    let password = secret("Circle Of Life");
    let challenge =
        "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"";
    let answer = answer(challenge, "GET", "/dir/index.html", "Mufasa", &password, 1, "0a4f113b").unwrap();
    assert!(answer.contains("6629fae49393a05397450978507c4ef1"), "{answer}");
    assert!(!answer.contains("algorithm"));
}

#[test]
fn both_algorithms_get_in_and_md5_may_be_unnamed() {
    let right = secret("right");
    let accepted = Verdict::Accepted { username: "1001".into() };
    assert_eq!(round(0, Some(&right), |a| a), accepted);
    assert_eq!(round(1, Some(&right), |a| a), accepted);
    assert_eq!(round(1, Some(&right), |a| a.replace(", algorithm=MD5", "")), accepted);
    assert_eq!(round(0, Some(&right), |a| a.replace("Digest", "digest").replace("nc=", "NC = ")), accepted);
}

#[test]
fn a_phone_without_qop_gets_in_once_per_nonce() {
    let mut authenticator = authenticator();
    let authorization = signed(&challenge(&mut authenticator, 1).replace(", qop=\"auth\"", ""), "right", 1);
    let right = secret("right");
    assert!(!authorization.contains("qop"));
    let mut verify = || authenticator.verify(NOW, "REGISTER", &authorization, b"", Some(&right));
    assert_eq!(verify(), Verdict::Accepted { username: "1001".into() });
    assert_eq!(verify(), Verdict::Stale);
}

#[test]
fn unknown_user_and_wrong_password_are_one_verdict() {
    let wrong = Verdict::Wrong { username: "1001".into() };
    assert_eq!(round(0, None, |a| a), wrong);
    assert_eq!(round(0, Some(&secret("wrong")), |a| a), wrong);
    assert_eq!(round(0, Some(&secret("right")), |a| a.replace("nc=00000001", "nc=00000002")), wrong);
    // an unknown user has no password, not an empty one
    let mut authenticator = authenticator();
    let authorization = signed(&challenge(&mut authenticator, 0), "", 1);
    assert_eq!(authenticator.verify(NOW, "REGISTER", &authorization, b"", None), wrong);
}

#[test]
fn a_replay_and_an_old_nonce_are_stale_and_the_next_count_is_not() {
    let mut authenticator = authenticator();
    let challenge = authenticator.challenges(NOW, true).remove(0);
    assert!(challenge.ends_with(", stale=true"));
    let right = secret("right");
    let mut verify =
        |now, nc| authenticator.verify(now, "REGISTER", &signed(&challenge, "right", nc), b"", Some(&right));
    let accepted = Verdict::Accepted { username: "1001".into() };
    assert_eq!([verify(NOW, 1), verify(NOW, 1), verify(NOW, 10)], [accepted.clone(), Verdict::Stale, accepted]);
    assert_eq!(verify(NOW + Duration::from_secs(3600), 11), Verdict::Stale);
}

#[test]
fn what_is_not_ours_is_challenged() {
    let right = secret("right");
    let other = |from: &str, to: &str| round(0, Some(&right), |a| a.replace(from, to));
    for (from, to) in [
        ("Digest", "NoOneKnowsThisScheme"),
        ("realm=\"wirechief\"", "realm=\"other\""),
        ("algorithm=SHA-256", "algorithm=SHA-512"),
        ("qop=auth", "qop=auth-conf"),
        ("nc=00000001", "nc=1"),
        ("username=\"1001\"", "username=\"1001\", username=\"1002\""),
        ("response=\"", "response=\"0"),
    ] {
        assert_eq!(other(from, to), Verdict::Challenge, "{to}");
    }
    assert_eq!(
        authenticator().verify(NOW, "REGISTER", "NoOneKnowsThisScheme opaque-data=here", b"", None),
        Verdict::Challenge
    );
}

#[test]
fn the_body_counts_for_auth_int() {
    let right = secret("right");
    let mut authenticator = authenticator();
    let challenge = challenge(&mut authenticator, 0);
    let fields = Fields::parse(&challenge).unwrap();
    let exchange = Exchange {
        algorithm: Algorithm::Sha256,
        user: "1001",
        realm: "wirechief",
        nonce: fields.raw("nonce").unwrap(),
        uri: "sip:w",
        method: "MESSAGE",
        qop: Some(hash::Qop { name: "auth-int", nc: "00000001", cnonce: "c" }),
        body: b"hello",
    };
    let authorization = format!(
        "Digest username=\"1001\", realm=\"wirechief\", nonce=\"{}\", uri=\"sip:w\", response=\"{}\", algorithm=SHA-256, qop=auth-int, nc=00000001, cnonce=\"c\"",
        exchange.nonce,
        *exchange.response(&right)
    );
    let mut verify = |body: &[u8]| authenticator.verify(NOW, "MESSAGE", &authorization, body, Some(&right));
    assert_eq!(verify(b"other"), Verdict::Wrong { username: "1001".into() });
    assert_eq!(verify(b"hello"), Verdict::Accepted { username: "1001".into() });
}

#[test]
fn the_user_name_is_read_for_its_meaning() {
    assert_eq!(username("Digest username=\"a\\\"b\", realm=x").as_deref(), Some("a\"b"));
    assert_eq!(username("Basic username=\"a\""), None);
}

proptest! {
    #[test]
    fn no_broken_answer_gets_in_or_panics(at in any::<prop::sample::Index>(), cut in 0_usize..9, new in "[ -~\\t]{0,9}") {
        let mut authenticator = authenticator();
        let sound = signed(&challenge(&mut authenticator, 0), "right", 1);
        let (head, tail) = sound.split_at(at.index(sound.len()));
        let broken = format!("{head}{new}{}", tail.get(cut..).unwrap_or_default());
        let verdict = authenticator.verify(NOW, "REGISTER", &broken, b"", Some(&secret("right")));
        let hashed = ["username", "nonce", "uri", "response", "nc", "cnonce"];
        // The digits of a response mean the same in either case.
        let read = |text: &str, name: &str| {
            let value = Fields::parse(text)?.plain(name)?;
            Some(if name == "response" { value.to_ascii_lowercase() } else { value })
        };
        let changed = |name| read(&broken, name) != read(&sound, name);
        prop_assert!(!matches!(verdict, Verdict::Accepted { .. }) || !hashed.into_iter().any(changed), "{}", broken);
    }
}
