//! Whom we speak to: certificates, and addresses that names lead to. What is counted is what arrives at the other side.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::AtomicUsize;

use super::*;
use crate::harness::{Authority, Flaw, StubCrm};

#[tokio::test]
async fn r1_s122_no_byte_of_audio_reaches_a_server_with_a_bad_certificate() {
    let (desk, authority) = (Desk::new(), Authority::new());
    std::fs::write(desk.path("ca.pem"), authority.pem()).unwrap();
    let parcel = desk.parcel("a.wav", &noise(100_000), |_| {});
    let flaws = [Flaw::SelfSigned, Flaw::Expired, Flaw::NotYetValid, Flaw::WrongName, Flaw::OtherAuthority];
    for flaw in flaws {
        let crm = StubCrm::start_tls(&authority, flaw).await;
        let remote = desk.remote(&format!("url = '{}'\nca_file = 'ca.pem'", crm.url("/api/recordings")));
        let error = deliver(&remote, &parcel).await.unwrap_err();
        assert!(
            is_later(&error) && error.what.contains("cannot connect: invalid peer certificate"),
            "{flaw:?}: {error}"
        );
        assert_eq!((crm.connections(), crm.body_bytes(), crm.asked().len()), (1, 0, 0), "{flaw:?}");
    }
    let crm = StubCrm::start_tls(&authority, Flaw::None).await;
    let url = crm.url("/api/recordings");
    let remote = desk.remote(&format!("url = '{url}'\nca_file = 'ca.pem'"));
    deliver(&remote, &parcel).await.unwrap();
    assert!(crm.body_bytes() > 100_000);
    // whom the system trusts does not include our authority, and `ca_file` alone counts where it is written
    let (before, system) = (crm.asked().len(), desk.remote(&format!("url = '{url}'")));
    assert!(deliver(&system, &parcel).await.is_err());
    assert_eq!(crm.asked().len(), before);
}

#[test]
fn a_ca_file_without_certificates_is_refused_by_name() {
    let desk = Desk::new();
    std::fs::write(desk.path("ca.pem"), "nothing").unwrap();
    let lookup: Arc<dyn Lookup> = Arc::new(SystemLookup);
    for (file, why) in [("ca.pem", "holds no certificate"), ("none.pem", "No such file")] {
        let settings = desk.settings(&format!("url = 'https://crm.example/'\nca_file = '{file}'"));
        let told = from_settings(&settings, &lookup).err().expect("refused").to_string();
        assert!(told.contains(file) && told.contains(why), "{told}");
    }
}

/// Answers with one address after the other.
struct Turns {
    answers: Vec<IpAddr>,
    asked: AtomicUsize,
}

impl Lookup for Turns {
    fn lookup(&self, _: &str) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let turn = self.asked.fetch_add(1, Ordering::SeqCst);
        let address = SocketAddr::new(self.answers[turn.min(self.answers.len() - 1)], 0);
        Box::pin(async move { Ok(vec![address]) })
    }
}

fn turns(answers: &[&str]) -> Arc<dyn Lookup> {
    let answers = answers.iter().map(|address| address.parse().unwrap()).collect();
    Arc::new(Turns { answers, asked: AtomicUsize::new(0) })
}

#[tokio::test]
async fn r6_a_name_that_leads_into_the_own_network_is_not_connected_to() {
    let (desk, authority) = (Desk::new(), Authority::new());
    std::fs::write(desk.path("ca.pem"), authority.pem()).unwrap();
    let crm = StubCrm::start_tls(&authority, Flaw::None).await;
    let port = crm.address.port();
    let lines = format!("url = 'https://crm.example:{port}/api/recordings'\nca_file = 'ca.pem'");
    let parcel = desk.parcel("a.wav", b"audio", |_| {});
    for address in ["127.0.0.1", "::1", "10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1", "fd00::1"] {
        let remote = from_settings(&desk.settings(&lines), &turns(&[address])).unwrap();
        let error = deliver(&remote, &parcel).await.unwrap_err();
        assert!(error.what.contains("crm.example leads to ") && error.what.contains("allow_addresses"), "{error}");
    }
    assert_eq!(crm.connections(), 0);
    // listed, it is connected to, and the certificate decides: it is for another name
    let listed = desk.settings(&format!("{lines}\nallow_addresses = ['127.0.0.0/8']"));
    let error = deliver(&from_settings(&listed, &turns(&["127.0.0.1"])).unwrap(), &parcel).await.unwrap_err();
    assert!(error.what.contains("invalid peer certificate"), "{error}");
    assert_eq!((crm.connections(), crm.body_bytes()), (1, 0));
}

#[tokio::test]
async fn r6_a_name_that_changes_its_address_is_checked_at_every_connection() {
    let (desk, authority) = (Desk::new(), Authority::new());
    std::fs::write(desk.path("ca.pem"), authority.pem()).unwrap();
    let crm = StubCrm::start_tls(&authority, Flaw::None).await;
    let lines = format!(
        "url = 'https://crm.example:{}/api/recordings'\nca_file = 'ca.pem'\nallow_addresses = ['127.0.0.1']",
        crm.address.port()
    );
    let remote = from_settings(&desk.settings(&lines), &turns(&["127.0.0.1", "127.0.0.2", "10.0.0.1"])).unwrap();
    let parcel = desk.parcel("a.wav", b"audio", |_| {});
    let first = deliver(&remote, &parcel).await.unwrap_err();
    assert!(first.what.contains("invalid peer certificate"), "{first}");
    for address in ["127.0.0.2", "10.0.0.1"] {
        let error = deliver(&remote, &parcel).await.unwrap_err();
        assert!(error.what.contains(&format!("crm.example leads to {address}")), "{error}");
    }
    assert_eq!(crm.connections(), 1);
}
