//! Phones register (RFC 3261 §10, RFC 7616, RFC 8760): who gets in, who does not, and what is kept of them.

use crate::harness::{
    Algorithm, Challenge, Login, Phone, Profile, TestPbx, Text, Transport, Unusual, digest_answer, password,
};

#[tokio::test]
async fn a_phone_gets_in_with_either_hash_over_either_transport() {
    let pbx = TestPbx::with("").await;
    for transport in [Transport::Udp, Transport::Tcp] {
        for hashes in [vec![Algorithm::Md5], vec![Algorithm::Sha256], vec![Algorithm::Sha256, Algorithm::Md5]] {
            let profile = Profile { hashes, ..pbx.profile_over("alice", transport) };
            let mut phone = profile.plug_in().await;
            let answer = phone.tries_to_register(600).await;
            assert_eq!(answer.status(), Some(200), "{transport:?}");
            let contact = answer.all("Contact").into_iter().find(|value| value.contains(&phone.local().to_string()));
            let expires = contact.and_then(|value| value.split("expires=").nth(1)?.parse::<u32>().ok());
            assert!(expires.is_some_and(|seconds| (1..=600).contains(&seconds)), "{contact:?}");
            let gone = phone.tries_to_register(0).await;
            assert_eq!(gone.status(), Some(200));
        }
    }
    assert!(pbx.registrations().await.is_empty());
}

#[tokio::test]
async fn the_strong_hash_is_offered_first_and_both_with_auth() {
    let pbx = TestPbx::with("").await;
    let mut phone = pbx.profile("alice").plug_in().await;
    let request = phone.registration(600);
    let refusal = phone.request(request).await;
    let offered: Vec<Challenge> = refusal.all("WWW-Authenticate").into_iter().filter_map(Challenge::parse).collect();
    let hashes: Vec<_> = offered.iter().map(|challenge| challenge.algorithm).collect();
    assert_eq!(hashes, [Some(Algorithm::Sha256), Some(Algorithm::Md5)]);
    assert!(offered.iter().all(|challenge| challenge.qop && challenge.realm == "test" && !challenge.stale));
}

async fn refused(pbx: &TestPbx, profile: Profile) -> [Text; 2] {
    let mut phone = profile.plug_in().await;
    let request = phone.registration(600);
    let first = phone.request(request).await;
    let second = phone.tries_to_register(600).await;
    assert!(pbx.registrations().await.is_empty());
    [first, second]
}

/// What a stranger sees of a refusal: everything but numbers that differ each time.
fn shape(answer: &Text) -> (String, Vec<String>) {
    let names = answer.headers.iter().map(|(name, value)| {
        let words: Vec<&str> = value.split(['"', ' ', ',', ';']).filter(|word| word.ends_with('=')).collect();
        format!("{name} {words:?}")
    });
    (answer.start.clone(), names.collect())
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_look_alike() {
    let pbx = TestPbx::with("").await;
    let wrong = |user: &str| Profile { password: Some("guess-guess-guess".to_owned()), ..pbx.profile(user) };
    let known = refused(&pbx, wrong("alice")).await;
    let unknown = refused(&pbx, wrong("nobody")).await;
    for (known, unknown) in known.iter().zip(&unknown) {
        assert_eq!(known.status(), Some(401));
        assert_eq!(shape(known), shape(unknown));
    }
}

#[tokio::test]
async fn another_user_s_password_opens_nobody_s_door() {
    let pbx = TestPbx::with("").await;
    let mut bob = pbx.profile("bob").plug_in().await;
    let uri = format!("sip:{}", bob.station.profile.server);
    let alice = bob.station.address("alice");
    let for_alice = |request: Text| {
        let mut request = request;
        request
            .headers
            .iter_mut()
            .filter(|(name, _)| name == "To")
            .for_each(|(_, value)| *value = format!("<{alice}>"));
        request
    };
    let request = bob.registration(600);
    let refusal = bob.request(for_alice(request)).await;
    let (name, value) = bob.station.credentials(&refusal, &uri, 1).expect("a challenge");
    let request = bob.registration(600).with(&name, value);
    let answer = bob.request(for_alice(request)).await;
    assert!([401, 403].contains(&answer.status().unwrap_or(0)), "{}", answer.start);
    assert!(pbx.registrations().await.is_empty());
}

/// Registers with credentials made for `challenge` and that count.
async fn with_count(phone: &mut Phone, challenge: &Challenge, count: u32) -> Text {
    let uri = format!("sip:{}", phone.station.profile.server);
    let secret = password("alice");
    let login = Login { user: "alice", password: &secret, method: "REGISTER", uri: &uri, count };
    let request = phone.registration(600).with("Authorization", digest_answer(challenge, &login));
    phone.request(request).await
}

#[tokio::test]
async fn a_nonce_counts_up_and_a_repeated_answer_is_stale() {
    let pbx = TestPbx::with("").await;
    let mut phone = pbx.profile("alice").plug_in().await;
    let request = phone.registration(600);
    let refusal = phone.request(request).await;
    let challenge = Challenge::parse(refusal.header("WWW-Authenticate").expect("a challenge")).expect("Digest");
    assert_eq!(with_count(&mut phone, &challenge, 1).await.status(), Some(200));
    assert_eq!(with_count(&mut phone, &challenge, 2).await.status(), Some(200));
    let replayed = with_count(&mut phone, &challenge, 2).await;
    assert_eq!(replayed.status(), Some(401));
    let fresh = Challenge::parse(replayed.header("WWW-Authenticate").expect("a challenge")).expect("Digest");
    assert!(fresh.stale && fresh.nonce != challenge.nonce, "the password was right, the nonce is to be renewed");
    assert_eq!(with_count(&mut phone, &fresh, 1).await.status(), Some(200));
}

#[tokio::test]
async fn a_nonce_the_server_never_made_is_worth_nothing() {
    let pbx = TestPbx::with("").await;
    let mut phone = pbx.profile("alice").plug_in().await;
    let request = phone.registration(600);
    let refusal = phone.request(request).await;
    let mut challenge = Challenge::parse(refusal.header("WWW-Authenticate").expect("a challenge")).expect("Digest");
    challenge.nonce = format!("{}0", challenge.nonce);
    assert_eq!(with_count(&mut phone, &challenge, 1).await.status(), Some(401));
    assert!(pbx.registrations().await.is_empty());
}

#[tokio::test]
async fn a_user_has_several_phones_and_each_goes_by_itself() {
    let pbx = TestPbx::with("").await;
    let mut desk = pbx.phone("alice").await;
    let mut mobile = pbx.profile_over("alice", Transport::Tcp).plug_in().await;
    let both = mobile.tries_to_register(600).await;
    for phone in [&desk, &mobile] {
        let address = phone.local().to_string();
        assert!(both.all("Contact").iter().any(|contact| contact.contains(&address)), "{address} is listed");
    }
    assert_eq!(pbx.registrations().await.len(), 2);
    assert_eq!(desk.tries_to_register(0).await.status(), Some(200));
    let left = pbx.registrations().await;
    assert_eq!(left.len(), 1);
    assert!(left[0].contact.contains(&mobile.local().to_string()));
}

#[tokio::test]
async fn a_star_removes_all_phones_of_a_user() {
    let pbx = TestPbx::with("").await;
    let mut desk = pbx.phone("alice").await;
    let _mobile = pbx.phone("alice").await;
    assert_eq!(pbx.registrations().await.len(), 2);
    let star = |request: Text| {
        let mut request = request;
        request.headers.iter_mut().filter(|(name, _)| name == "Contact").for_each(|(_, value)| *value = "*".to_owned());
        request
    };
    let request = star(desk.registration(0));
    let refusal = desk.request(request).await;
    let uri = format!("sip:{}", desk.station.profile.server);
    let (name, value) = desk.station.credentials(&refusal, &uri, 1).expect("a challenge");
    let request = star(desk.registration(0)).with(&name, value);
    assert_eq!(desk.request(request).await.status(), Some(200));
    assert!(pbx.registrations().await.is_empty());
}

#[tokio::test]
async fn a_phone_that_comes_back_elsewhere_replaces_its_old_self() {
    let pbx = TestPbx::with("").await;
    let instance = ";+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000a95a0e128>\"";
    let profile = Profile { contact_params: instance.to_owned(), ..pbx.profile("alice") };
    let _before = pbx.plugs_in(profile.clone()).await;
    let after = pbx.plugs_in(profile).await;
    let registrations = pbx.registrations().await;
    assert_eq!(registrations.len(), 1, "{registrations:?}");
    assert!(registrations[0].contact.contains(&after.local().to_string()));
    assert!(registrations[0].instance.as_deref().is_some_and(|urn| urn.contains("000a95a0e128")));
}

#[tokio::test]
async fn without_credentials_nothing_but_a_challenge_is_had() {
    let pbx = TestPbx::with("exten => 100,1,Answer()").await;
    let phone = Profile { password: None, ..pbx.profile("alice") }.plug_in().await;
    for method in ["MESSAGE", "SUBSCRIBE", "PUBLISH", "REFER", "NOTIFY", "UPDATE", "INFO", "BYE", "PRACK"] {
        let answer = phone.request(phone.outside(method, &phone.station.address("bob"))).await;
        let status = answer.status().unwrap_or(0);
        assert!([401, 403, 405, 407, 481, 489, 501].contains(&status), "{method}: {}", answer.start);
    }
    let mut call = phone.invite("100").await;
    call.is_refused(&[401, 407]).await;
    pbx.is_idle().await;
}

#[tokio::test]
async fn who_guesses_too_often_is_shut_out_and_the_user_is_not() {
    let pbx = TestPbx::unusual("", Unusual { bad_logins: 3, ..Unusual::default() }).await;
    let guess =
        Profile { password: Some("guess-guess-guess".to_owned()), ip: [127, 0, 0, 66].into(), ..pbx.profile("alice") };
    let mut guesser = guess.plug_in().await;
    for _ in 0..3 {
        assert_eq!(guesser.tries_to_register(600).await.status(), Some(401));
    }
    let right = Profile { ip: [127, 0, 0, 66].into(), ..pbx.profile("alice") };
    let mut late = right.plug_in().await;
    assert_eq!(late.tries_to_register(600).await.status(), Some(403), "the address is shut out");
    pbx.phone("alice").await;
    assert_eq!(pbx.registrations().await.len(), 1, "the user gets in from elsewhere");
}
