//! S134: each flaw that the author of document [002] admits, by name: path traversal, no authentication, shell injection, disabled
//! TLS check (in `notice`), HTML injection in the index, public caching. And the audit of those who try.

use crate::receiver::stage::{READER, Stage, TOKEN, private, wav};
use wirechief::config::Secret;
use wirechief::outbox::Manifest;
use wirechief::receiver::{Receiver, ReceiverError, with_user};

/// 200 ways to ask for what is not in the spool.
fn payloads() -> Vec<String> {
    let steps = [
        "../",
        "..%2f",
        "%2e%2e/",
        "%2e%2e%2f",
        "..%252f",
        "%252e%252e%252f",
        "..\\",
        "..%5c",
        "....//",
        "..;/",
        "%c0%ae%c0%ae/",
        "..%c0%af",
        "..%ef%bc%8f",
        "%uff0e%uff0e/",
        "./../",
        "x/../../",
    ];
    let targets = ["etc/passwd", "secret.wav", "etc/passwd%00.wav", "etc/passwd%2500.wav", "secret.wav%00"];
    let mut all = Vec::new();
    for step in steps {
        for target in targets {
            all.push(format!("{step}{target}"));
            all.push(format!("{}{target}", step.repeat(8)));
        }
    }
    let single = [
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "//etc/passwd",
        "/secret.wav",
        "file:///etc/passwd",
        "file:///secret.wav",
        "C:%5cwindows%5cwin.ini",
        "php://filter/resource=secret.wav",
        "http://127.0.0.1/secret.wav",
        "data://text/plain,x",
        ".",
        "..",
        "./",
        "../",
        "%00",
        "%0a",
        "%0d%0aX:%20y",
        "link.wav",
        "folder/out.wav",
        "outbox.sqlite3",
        "outbox.sqlite3-wal",
        "good.json",
        "./good.wav",
        "good.wav/",
        "good.wav/.",
        "x/../good.wav",
        "good.wav%00",
        "good.wav%00.wav",
        "%20good.wav",
        "good.wav%20",
        "good%2ewav%2f..%2f..%2fsecret.wav",
        "~/secret.wav",
        "$HOME/secret.wav",
        "*",
        "*.wav",
        "go?d.wav",
        "[g]ood.wav",
        "{good,x}.wav",
        "..",
        "token",
        "link.key",
        "downloads.jsonl",
        "-rf",
        "%u002e%u002e/secret.wav",
    ];
    all.extend(single.map(str::to_owned));
    all
}

#[tokio::test]
async fn s134_path_traversal_two_hundred_payloads_find_nothing() {
    let stage = Stage::new().await;
    stage.record("good.wav", &wav(100));
    // what must not leak lies beside the spool, as a file that would be served if it were reached; and two links lead to it
    private(&stage.folder.path().join("secret.wav"), &wav(1_000));
    std::os::unix::fs::symlink(stage.folder.path().join("secret.wav"), stage.spool("link.wav")).unwrap();
    std::os::unix::fs::symlink(stage.folder.path(), stage.spool("folder")).unwrap();
    let payloads = payloads();
    assert!(payloads.len() >= 200, "{}", payloads.len());
    for payload in &payloads {
        for path in [format!("/download.php?call={payload}"), format!("/recordings/{payload}")] {
            // raw in the request line only what may stand there
            let path = path.replace(' ', "%20").replace('\\', "%5c");
            let answer = stage.get(&path).await;
            assert!(answer.status == 404 || answer.status == 400, "{path}: {}", answer.status);
            if path.starts_with("/download.php") {
                assert_eq!((answer.status, answer.text()), (404, "404 File not found!"), "{path}");
            }
        }
    }
    assert_eq!(stage.get("/download.php?call=good.wav").await.status, 200, "and what is there is found");
}

#[tokio::test]
async fn s134_a_link_in_the_place_of_a_recording_is_not_followed() {
    let stage = Stage::new().await;
    let manifest = stage.record("a.wav", &wav(100));
    private(&stage.folder.path().join("secret.wav"), &wav(100));
    std::fs::remove_file(stage.spool("a.wav")).unwrap();
    std::os::unix::fs::symlink(stage.folder.path().join("secret.wav"), stage.spool("a.wav")).unwrap();
    assert_eq!(stage.get(&format!("/recordings/{}", manifest.id)).await.status, 404);
}

#[tokio::test]
async fn s134_no_authentication_nobody_sees_anything_without_a_login() {
    let stage = Stage::new().await;
    let id = stage.record("a.wav", &wav(100)).id;
    for path in
        ["/".to_owned(), "/call_index.htm".into(), "/download.php?call=a.wav".into(), format!("/recordings/{id}")]
    {
        let answer = stage.bare(&path).await;
        assert_eq!(answer.status, 401, "{path}");
        assert!(answer.header("www-authenticate").unwrap().starts_with("Basic realm="));
        assert!(!answer.text().contains("a.wav") && answer.body.len() < 100);
        let wrong =
            format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}x\r\nConnection: close\r\n\r\n");
        assert_eq!(stage.ask(wrong).await.status, 401, "{path}");
    }
    let wrong: Vec<_> = stage.audit().into_iter().filter(|line| line["event"] == "login").collect();
    assert_eq!(wrong.len(), 4, "wrong logins are on record, bare requests are not");
}

#[tokio::test]
async fn s134_a_token_to_deliver_with_opens_no_page() {
    let stage = Stage::new().await;
    let id = stage.record("a.wav", &wav(100)).id;
    for path in ["/".to_owned(), "/download.php?call=a.wav".into(), format!("/recordings/{id}")] {
        let ask =
            format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n");
        let answer = stage.ask(ask).await;
        assert_eq!(answer.status, 403, "{path}");
        assert!(answer.text().contains("read_token_file") && answer.body.len() < 100, "{}", answer.text());
        assert_eq!(stage.get(&path).await.status, 200, "{path}");
    }
    let request = format!(
        "POST /api/recordings HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {READER}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    assert_eq!(stage.ask(request).await.status, 403, "nor does the other deliver");
    let folder = tempfile::tempdir().unwrap();
    let mut setup = super::stage::setup(folder.path());
    setup.settings.read_token_file = setup.settings.token_file.clone();
    let refused = Receiver::open(setup).err();
    assert!(matches!(refused, Some(ReceiverError::OneToken(_))), "{refused:?}");
}

#[tokio::test]
async fn s135_an_address_that_others_reach_demands_tls_and_a_login() {
    let folder = tempfile::tempdir().unwrap();
    let mut setup = super::stage::setup(folder.path());
    setup.settings.bind = "0.0.0.0:0".parse().unwrap();
    let refused = Receiver::open(setup.clone()).err();
    assert!(matches!(refused, Some(ReceiverError::Plain(_))), "{refused:?}");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(folder.path().join("cert.pem"), made.cert.pem()).unwrap();
    private(&folder.path().join("key.pem"), made.signing_key.serialize_pem().as_bytes());
    setup.settings.tls_certificate = Some(folder.path().join("cert.pem"));
    setup.settings.tls_key = Some(folder.path().join("key.pem"));
    assert!(Receiver::open(setup.clone()).is_ok());
    (setup.settings.token_file, setup.settings.read_token_file) = (None, None);
    let refused = Receiver::open(setup).err();
    assert!(matches!(refused, Some(ReceiverError::Anybody(_))), "{refused:?}");
    assert_eq!(wirechief::config::ServeSettings::default().bind.ip().to_string(), "127.0.0.1");
}

#[tokio::test]
async fn s134_html_injection_hostile_names_are_shown_as_text() {
    let stage = Stage::new().await;
    let evil = "\"><script>alert(document.domain)</script><img src=x onerror=alert(1)>";
    let mut manifest = Manifest::new("x.wav", "2026-11-20T21:00:00Z".parse().unwrap());
    manifest.from_name = evil.to_owned();
    manifest.from = "'; DROP TABLE recordings; --".to_owned();
    manifest.to = "javascript:alert(1)".to_owned();
    manifest.agent = Some("</td></tr></table><svg onload=alert(1)>".to_owned());
    stage.record_as(manifest, &wav(100));
    for path in ["/", "/?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E", "/?q=script"] {
        let page = stage.get(path).await;
        let html = page.text();
        for element in ["<script", "<img", "<svg", "onerror=alert(1)>"] {
            assert!(!html.contains(element), "{path}: {element}");
        }
        assert_eq!(html.matches("<tr><td>").count(), html.matches("</audio></td>").count());
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    }
    assert!(stage.get("/").await.text().contains("&lt;script&gt;alert(document.domain)&lt;/script&gt;"));
}

#[tokio::test]
async fn s134_public_caching_every_answer_is_private() {
    let stage = Stage::new().await;
    let id = stage.record("a.wav", &wav(100)).id;
    for path in [
        "/".to_owned(),
        "/download.php?call=a.wav".into(),
        format!("/recordings/{id}"),
        "/download.php?call=b.wav".into(),
        "/x".into(),
    ] {
        for answer in [stage.get(&path).await, stage.bare(&path).await] {
            assert_eq!(answer.header("cache-control"), Some("private, no-store"), "{path}");
            assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{path}");
            assert!(answer.header("content-security-policy").unwrap().starts_with("default-src 'none'"), "{path}");
        }
    }
}

#[tokio::test]
async fn s134_shell_injection_values_reach_no_shell_and_no_name() {
    let stage = Stage::new().await;
    let marker = stage.folder.path().join("marker");
    for value in [
        format!("$(touch {0})", marker.display()),
        format!("`touch {0}`", marker.display()),
        format!(";touch {0};", marker.display()),
        format!("x|touch {0}", marker.display()),
        format!("\ntouch {0}\n", marker.display()),
    ] {
        let coded = wirechief::receiver::encoded(&value);
        assert_eq!(stage.get(&format!("/download.php?call={coded}.wav")).await.status, 404);
        assert_eq!(stage.get(&format!("/?q={coded}")).await.status, 200);
    }
    assert!(!marker.exists());
    let mut names: Vec<_> =
        std::fs::read_dir(stage.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["downloads.jsonl", "link.key", "reader", "recordings", "token"]);
}

#[tokio::test]
async fn downloads_and_refusals_are_on_record_one_line_each() {
    let stage = Stage::new().await;
    let id = stage.record("a.wav", &wav(100)).id.to_string();
    stage.get("/download.php?call=a.wav").await;
    stage.get("/download.php?call=..%2f%0a%7b%22x%22").await;
    stage.get("/recordings/nonsense").await;
    let lines = stage.audit();
    let told: Vec<_> = lines
        .iter()
        .map(|line| {
            (
                line["event"].as_str().unwrap(),
                line["who"].as_str().unwrap(),
                line["what"].as_str().unwrap(),
                line["status"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("download", "token", "a.wav", 200),
            ("download", "token", "../\n{\"x\"", 404),
            ("download", "token", "nonsense", 404)
        ]
    );
    assert_eq!((lines[0]["id"].as_str(), lines[0]["from"].as_str()), (Some(id.as_str()), Some("127.0.0.1")));
    assert_eq!(
        std::os::unix::fs::MetadataExt::mode(&stage.folder.path().join("downloads.jsonl").metadata().unwrap()) & 0o777,
        0o600
    );
}

#[tokio::test]
async fn nothing_is_served_that_cannot_be_put_on_record() {
    let stage = Stage::new().await;
    stage.record("a.wav", &wav(100));
    std::fs::create_dir(stage.folder.path().join("downloads.jsonl")).unwrap();
    let answer = stage.get("/download.php?call=a.wav").await;
    assert_eq!((answer.status, answer.header("content-type")), (503, Some("text/plain; charset=utf-8")));
    assert_eq!(stage.get("/").await.status, 503);
}

#[tokio::test]
async fn r9_another_tenants_recording_is_not_there() {
    let stage = Stage::with(|setup| {
        let secret = |text: &str| Secret::new(text.to_owned());
        let users = with_user("", "ann", &secret("pass-of-ann"), Some("sales,icall")).unwrap();
        private(&setup.state.join("users"), with_user(&users, "boss", &secret("b"), None).unwrap().as_bytes());
        setup.settings.users_file = Some(setup.state.join("users"));
        setup.groups = [("1001".to_owned(), vec!["sales".to_owned()])].into();
    })
    .await;
    let made = |name: &str, agent: &str, trunk: &str| {
        let mut manifest = Manifest::new(name, "2026-11-20T21:00:00Z".parse().unwrap());
        (manifest.agent, manifest.trunk) = (Some(agent.to_owned()), Some(trunk.to_owned()));
        stage.record_as(manifest, &wav(50))
    };
    let (hers, by_trunk, other) =
        (made("hers.wav", "1001", "x"), made("trunk.wav", "1009", "icall"), made("other.wav", "1002", "x"));
    let login = |text: &str| {
        format!("Authorization: Basic {}\r\n", base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text))
    };
    let ask = async |path: &str, who: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{}\r\n", login(who));
        stage.ask(request).await
    };
    for (path, status) in [
        (format!("/recordings/{}", hers.id), 200),
        (format!("/recordings/{}", by_trunk.id), 200),
        (format!("/recordings/{}", other.id), 404),
        ("/download.php?call=other.wav".to_owned(), 404),
    ] {
        assert_eq!(ask(&path, "ann:pass-of-ann").await.status, status, "{path}");
        assert_eq!(ask(&path, "boss:b").await.status, 200, "{path}");
    }
    let page = ask("/", "ann:pass-of-ann").await;
    assert!(
        page.text().contains("hers.wav") && page.text().contains("trunk.wav") && !page.text().contains("other.wav")
    );
    assert!(ask("/", "boss:b").await.text().contains("other.wav"));
    assert_eq!(ask("/", "ann:b").await.status, 401);
    let hers = made("of-sales/same.wav", "1001", "x");
    made("of-others/same.wav", "1002", "x");
    let same = "/download.php?call=same.wav";
    assert_eq!(ask(same, "ann:pass-of-ann").await.status, 200, "that others have one of that name is not told to her");
    assert_eq!(ask(same, "boss:b").await.status, 404, "which of both?");
    assert_eq!(ask(&format!("/recordings/{}", hers.id), "ann:pass-of-ann").await.status, 200);
    let missing = stage.get("/download.php?call=nowhere.wav").await;
    let hidden = ask("/download.php?call=other.wav", "ann:pass-of-ann").await;
    assert_eq!((missing.status, missing.body), (hidden.status, hidden.body), "both look alike");
}
