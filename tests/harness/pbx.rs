//! A whole server in this process, on ports of its own, with users alice, bob, carol and dave; or with those of an example.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tokio::time::{Duration, Instant, interval};
use wirechief::astdb::{Setup, Store};
use wirechief::config::{self, AstdbSettings, Config};
use wirechief::control::client::Client;
use wirechief::control::protocol::{CallInfo, RecordsSince, RegistrationInfo, Status, method};
use wirechief::pbx::sources::Source;
use wirechief::pbx::{Pbx, Settings};
use wirechief::sip;

use super::phone::Profile;
use super::{PATIENCE, Phone, Transport};

/// What every test server is configured with; a test adds its own tables behind.
const SETTINGS: &str = r#"
[sip]
bind = ["udp://LOOPBACK:0", "tcp://LOOPBACK:0"]
realm = "test"

[media]
bind = "AUDIO"
ports = "30000-39999"
RTP_TIMEOUT
CODECS

[guests]
context = "internal"
from = ["127.0.0.0/8", "::1"]

[limits]
calls_per_user = 0
requests_per_second_per_source = 0
BAD_LOGINS
"#;

/// The users of every test server.
pub(crate) const USERS: [&str; 4] = ["alice", "bob", "carol", "dave"];

pub(crate) fn password(user: &str) -> String {
    format!("correct-horse-{user}")
}

/// A server and the folder it keeps its state in.
pub(crate) struct TestPbx {
    pub(crate) pbx: Pbx,
    folder: tempfile::TempDir,
    /// By user.
    passwords: BTreeMap<String, String>,
}

/// What differs from the usual.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unusual {
    /// Further TOML.
    pub(crate) settings: String,
    /// Further keys of a user's table: user and lines.
    pub(crate) user_keys: Vec<(&'static str, &'static str)>,
    /// Wrong passwords after which an address is banned; 0 is never.
    pub(crate) bad_logins: u32,
    /// On `::1` instead of 127.0.0.1.
    pub(crate) ipv6: bool,
    /// The UDP address, where any free port would not do.
    pub(crate) udp: Option<SocketAddr>,
    /// Value of `rtp_timeout`.
    pub(crate) rtp_timeout: Option<&'static str>,
    /// Value of `codecs`.
    pub(crate) codecs: Option<&'static str>,
}

impl TestPbx {
    /// A server with these lines as context `internal`.
    pub(crate) async fn with(dialplan: &str) -> Self {
        Self::unusual(dialplan, Unusual::default()).await
    }

    /// A server on a UDP address of the test's choice.
    pub(crate) async fn bound_to(address: SocketAddr, dialplan: &str) -> Self {
        Self::unusual(dialplan, Unusual { udp: Some(address), ..Unusual::default() }).await
    }

    pub(crate) async fn unusual(dialplan: &str, unusual: Unusual) -> Self {
        let timeout = unusual.rtp_timeout.map(|time| format!("rtp_timeout = \"{time}\"")).unwrap_or_default();
        let mut settings = SETTINGS.replace("RTP_TIMEOUT", &timeout);
        let codecs = unusual.codecs.map(|codecs| format!("codecs = {codecs}")).unwrap_or_default();
        settings = settings.replace("CODECS", &codecs);
        settings = settings.replace("BAD_LOGINS", &format!("bad_logins = {}", unusual.bad_logins));
        if let Some(address) = unusual.udp {
            settings = settings.replace("udp://LOOPBACK:0", &format!("udp://{address}"));
        }
        let (host, audio) = if unusual.ipv6 { ("[::1]", "::1") } else { ("127.0.0.1", "127.0.0.1") };
        settings = settings.replace("LOOPBACK", host).replace("AUDIO", audio);
        for user in USERS {
            settings
                .push_str(&format!("\n[users.{user}]\npassword = \"{}\"\ncontext = \"internal\"\n", password(user)));
            for (_, keys) in unusual.user_keys.iter().filter(|(name, _)| *name == user) {
                settings.push_str(&format!("{keys}\n"));
            }
        }
        settings.push_str(&unusual.settings);
        let plan = (PathBuf::from("extensions.conf"), format!("[internal]\n{dialplan}\n"));
        Self::started(read(&settings), vec![plan]).await
    }

    /// A server with an example's own files, on ports of its own. In its settings each of `changes` is written in place of
    /// what is there: the address of a trunk.
    pub(crate) async fn example(name: &str, changes: &[(&str, &str)]) -> Self {
        let folder = example_folder(name);
        let text = |file: &str| std::fs::read_to_string(folder.join(file)).expect("a file of the example");
        let mut settings = text("pbx.toml").replace("127.0.0.1:5060", "127.0.0.1:0");
        settings = settings.replace("10000-19999", "30000-39999");
        for (there, wanted) in changes {
            assert!(settings.contains(there), "{there} is not in the settings of {name}");
            settings = settings.replace(there, wanted);
        }
        let plans = ["extensions.conf", "extensions_custom.conf"].map(|file| folder.join(file));
        let plans = plans.into_iter().filter(|file| file.exists());
        let plans = plans.map(|file| (file.clone(), std::fs::read_to_string(file).expect("a dialplan"))).collect();
        Self::started(read(&settings), plans).await
    }

    /// The same from files of its own, as programs that it starts find them.
    pub(crate) async fn example_on_disk(name: &str, changes: &[(&str, &str)]) -> Self {
        let folder = super::folder();
        for entry in std::fs::read_dir(example_folder(name)).expect("an example").flatten() {
            let mut text = std::fs::read_to_string(entry.path()).expect("a text");
            if entry.file_name() == "pbx.toml" {
                text = text.replace("127.0.0.1:5060", "127.0.0.1:0").replace("10000-19999", "30000-39999");
                text = changes.iter().fold(text, |text, (there, wanted)| {
                    assert!(text.contains(there), "{there} is not in the settings of {name}");
                    text.replace(there, wanted)
                });
            }
            std::fs::write(folder.path().join(entry.file_name()), text).expect("a copy");
        }
        let source = Source::Files(vec![folder.path().join("pbx.toml")]);
        Self::begun(source, folder).await
    }

    /// A server that reads `extensions.conf` from the folder [`Self::plan_file`] is in, and reads it again at a reload.
    pub(crate) async fn from_file(dialplan: &str) -> Self {
        let folder = super::folder();
        let settings = "[sip]\nbind = [\"udp://127.0.0.1:0\", \"tcp://127.0.0.1:0\"]\n[media]\nbind = \"127.0.0.1\"\n\
                        ports = \"30000-39999\"\n[guests]\ncontext = \"internal\"\n";
        std::fs::write(folder.path().join("pbx.toml"), settings).expect("settings");
        std::fs::write(folder.path().join("extensions.conf"), dialplan).expect("a dialplan");
        let source = Source::Files(vec![folder.path().join("pbx.toml")]);
        Self::begun(source, folder).await
    }

    /// The dialplan of [`Self::from_file`].
    pub(crate) fn plan_file(&self) -> PathBuf {
        self.folder.path().join("extensions.conf")
    }

    async fn started(config: Config, plans: Vec<(PathBuf, String)>) -> Self {
        Self::begun(Source::Given(Box::new(config), plans), super::folder()).await
    }

    async fn begun(source: Source, folder: tempfile::TempDir) -> Self {
        let (state, socket) = (folder.path().join("state"), folder.path().join("run/pbx.sock"));
        let settings = Settings::read(source, state, vec![socket]).expect("the test's files");
        let users = settings.loaded.config.users.iter();
        let passwords = users.map(|(name, user)| (name.clone(), user.password.expose().to_owned())).collect();
        let pbx = Pbx::start(settings).await.expect("a running server");
        Self { pbx, folder, passwords }
    }

    /// The server's store, seen by another program.
    pub(crate) fn store(&self) -> Store {
        let (state, usual) = (self.folder.path().join("state"), AstdbSettings::default());
        Store::new(Setup::new(state.join(usual.file), state.join(usual.key_file), "test"))
    }

    /// Ends the server; its files are kept as long as what comes back.
    pub(crate) async fn shuts_down(self) -> tempfile::TempDir {
        self.pbx.shutdown().await;
        self.folder
    }

    /// Where it keeps its recordings.
    pub(crate) fn spool(&self) -> PathBuf {
        self.folder.path().join("state/recordings")
    }

    pub(crate) fn address(&self, transport: Transport) -> SocketAddr {
        let transport = match transport {
            Transport::Udp => sip::Transport::Udp,
            Transport::Tcp => sip::Transport::Tcp,
        };
        self.pbx.sip_addr(transport).expect("a bound socket")
    }

    /// A phone with a user's password, not yet plugged in.
    pub(crate) fn profile(&self, user: &str) -> Profile {
        self.profile_over(user, Transport::Udp)
    }

    pub(crate) fn profile_over(&self, user: &str, transport: Transport) -> Profile {
        let password = self.passwords.get(user).cloned();
        Profile { password, transport, ..Profile::new(user, self.address(transport)) }
    }

    /// A registered phone of a user, or the phone of a guest.
    pub(crate) async fn phone(&self, user: &str) -> Phone {
        self.plugs_in(self.profile(user)).await
    }

    pub(crate) async fn plugs_in(&self, profile: Profile) -> Phone {
        let mut phone = profile.plug_in().await;
        if self.passwords.contains_key(&phone.station.profile.user) {
            phone.registers().await;
        }
        phone
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.pbx.control_path()).await.expect("the control socket")
    }

    pub(crate) async fn registrations(&self) -> Vec<RegistrationInfo> {
        self.client().await.list(method::REGISTRATIONS, &()).await.expect("a list")
    }

    pub(crate) async fn calls(&self) -> Vec<CallInfo> {
        self.client().await.list(method::CALLS, &()).await.expect("a list")
    }

    /// Waits for `count` detail records.
    pub(crate) async fn records(&self, count: usize) -> Vec<serde_json::Value> {
        let all = RecordsSince { since: None, limit: None };
        let (end, mut beat) = (Instant::now() + PATIENCE, interval(Duration::from_millis(20)));
        loop {
            beat.tick().await;
            let records = self.client().await.list(method::RECORDS, &all).await.expect("a list");
            if records.len() >= count {
                return records;
            }
            assert!(Instant::now() < end, "{} records instead of {count}", records.len());
        }
    }

    /// Waits until the server's status is as it should be.
    pub(crate) async fn shows(&self, what: &str, patience: Duration, right: impl Fn(&Status) -> bool) {
        let (end, mut beat) = (Instant::now() + patience, interval(Duration::from_millis(20)));
        loop {
            beat.tick().await;
            let status = self.pbx.status();
            if right(&status) {
                return;
            }
            assert!(Instant::now() < end, "waits in vain for {what}: {status:?}");
        }
    }

    /// Waits until no call is left: legs and dialogs gone, ports given back.
    pub(crate) async fn is_idle(&self) {
        self.shows("no calls", PATIENCE, |now| (now.calls, now.legs, now.dialogs) == (0, 0, 0)).await;
    }
}

/// Settings that name no further file.
fn read(settings: &str) -> Config {
    let reader = |_: &Path| Ok(settings.to_owned());
    config::load(&[PathBuf::from("pbx.toml")], &reader).expect("the test's settings")
}

/// Where an example is.
pub(crate) fn example_folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}
