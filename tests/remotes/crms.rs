//! The examples for well-known CRMs, each against a stub that behaves as the CRM's documents say.

use serde_json::{Value, json};

use super::*;
use crate::harness::{Asked, Fault, Reply, StubCrm};

/// An example's settings, in which places of the CRM are paths of the stub.
fn example(desk: &Desk, name: &str, crm: &StubCrm, places: &[(&str, &str)]) -> Configured {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/remotes").join(format!("{name}.toml"));
    let mut text = std::fs::read_to_string(file).unwrap();
    let as_it_stands = config::load(&["x.toml".into()], &|path| match path.to_str() {
        Some("x.toml") => Ok(text.clone()),
        _ => Ok("a secret".to_owned()),
    });
    assert!(as_it_stands.is_ok(), "{as_it_stands:?}");
    for (place, path) in places {
        assert!(text.contains(place), "{place}");
        text = text.replace(place, &crm.url(path));
    }
    let main = desk.path(&format!("{name}.toml"));
    std::fs::write(&main, text.replace("CONSUMER KEY", "rec").replace("CLIENT ID", "rec")).unwrap();
    let config = config::load(&[main], &|path: &Path| std::fs::read_to_string(path)).unwrap();
    let lookup: Arc<dyn Lookup> = Arc::new(SystemLookup);
    from_settings(&config.remotes[name], &lookup).unwrap()
}

fn desk() -> Desk {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("secrets")).unwrap();
    for (name, text) in [
        ("salesforce", "oauth-secret"),
        ("hubspot", "pat-1"),
        ("zoho-client", "oauth-secret"),
        ("zoho-refresh", "refresh-me"),
        ("php-token", "t"),
        ("php-sign", "s"),
    ] {
        desk.secret(&format!("secrets/{name}"), text);
    }
    desk
}

fn token(kind: &'static str) -> impl Fn(&Asked) -> Reply {
    move |asked| {
        let form = String::from_utf8_lossy(&asked.body).into_owned();
        assert!(form.contains(kind) && form.contains("client_secret=oauth-secret"), "{form}");
        Reply::json(200, &json!({ "access_token": "at-1", "token_type": "Bearer", "expires_in": 3600 }))
    }
}

#[tokio::test]
async fn salesforce_gets_a_content_version_once() {
    let (desk, crm) = (desk(), StubCrm::start().await);
    crm.page("/services/oauth2/token", token("grant_type=client_credentials"));
    let made = Arc::new(Mutex::new(Vec::<Value>::new()));
    let versions = Arc::clone(&made);
    crm.page("/services/data/v64.0/sobjects/ContentVersion", move |asked| {
        assert_eq!(asked.header("authorization"), Some("Bearer at-1"));
        let parts = asked.parts();
        // the part that is not binary comes first, and is JSON
        assert_eq!((parts[0].name.as_str(), parts[0].kind.as_deref()), ("entity_content", Some("application/json")));
        assert_eq!((parts[1].name.as_str(), parts[1].file_name.as_deref()), ("VersionData", Some("a.wav")));
        let version: Value = serde_json::from_slice(&parts[0].bytes).unwrap();
        assert!(version["Title"].is_string() && version["PathOnClient"].is_string());
        versions.lock().unwrap().push(version);
        Reply::json(201, &json!({ "id": "068000000000001AAA", "success": true, "errors": [] }))
    });
    let asked_for = Arc::clone(&made);
    crm.page("/services/data/v64.0/query", move |asked| {
        let query: String = url::form_urlencoded::parse(asked.target.split_once('?').unwrap().1.as_bytes())
            .find_map(|(name, value)| (name == "q").then(|| value.into_owned()))
            .unwrap();
        let title = query.strip_prefix("SELECT Id FROM ContentVersion WHERE Title='").unwrap().trim_end_matches('\'');
        let found = asked_for.lock().unwrap().iter().any(|version| version["Title"] == title);
        let records = if found { json!([{ "Id": "068000000000001AAA" }]) } else { json!([]) };
        Reply::json(200, &json!({ "totalSize": 1, "done": true, "records": records }))
    });
    let remote = example(&desk, "salesforce", &crm, &[("https://MYDOMAIN.my.salesforce.com", "")]);
    let parcel = desk.parcel("2026/a.wav", &noise(50_000), |manifest| manifest.from = "\"0'".into());
    // token, then the version, which is made but whose answer is lost
    crm.fail([Fault::Good, Fault::CommitThenDrop]);
    assert!(is_later(&deliver(&remote, &parcel).await.unwrap_err()));
    let receipt = deliver(&remote, &Parcel { attempt: 2, ..parcel }).await.unwrap();
    assert_eq!(receipt.id, "068000000000001AAA");
    assert_eq!(made.lock().unwrap().len(), 1);
    assert_eq!(made.lock().unwrap()[0]["FirstPublishLocationId"], Value::Null);
    // one of the same name in another folder is another recording, whose first answer is not lost
    let other = desk.parcel("2027/a.wav", &noise(60_000), |_| {});
    crm.fail([Fault::Status(503, None)]);
    assert!(is_later(&deliver(&remote, &other).await.unwrap_err()));
    deliver(&remote, &Parcel { attempt: 2, ..other }).await.unwrap();
    assert_eq!(made.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn hubspot_gets_a_private_file_in_its_folder_once() {
    let (desk, crm) = (desk(), StubCrm::start().await);
    // what is found as a duplicate is returned, as the strategy says
    let files = Arc::new(Mutex::new(Vec::<(String, usize)>::new()));
    let made = Arc::clone(&files);
    crm.page("/files/v3/files", move |asked| {
        assert_eq!(asked.header("authorization"), Some("Bearer pat-1"));
        let text = |name: &str| asked.part(name).map(|part| part.text()).unwrap_or_default();
        assert_eq!(text("folderPath"), "/call recordings");
        let options: Value = serde_json::from_str(&text("options")).unwrap();
        assert_eq!(options["access"], "PRIVATE");
        assert_eq!(options["duplicateValidationStrategy"], "RETURN_EXISTING");
        assert_eq!(options["duplicateValidationScope"], "EXACT_FOLDER");
        let (name, size) = (text("fileName"), asked.part("file").unwrap().bytes.len());
        let mut files = made.lock().unwrap();
        let at = files.iter().position(|file| *file == (name.clone(), size)).unwrap_or_else(|| {
            files.push((name.clone(), size));
            files.len() - 1
        });
        Reply::json(201, &json!({ "id": format!("123{at}"), "name": name, "size": size, "access": "PRIVATE" }))
    });
    let remote = example(&desk, "hubspot", &crm, &[("https://api.hubapi.com", "")]);
    let parcel = desk.parcel("2026/a.wav", &noise(5_000), |_| {});
    crm.fail([Fault::CommitThenDrop]);
    assert!(is_later(&deliver(&remote, &parcel).await.unwrap_err()));
    let receipt = deliver(&remote, &Parcel { attempt: 2, ..parcel.clone() }).await.unwrap();
    let name = format!("{}-a.wav", &parcel.key[..8]);
    assert_eq!((receipt.id.as_str(), files.lock().unwrap().as_slice()), ("1230", [(name, 5_000)].as_slice()));
    let other = desk.parcel("2027/a.wav", &noise(5_000), |_| {});
    assert_eq!(deliver(&remote, &other).await.unwrap().id, "1231", "of the same name in another folder");
}

#[tokio::test]
async fn an_answer_that_does_not_tell_whether_it_is_there_sends_nothing_again() {
    let (desk, crm) = (desk(), StubCrm::start().await);
    crm.page("/oauth/v2/token", token("grant_type=refresh_token&refresh_token=refresh-me"));
    // the last one goes on and on
    let goes_on = json!({ "data": [], "info": { "more_records": true } });
    let answers = [json!("maintenance"), json!({ "data": null })].into_iter().chain(std::iter::repeat_n(goes_on, 20));
    let answers = Arc::new(Mutex::new(answers.collect::<std::collections::VecDeque<_>>()));
    let left = Arc::clone(&answers);
    let sent = Arc::new(Mutex::new(0));
    let posted = Arc::clone(&sent);
    crm.page("/crm/v8/Calls/", move |asked| {
        if asked.method == "GET" {
            let next = left.lock().unwrap().pop_front();
            return next.map_or_else(|| Reply::status(204), |next| Reply::json(200, &next));
        }
        *posted.lock().unwrap() += 1;
        Reply::json(200, &json!({ "data": [{ "code": "SUCCESS", "details": { "id": "77" } }] }))
    });
    let places = [("https://www.zohoapis.com", ""), ("https://accounts.zoho.com", "")];
    let remote = example(&desk, "zoho", &crm, &places);
    let parcel = desk.parcel("2026/a.wav", &noise(5_000), |manifest| {
        manifest.variables.insert("ZOHO_RECORD".into(), "42".into());
    });
    let again = Parcel { attempt: 2, ..parcel };
    for why in ["no JSON", "no list", "after 20 pages"] {
        let error = deliver(&remote, &again).await.unwrap_err();
        assert!(is_later(&error) && (error.what.contains(why) || why == "no JSON"), "{why}: {error}");
    }
    assert_eq!((*sent.lock().unwrap(), answers.lock().unwrap().len()), (0, 0));
    assert_eq!(deliver(&remote, &again).await.unwrap().id, "77");
}

#[tokio::test]
async fn zoho_gets_an_attachment_once_and_only_its_id_is_a_receipt() {
    let (desk, crm) = (desk(), StubCrm::start().await);
    crm.page("/oauth/v2/token", token("grant_type=refresh_token&refresh_token=refresh-me"));
    let attached = Arc::new(Mutex::new(Vec::<Value>::new()));
    let list = Arc::clone(&attached);
    crm.page("/crm/v8/Calls/", move |asked| {
        assert_eq!(asked.header("authorization"), Some("Zoho-oauthtoken at-1"));
        let mut list = list.lock().unwrap();
        if asked.method == "GET" {
            // nothing attached: 204 without a body; else one on each page
            let (_, page) = asked.target.split_once("?fields=id,File_Name&per_page=200&page=").expect(&asked.target);
            let page: usize = page.parse().unwrap();
            let Some(entry) = list.get(page - 1) else { return Reply::status(204) };
            return Reply::json(200, &json!({ "data": [entry], "info": { "more_records": page < list.len() } }));
        }
        assert_eq!(asked.parts().len(), 1);
        let part = asked.part("file").unwrap();
        let taken = asked.path() == "/crm/v8/Calls/42/Attachments";
        let id = (77 + list.len()).to_string();
        let (code, details) = if taken { ("SUCCESS", json!({ "id": id })) } else { ("INVALID_DATA", json!({})) };
        if taken {
            list.push(json!({ "id": id, "File_Name": part.file_name }));
        }
        Reply::json(200, &json!({ "data": [{ "code": code, "details": details, "status": "?" }] }))
    });
    let remote = example(&desk, "zoho", &crm, &[("https://www.zohoapis.com", ""), ("https://accounts.zoho.com", "")]);
    let parcel = |file: &str, bytes: usize, record: &str| {
        desk.parcel(file, &noise(bytes), |manifest| {
            manifest.variables.insert("ZOHO_RECORD".into(), record.into());
        })
    };
    // token, then the attachment, which is made but whose answer is lost
    crm.fail([Fault::Good, Fault::CommitThenDrop]);
    let first = parcel("a.wav", 5_000, "42");
    assert!(is_later(&deliver(&remote, &first).await.unwrap_err()));
    assert_eq!(deliver(&remote, &Parcel { attempt: 2, ..first }).await.unwrap().id, "77");
    assert_eq!(attached.lock().unwrap().len(), 1);
    // another one of the same name and size on the same record is not taken for the first
    let second = parcel("b/a.wav", 5_000, "42");
    crm.fail([Fault::Status(500, None)]);
    assert!(is_later(&deliver(&remote, &second).await.unwrap_err()));
    assert_eq!(deliver(&remote, &Parcel { attempt: 2, ..second.clone() }).await.unwrap().id, "78");
    assert_eq!(deliver(&remote, &Parcel { attempt: 3, ..second }).await.unwrap().id, "78", "found on the second page");
    assert_eq!(attached.lock().unwrap().len(), 2);
    let error = deliver(&remote, &parcel("a.wav", 5_000, "43")).await.unwrap_err();
    assert!(error.what.contains("INVALID_DATA"), "{error}");
    let error = deliver(&remote, &desk.parcel("a.wav", b"audio", |_| {})).await.unwrap_err();
    assert_eq!(error.retry, Retry::Never, "a call without the record: {error}");
}

#[tokio::test]
async fn a_page_of_php_gets_what_it_checks() {
    let (desk, crm) = (desk(), StubCrm::start().await);
    crm.expect_login("Bearer t");
    crm.expect_signature("s");
    crm.sign_receipts("s");
    // the stub stands where the page would: it checks and answers as receiver.php does
    let places = [("https://www.example.com/recordings/receiver.php", "/api/recordings")];
    let remote = example(&desk, "php", &crm, &places);
    let parcel = desk.parcel("a.wav", &noise(5_000), |_| {});
    let receipt = deliver(&remote, &parcel).await.unwrap();
    let sent = wirechief::outbox::receipt::Sent { key: &parcel.key, sha256: &parcel.sha256, size: parcel.size };
    assert_eq!(wirechief::outbox::receipt::check(&receipt, &sent, &remote.policy), Ok(()));
}
