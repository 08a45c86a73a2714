//! A recording that several tasks tell at once where it belongs.

use std::path::Path;
use std::thread;

use super::*;
use crate::{
    call::{
        detail_record::Records,
        holding::Holders,
        live::{LegNow, LegState, Way},
        noted::Noted,
        recording::{Recordings, Spool, wish::By},
        speech::Takes,
        talks::SpyGroups,
    },
    config::Config,
    evidence::Log,
    media::{Engine, MediaConfig},
    transport::{Sip, TransportConfig},
};

/// A server without sockets.
async fn exchange(folder: &Path) -> Arc<Exchange> {
    let (sip, _) = Sip::start(TransportConfig::default()).await.expect("no socket");
    let media = Engine::start(MediaConfig { threads: 1, ..MediaConfig::default() }).expect("a thread");
    let records = Records::open(&folder.join("calls.jsonl")).expect("a file");
    let log = Log::at(&folder.join("supervision.jsonl")).expect("a file");
    let recordings = Recordings::new(Spool::at(folder.join("recordings")));
    Arc::new(Exchange::new(sip, media, Arc::new(Config::default()), (records, log, recordings)))
}

/// A leg that is up.
fn leg(exchange: &Exchange, name: &str) -> Arc<LegFacts> {
    let (events, _) = tokio::sync::mpsc::channel(1);
    let (orders, _) = tokio::sync::mpsc::channel(1);
    let port = exchange.media.open(None, events).expect("a port");
    Arc::new(LegFacts {
        uuid: name.to_owned(),
        name: format!("SIP/{name}-1"),
        user: Some(name.to_owned()),
        number: name.to_owned(),
        way: Way::In,
        call_id: String::new(),
        port: port.id,
        rtp: port.rtp,
        began: Instant::now(),
        shared: Mutex::default(),
        groups: SpyGroups::default(),
        noted: Noted::default(),
        consent: Default::default(),
        talks: watch::Sender::new(Talks::Nobody),
        orders,
        now: Mutex::new(LegNow {
            state: LegState::Up,
            codec: None,
            takes: Takes::default(),
            address: None,
            answered: None,
            holders: Holders::default(),
        }),
    })
}

#[tokio::test]
async fn of_two_who_see_its_leg_in_different_places_the_later_has_the_last_word() {
    let folder = tempfile::tempdir().expect("a folder");
    let exchange = exchange(folder.path()).await;
    let [a, b] = ["a", "b"].map(|name| leg(&exchange, name));
    let follows = Follows::Leg { leg: a.clone(), side: Side::A };
    let manifest = Manifest::new("a.wav", Timestamp::now());
    let core = Core::new(&exchange, (Wish::new(By::Rule("always".to_owned())), follows), manifest);
    core.is_on([Some(a.port), None]);
    for _ in 0..100 {
        a.talks_with_nobody();
        core.settle();
        // One looks while the leg is alone, and comes no further.
        let held = core.lock();
        let slow = thread::spawn({
            let core = core.clone();
            move || core.settle()
        });
        (0..200).for_each(|_| thread::yield_now());
        a.talks_with(&b, Side::A);
        drop(held);
        core.settle();
        slow.join().expect("no panic");
        assert_eq!(core.lock().on, Some([Some(a.port), Some(b.port)]));
    }
}
