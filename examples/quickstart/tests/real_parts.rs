//! The whole play with the key in a token and the bell on a broker: SoftHSM2 and mosquitto, started here on loopback.
#![cfg(all(unix, feature = "real-parts"))]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{KilledOnDrop, Random, wait_for};
use linux_server::pki::{self, PkiPlan, broker};
use serde_json::{Value, json};
use tempfile::TempDir;

const INSTALL: &str = "SoftHSM2 is missing; run: sudo apt-get install softhsm2";

/// Where Debian puts SoftHSM2's module.
const MODULES: [&str; 2] =
    ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"];

/// A token labelled `ota` in a folder of its own.
struct Token(TempDir);

impl Token {
    fn new() -> Self {
        let token = Self(tempfile::tempdir().unwrap());
        let tokens = token.0.path().join("tokens");
        fs::create_dir(&tokens).unwrap();
        fs::write(token.conf(), format!("directories.tokendir = {}\n", tokens.display())).unwrap();
        let mut tool = Command::new("softhsm2-util");
        tool.args(["--init-token", "--free", "--label", "ota", "--pin", "1234", "--so-pin", "5678"]);
        let output = tool.env("SOFTHSM2_CONF", token.conf()).output().expect(INSTALL);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        token
    }

    fn conf(&self) -> PathBuf {
        self.0.path().join("softhsm2.conf")
    }

    fn module() -> &'static Path {
        MODULES.iter().map(Path::new).find(|path| path.exists()).expect(INSTALL)
    }
}

/// A broker with certificates for some devices.
struct Bell {
    pki: TempDir,
    broker: broker::Mosquitto,
}

impl Bell {
    fn new(devices: usize) -> Self {
        let pki = tempfile::tempdir().unwrap();
        let port = Some(broker::free_port().unwrap());
        pki::init(pki.path(), &PkiPlan { devices, port, ..PkiPlan::default() }).unwrap();
        let broker = broker::Mosquitto::start(pki.path()).unwrap();
        Self { pki, broker }
    }
}

/// A run of the play.
struct Play(Command);

impl Play {
    fn new(devices: u32) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quickstart"));
        command.args(["--json", "--devices", &devices.to_string()]).env_remove("OTA_PKCS11_PIN");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command)
    }

    fn with(mut self, arguments: &[&str]) -> Self {
        self.0.args(arguments);
        self
    }

    fn token(mut self, token: &Token, pin: &str) -> Self {
        self.0.env("SOFTHSM2_CONF", token.conf()).env("OTA_PKCS11_PIN", pin);
        self.0.arg("--pkcs11").arg(Token::module());
        self
    }

    fn bell(mut self, bell: &Bell) -> Self {
        self.0.args(["--mqtt", &bell.broker.url(), "--mqtt-pki"]).arg(bell.pki.path());
        self
    }

    fn keep(mut self, dir: &Path) -> Self {
        self.0.arg("--keep").arg(dir);
        self
    }

    /// Starts it without anybody who reads what it says.
    fn start(mut self) -> KilledOnDrop {
        self.0.stderr(Stdio::null());
        KilledOnDrop(self.0.spawn().unwrap())
    }

    /// Starts it with its story going into a file.
    fn start_telling(mut self, story: &Path) -> KilledOnDrop {
        self.0.stderr(fs::File::create(story).unwrap());
        KilledOnDrop(self.0.spawn().unwrap())
    }

    fn finish(mut self) -> Value {
        let output = self.0.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} {said}", output.status);
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn refused(mut self) -> String {
        let output = self.0.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{said}");
        said
    }
}

/// What every play with a bell has to show.
fn assert_rung(figures: &Value, devices: u32) {
    let found =
        ["confirmed", "notified", "polls_before_offer", "offered_after_halt"].map(|name| &figures[name]);
    assert_eq!(found, [&json!(devices), &json!(devices), &json!(0), &json!(0)], "{figures}");
}

#[test]
fn devices_accept_what_a_fresh_token_signs_with_either_algorithm() {
    for key_type in ["ed25519", "p256"] {
        let token = Token::new();
        let figures = Play::new(6).token(&token, "1234").with(&["--key-type", key_type]).finish();
        assert_eq!((&figures["confirmed"], &figures["rolled_back"]), (&json!(6), &json!(1)), "{key_type}");
        assert!(figures.get("notified").is_none(), "there is no bell");
        // The next one signs with the key that is there.
        Play::new(2).token(&token, "1234").finish();
    }
}

#[test]
fn token_that_cannot_be_used_is_one_sentence_and_nothing_is_begun() {
    let token = Token::new();
    let said = Play::new(1).token(&token, "4321").refused();
    assert!(said.contains("the PIN is wrong"), "{said}");
    let said = Play::new(1).token(&token, "").refused();
    assert!(said.contains("set OTA_PKCS11_PIN or give --pin"), "{said}");
    let said = Play::new(1).token(&token, "1234").with(&["--token-label", "other"]).refused();
    assert!(said.contains("no token is labelled `other`; there are: ota"), "{said}");
    let said = Play::new(1).with(&["--pkcs11", "/nowhere.so", "--pin", "1234"]).refused();
    assert!(said.contains("/nowhere.so cannot be loaded"), "{said}");
}

#[test]
fn every_device_is_rung_and_none_asks_before() {
    let bell = Bell::new(7);
    assert_rung(&Play::new(7).bell(&bell).finish(), 7);
    // Once more on the same broker, which may still hold something of the first play.
    assert_rung(&Play::new(5).bell(&bell).with(&["--seed", "2"]).finish(), 5);
}

#[test]
fn bell_that_cannot_be_used_is_one_sentence() {
    let mut bell = Bell::new(2);
    let said = Play::new(3).bell(&bell).refused();
    assert!(said.contains("certificates of 2 devices and 3 take part"), "{said}");
    bell.broker.kill().unwrap();
    let said = Play::new(2).bell(&bell).refused();
    assert!(said.contains("nobody listens at localhost"), "{said}");
}

#[test]
fn broker_killed_and_started_again_in_mid_rollout_costs_nothing_but_time() {
    let mut bell = Bell::new(12);
    let mut random = Random::new();
    let story = bell.pki.path().join("story");
    let told = |words: &str| fs::read_to_string(&story).unwrap().contains(words);
    for kills in 1..3 {
        let mut play = Play::new(12).bell(&bell).start_telling(&story);
        wait_for("the rollout has begun", Duration::from_secs(20), || told("wave 1 begins"));
        for _ in 0..kills {
            std::thread::sleep(random.between(Duration::ZERO, Duration::from_millis(300)));
            bell.broker.kill().unwrap();
            std::thread::sleep(random.between(Duration::ZERO, Duration::from_millis(1000)));
            bell.broker.restart().unwrap();
        }
        let printed = std::io::read_to_string(play.0.stdout.take().unwrap()).unwrap();
        assert!(play.0.wait().unwrap().success(), "after {kills} kills");
        assert!(told("no connection to the broker: "), "whoever watches is told what it waits for");
        assert!(told("the broker is there again"));
        assert_rung(&serde_json::from_str(&printed).unwrap(), 12);
    }
}

#[test]
fn play_killed_at_random_moments_goes_on_with_token_and_bell() {
    let (token, bell) = (Token::new(), Bell::new(6));
    let mut random = Random::new();
    for _ in 0..3 {
        let dir = tempfile::tempdir().unwrap();
        let keep = dir.path().join("run");
        let play = || Play::new(6).token(&token, "1234").bell(&bell).keep(&keep);
        for _ in 0..2 {
            let mut killed = play().start();
            std::thread::sleep(random.between(Duration::ZERO, Duration::from_millis(2500)));
            killed.0.kill().unwrap();
        }
        assert_rung(&play().finish(), 6);
    }
}
