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
}

#[tokio::test]
async fn hubspot_gets_a_private_file_in_its_folder() {
    let (desk, crm) = (desk(), StubCrm::start().await);
    crm.page("/files/v3/files", |asked| {
        assert_eq!(asked.header("authorization"), Some("Bearer pat-1"));
        let text = |name: &str| asked.part(name).map(|part| part.text()).unwrap_or_default();
        assert_eq!((text("folderPath").as_str(), text("fileName").as_str()), ("/call recordings", "a.wav"));
        let options: Value = serde_json::from_str(&text("options")).unwrap();
        assert_eq!(options["access"], "PRIVATE");
        assert_eq!(options["duplicateValidationStrategy"], "RETURN_EXISTING");
        let size = asked.part("file").unwrap().bytes.len();
        Reply::json(201, &json!({ "id": "1234", "name": "a", "size": size, "access": "PRIVATE" }))
    });
    let remote = example(&desk, "hubspot", &crm, &[("https://api.hubapi.com", "")]);
    let receipt = deliver(&remote, &desk.parcel("2026/a.wav", &noise(5_000), |_| {})).await.unwrap();
    assert_eq!(receipt.id, "1234");
}

#[tokio::test]
async fn zoho_gets_an_attachment_and_only_its_id_is_a_receipt() {
    let (desk, crm) = (desk(), StubCrm::start().await);
    crm.page("/oauth/v2/token", token("grant_type=refresh_token&refresh_token=refresh-me"));
    crm.page("/crm/v8/Calls/", |asked| {
        assert_eq!(asked.header("authorization"), Some("Zoho-oauthtoken at-1"));
        assert_eq!(asked.parts().len(), 1);
        let taken = asked.path() == "/crm/v8/Calls/42/Attachments" && asked.part("file").is_some();
        let (code, details) = if taken { ("SUCCESS", json!({ "id": "77" })) } else { ("INVALID_DATA", json!({})) };
        Reply::json(200, &json!({ "data": [{ "code": code, "details": details, "status": "?" }] }))
    });
    let remote = example(&desk, "zoho", &crm, &[("https://www.zohoapis.com", ""), ("https://accounts.zoho.com", "")]);
    let parcel = |record: &str| {
        desk.parcel("a.wav", &noise(5_000), |manifest| {
            manifest.variables.insert("ZOHO_RECORD".into(), record.into());
        })
    };
    assert_eq!(deliver(&remote, &parcel("42")).await.unwrap().id, "77");
    let error = deliver(&remote, &parcel("43")).await.unwrap_err();
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
