//! The look before an attempt is repeated: answers that go on, and remotes that lead astray with them.

use serde_json::{Value, json};
use wirechief::outbox::remote::Retry;

use super::*;
use crate::harness::{Asked, Reply, StubCrm};

/// A list whose pages are made by `page`, and how often the recording was sent all the same.
struct Listing {
    desk: Desk,
    crm: StubCrm,
    sent: Arc<AtomicU64>,
}

impl Listing {
    async fn of(page: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let (desk, crm, sent) = (Desk::new(), StubCrm::start().await, Arc::new(AtomicU64::new(0)));
        crm.page("/find", page);
        let count = Arc::clone(&sent);
        crm.page("/add", move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            Reply::json(201, &json!({ "id": "new" }))
        });
        Self { desk, crm, sent }
    }

    /// The second attempt at `a.wav`, asking by these lines.
    async fn repeat(&self, question: &str, more: &str) -> Result<Receipt, DeliveryError> {
        let remote = self.desk.remote(&format!(
            "url = '{}'\nreceipt = 'status'\nexists_url = '{}'\nexists_list = '/data'\nexists_id = '/id'\n\
             exists_match = {{ name = '{{{{ name }}}}' }}\n{more}",
            self.crm.url("/add"),
            self.crm.url(question)
        ));
        deliver(&remote, &Parcel { attempt: 2, ..self.desk.parcel("a.wav", b"audio", |_| {}) }).await
    }

    /// Questions, and recordings sent.
    fn counts(&self) -> (usize, u64) {
        let asked = self.crm.asked().iter().filter(|asked| asked.path() == "/find").count();
        (asked, self.sent.load(Ordering::SeqCst))
    }
}

/// Entries of which the last page has the recording.
fn entries(page: usize, last: usize) -> Value {
    let name = if page == last { "a.wav" } else { "b.wav" };
    json!([{ "id": format!("{page}"), "name": name }])
}

fn page_of(asked: &Asked) -> usize {
    let query = asked.target.split_once('?').map(|(_, query)| query).unwrap_or_default();
    let fields = url::form_urlencoded::parse(query.as_bytes());
    fields.filter(|(name, _)| name == "page").find_map(|(_, value)| value.parse().ok()).unwrap_or(1)
}

#[tokio::test]
async fn a_list_is_looked_through_to_its_end_however_it_says_that_it_goes_on() {
    for (question, more, next) in [
        ("/find?page={{ page }}", "exists_next = '/more'", "flag"),
        ("/find?page={{ next | default(1, true) }}", "exists_next = '/more'", "token"),
        ("/find", "exists_next = '/more'", "address"),
        ("/find", "exists_next = '/more'", "path"),
        ("/find", "", "header"),
    ] {
        let made = Listing::of(move |asked| {
            let page = page_of(asked);
            let path = format!("/find?page={}", page + 1);
            let here = format!("http://{}{path}", asked.header("host").unwrap());
            let is_last = page == 3;
            let more = match next {
                _ if is_last => json!([null, false, ""])[next.len() % 3].clone(),
                "flag" => json!(true),
                "token" => json!((page + 1).to_string()),
                "address" => json!(here),
                "path" => json!(path),
                _ => Value::Null,
            };
            let reply = Reply::json(200, &json!({ "data": entries(page, 3), "more": more }));
            let links = format!("</find?page=1>; rel=\"first\", <{path}>; rel=\"next\"");
            if next == "header" && !is_last { reply.with("link", &links) } else { reply }
        })
        .await;
        assert_eq!(made.repeat(question, more).await.unwrap().id, "3", "{next}");
        assert_eq!(made.counts(), (3, 0), "{next}");
    }
}

#[tokio::test]
async fn what_is_on_no_page_is_sent() {
    let made = Listing::of(|asked| {
        let page = page_of(asked);
        Reply::json(200, &json!({ "data": entries(page, 9), "more": page < 3 }))
    })
    .await;
    assert_eq!(made.repeat("/find?page={{ page }}", "exists_next = '/more'").await.unwrap().id, "new");
    assert_eq!(made.counts(), (3, 1));
    let made = Listing::of(|_| Reply::json(404, &json!({ "sha256": sha256(b"audio"), "size": 5 }))).await;
    assert_eq!(made.repeat("/find", "").await.unwrap().id, "new", "what is not found is no receipt");
}

#[tokio::test]
async fn a_list_that_leads_in_circles_or_astray_is_followed_nowhere_and_nothing_is_sent() {
    let elsewhere = StubCrm::start().await;
    for (next, asked, says) in [
        ("/find?page=1".to_owned(), 2, "asked for already"),
        (elsewhere.url("/find"), 1, "none of this host"),
        ("http://169.254.169.254/latest/meta-data/".into(), 1, "none of this host"),
        ("//evil.example/find".into(), 1, "none of this host"),
        ("file:///etc/passwd".into(), 1, "none of this host"),
        ("http://user:secret@HOST/find?page=2".into(), 1, "none of this host"),
        ("endless".into(), 20, "after 20 pages"),
    ] {
        let target = next.clone();
        let made = Listing::of(move |asked| {
            let next = match target.as_str() {
                "endless" => format!("/find?page={}", page_of(asked) + 1),
                next => next.replace("HOST", asked.header("host").unwrap()),
            };
            Reply::json(200, &json!({ "data": [], "next": next }))
        })
        .await;
        let error = made.repeat("/find", "exists_next = '/next'").await.unwrap_err();
        assert!(is_later(&error) && error.what.contains(says), "{next}: {error}");
        assert_eq!(made.counts(), (asked, 0), "{next}");
    }
    assert_eq!(elsewhere.connections(), 0);
    // it goes on, and nobody has said how to ask
    let made = Listing::of(|_| Reply::json(200, &json!({ "data": [], "more": true }))).await;
    let error = made.repeat("/find", "exists_next = '/more'").await.unwrap_err();
    assert!(error.what.contains("exists_url has no {{ page }}"), "{error}");
}

#[tokio::test]
async fn a_receipt_that_is_a_book_is_not_kept_as_one() {
    let (desk, crm) = (Desk::new(), StubCrm::start().await);
    crm.page("/add", |asked| Reply::json(200, &json!({ "id": "x".repeat(50_000), "n": asked.target })));
    let remote = desk.remote(&format!("url = '{}'\nreceipt = 'status'", crm.url("/add")));
    assert_eq!(deliver(&remote, &desk.parcel("a.wav", b"audio", |_| {})).await.unwrap().id.len(), 1_000);
}

#[tokio::test]
async fn a_value_makes_no_step_upwards_in_a_url() {
    let (desk, crm) = (Desk::new(), StubCrm::start().await);
    crm.page("/", |_| Reply::json(200, &json!({ "id": "7" })));
    let remote = desk.remote(&format!(
        "url = '{}'\nreceipt = 'status'",
        crm.url("/Calls/{{ to }}/Attachments/{{ from }}?x={{ to }}")
    ));
    for (to, from) in [("..", "1"), ("1", ".."), (".", "1")] {
        let parcel = desk.parcel("a.wav", b"audio", |manifest| {
            (manifest.to, manifest.from) = (to.into(), from.into());
        });
        let error = deliver(&remote, &parcel).await.unwrap_err();
        assert!(error.retry == Retry::Never && error.what.contains("another place"), "{error}");
    }
    assert_eq!(crm.connections(), 0);
    let dotted = desk.parcel("a.wav", b"audio", |manifest| manifest.to = "...".into());
    assert_eq!(deliver(&remote, &dotted).await.unwrap().id, "7");
}

#[tokio::test]
async fn a_file_that_was_changed_meanwhile_never_arrives_where_nobody_checks_its_hash() {
    let (desk, crm) = (Desk::new(), StubCrm::start().await);
    crm.page("/form", |_| Reply::json(200, &json!({ "id": "7" })));
    for method in ["POST", "PUT"] {
        let remote = desk.remote(&format!("url = '{}'\nmethod = '{method}'\nreceipt = 'status'", crm.url("/form")));
        let parcel = desk.parcel("a.wav", &noise(700_000), |_| {});
        let mut changed = noise(700_000);
        changed[5] ^= 1;
        std::fs::write(desk.spool.path_of("a.wav").unwrap(), changed).unwrap();
        let error = deliver(&remote, &parcel).await.unwrap_err();
        assert!(is_later(&error) && error.what.contains("not what it was"), "{error}");
        assert!(crm.asked().is_empty(), "no whole request");
    }
    let good = desk.parcel("a.wav", &noise(700_000), |_| {});
    let remote = desk.remote(&format!("url = '{}'\nreceipt = 'status'", crm.url("/form")));
    assert_eq!(deliver(&remote, &good).await.unwrap().id, "7");
}

#[tokio::test]
async fn a_giver_of_tokens_that_repeats_our_secret_does_not_bring_it_into_an_error() {
    let (desk, crm) = (Desk::new(), StubCrm::start().await);
    desk.secret("oauth", "a secret/of+ours");
    crm.page("/oauth", |asked| Reply::status(400).body(&[b"a secret/of+ours wrong: ", asked.body.as_slice()].concat()));
    let remote = desk.remote(&format!(
        "url = '{}'\noauth2 = {{ token_url = '{}', client_id = 'rec', client_secret_file = 'oauth' }}",
        crm.url("/api/recordings"),
        crm.url("/oauth")
    ));
    let error = deliver(&remote, &desk.parcel("a.wav", b"audio", |_| {})).await.unwrap_err();
    assert!(error.what.contains("*** wrong") && error.what.contains("client_secret=***"), "{error}");
}
