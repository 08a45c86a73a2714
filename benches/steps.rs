//! How many steps a script takes in a second: `Set` and `GotoIf` counting in a loop, in a whole server on one core.
//!
//! `cargo bench --bench steps [-- --rounds 40]`. The yardstick does the same work by hand: a map of small texts whose counter
//! is read as text, counted up and written as text again, and looked at by each jump. Both are told at their best round.

use std::collections::HashMap;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use wirechief::call::journal::EventRecord;
use wirechief::config;
use wirechief::control::client::{Client, Stream};
use wirechief::control::protocol::{EventsSince, Originate, Originated, method};
use wirechief::pbx::sources::Source;
use wirechief::pbx::{Pbx, Settings};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Times a script goes round; with two steps each it stays below the limit of scripts that never wait.
const TIMES: u32 = 40_000;
const STEPS: u32 = 2 * TIMES;

const SETTINGS: &str = "[sip]\nbind = [\"udp://127.0.0.1:0\"]\n[media]\nbind = \"127.0.0.1\"\n";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let at = arguments.iter().position(|argument| argument == "--rounds");
    let rounds: usize = at.and_then(|at| arguments.get(at + 1)?.parse().ok()).unwrap_or(40);
    let one_core = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let scripts = one_core.expect("a runtime").block_on(scripts(rounds));
    let by_hand = (0..rounds).map(|_| by_hand()).collect();
    let (script, hand) = (best("Set and GotoIf", scripts), best("yardstick: by hand", by_hand));
    println!("{:28} {:10.1} times the yardstick", "a step costs", hand / script);
}

/// Steps a second in the best round, printed beside the usual ones.
fn best(name: &str, mut rounds: Vec<Duration>) -> f64 {
    rounds.sort();
    let steps_a_second = |round: &Duration| f64::from(STEPS) / round.as_secs_f64();
    let best = rounds.first().map_or(0.0, steps_a_second);
    let usual = rounds.get(rounds.len() / 2).map_or(0.0, steps_a_second);
    println!("{name:28} {:10.3} million steps/s  ({:.3} in the median round)", best / 1e6, usual / 1e6);
    best
}

async fn scripts(rounds: usize) -> Vec<Duration> {
    let folder = tempfile::tempdir().expect("a folder");
    let config = config::load(&[PathBuf::from("pbx.toml")], &|_: &Path| Ok(SETTINGS.to_owned())).expect("settings");
    let plan = format!(
        "[bench]\nexten => loop,1,Answer()\n same => n,UserEvent(begins)\n same => n,Set(I=0)\n\
         \x20same => n(again),Set(I=$[${{I}} + 1])\n same => n,GotoIf($[${{I}} < {TIMES}]?again)\n\
         \x20same => n,UserEvent(ends,Count: ${{I}})\n same => n,Hangup()\n"
    );
    let source = Source::Given(Box::new(config), vec![(PathBuf::from("extensions.conf"), plan)]);
    let (state, socket) = (folder.path().join("state"), folder.path().join("run/pbx.sock"));
    let pbx = Pbx::start(Settings::read(source, state, vec![socket]).expect("a dialplan")).await.expect("a server");
    let connect = || async { Client::connect(pbx.control_path()).await.expect("the control socket") };
    let types = EventsSince { types: vec!["user".to_owned()], ..EventsSince::default() };
    let mut events = connect().await.stream(method::EVENTS, &types).await.expect("events");
    let mut client = connect().await;
    let mut took = Vec::new();
    for _ in 0..rounds {
        let wanted = Originate {
            endpoint: "Local/loop@bench".into(),
            app: "Wait".into(),
            args: "60".into(),
            ..Default::default()
        };
        let _: Originated = client.request(method::ORIGINATE, &wanted).await.expect("a call");
        let (begins, ends) = (event(&mut events).await, event(&mut events).await);
        assert_eq!(ends.fields["fields"]["Count"], TIMES.to_string(), "the script came to its end");
        took.push(ends.time.duration_since(begins.time).unsigned_abs());
    }
    took
}

async fn event(events: &mut Stream) -> EventRecord {
    events.next().await.expect("an event").expect("a server that runs")
}

/// The same by hand.
fn by_hand() -> Duration {
    let began = Instant::now();
    let mut variables = HashMap::from([("I".to_owned(), "0".to_owned())]);
    let number = |text: Option<&String>| text.and_then(|text| text.parse::<i64>().ok()).unwrap_or_default();
    loop {
        let next = number(variables.get(black_box("I"))) + 1;
        variables.insert(black_box("I").to_owned(), next.to_string());
        if number(variables.get(black_box("I"))) >= i64::from(TIMES) {
            break;
        }
    }
    began.elapsed()
}
