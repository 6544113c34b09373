//! The operator's program against the server's, both as processes.

mod common;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use ota_verify::sign::Signer;
use serde_json::Value;
use tempfile::TempDir;

/// A server, and whoever operates it.
struct Rig {
    folder: TempDir,
    server: Child,
    url: String,
}

impl Rig {
    fn start() -> Self {
        Self::start_with(&[])
    }

    fn start_with(args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Command::new(env!("CARGO_BIN_EXE_ota-server"))
            .args(["--listen", "127.0.0.1:0", "--data"])
            .arg(folder.path())
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let first = BufReader::new(server.stdout.take().unwrap()).lines().next().unwrap().unwrap();
        let url = first.split_whitespace().last().unwrap().to_owned();
        Self { folder, server, url }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn otactl(&self, operator: &str, args: &[&str]) -> Output {
        let mut otactl = otactl();
        otactl.args(["--server", &self.url, "--as", operator, "--tokens"]).arg(self.file("operator.tokens"));
        otactl.args(args).output().unwrap()
    }

    /// What it prints for people.
    fn says(&self, operator: &str, args: &[&str]) -> String {
        said(&self.otactl(operator, args))
    }

    /// What it prints for programs.
    fn json(&self, operator: &str, args: &[&str]) -> Value {
        let output = self.otactl(operator, &[&["--json"], args].concat());
        serde_json::from_str(&said(&output)).unwrap()
    }

    /// Its sentence about why it did not do it.
    fn refuses(&self, operator: &str, args: &[&str], code: i32) -> String {
        refused(&self.otactl(operator, args), code)
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// The program, without what the environment of this test may say.
fn otactl() -> Command {
    let mut otactl = Command::new(env!("CARGO_BIN_EXE_otactl"));
    otactl.env_remove("OTA_SERVER").env_remove("OTA_TOKEN");
    otactl
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn refused(output: &Output, code: i32) -> String {
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    stderr
}

const VENDOR: &str = "01010101-0101-0101-0101-010101010101";
const CLASS: &str = "02020202020202020202020202020202";

fn publish<'a>(version: &'a str, sequence: &'a str, image: &'a str) -> Vec<&'a str> {
    let args = ["release", "publish", "--version", version, "--sequence", sequence, "--vendor", VENDOR];
    [&args[..], &["--class", CLASS, "--image", image]].concat()
}

#[test]
fn an_operator_goes_from_an_image_to_an_approved_campaign_and_stops_it() {
    let rig = Rig::start();
    let device = "ab".repeat(16);
    assert_eq!(rig.json("author", &["device", "enrol", "--id", &device, "bench 1"])["device"], device);
    assert!(rig.says("author", &["device", "enrol", "bench 2"]).contains("token"));
    assert!(rig.says("approver", &["device", "list"]).contains(&format!("{device}  bench 1")));

    std::fs::write(rig.file("firmware.bin"), [7; 20_000]).unwrap();
    let image = rig.file("firmware.bin").to_str().unwrap().to_owned();
    let sha256 = rig.json("author", &["image", "upload", &image])["sha256"].as_str().unwrap().to_owned();
    rig.json("author", &publish("1.1.0", "2", &format!("{sha256}@0x8000")));
    let second = rig.json("author", &publish("1.2.0+1", "3", &format!("{image}@32768")));
    assert_eq!(second["images"][0]["sha256"], sha256);
    assert_eq!(rig.json("author", &["release", "list"]).as_array().unwrap().len(), 2);
    let out = rig.file("release-1.ota");
    rig.says("author", &["release", "envelope", "1", out.to_str().unwrap()]);
    assert!(std::fs::metadata(&out).unwrap().len() > 100);

    let waves = ["campaign", "create", "1.1.0 for all", "--release", "1", "--waves", "1,25%,100%"];
    let drafted = rig.json("author", &waves);
    assert_eq!(drafted["plan"]["waves"].to_string(), r#"[{"count":1},{"percent":25},{"percent":100}]"#);
    assert_eq!(rig.says("author", &["campaign", "submit", "1"]), "campaign 1 is awaiting approval\n");
    assert!(rig.refuses("author", &["campaign", "approve", "1"], 1).contains("403"));
    assert_eq!(rig.json("approver", &["campaign", "approve", "1"])["state"], "running");
    let shown = rig.says("author", &["campaign", "show", "1"]);
    assert!(shown.contains("approved by   approver") && shown.contains("2 queued"), "{shown}");
    assert_eq!(rig.says("author", &["campaign", "pause", "1"]), "campaign 1 is paused\n");
    rig.says("author", &["campaign", "resume", "1"]);

    let jobs = rig.json("author", &["campaign", "jobs", "1"]);
    let job = jobs[0]["job"].as_str().unwrap();
    assert_eq!(rig.json("author", &["job", "show", job])["job"]["state"], "queued");
    assert!(rig.says("author", &["job", "show", job]).contains("queued"));
    rig.says("author", &["campaign", "abort", "1"]);
    let watched = rig.refuses("author", &["campaign", "watch", "1"], 1);
    assert!(watched.contains("campaign 1 is aborted"), "{watched}");
    assert!(rig.says("author", &["campaign", "list"]).contains("aborted"));

    rig.says("author", &["device", "remove", &device]);
    assert!(rig.json("author", &["device", "list"])[0]["removed_ms"].is_u64());
    let audit = rig.json("author", &["audit"]);
    assert!(audit.as_array().unwrap().len() >= 10);
    assert_eq!(rig.json("author", &["audit", "--after", "5"])[0]["seq"], 6);
}

#[test]
fn a_campaign_follows_a_plan_in_a_file_and_names_its_devices() {
    let rig = Rig::start();
    let device = "ab".repeat(16);
    rig.says("author", &["device", "enrol", "--id", &device, "one"]);
    rig.says("author", &["device", "enrol", "two"]);
    std::fs::write(rig.file("firmware.bin"), [7; 20_000]).unwrap();
    let image = format!("{}@0x8000", rig.file("firmware.bin").display());
    rig.says("author", &publish("1.1.0", "2", &image));
    let plan = rig.file("plan.json");
    std::fs::write(&plan, r#"{"waves": [{"percent": 100}], "soak_ms": 5}"#).unwrap();
    let plan = plan.to_str().unwrap();
    let create = ["campaign", "create", "c", "--release", "1", "--plan", plan, "--device", &device];
    assert_eq!(rig.json("author", &create)["plan"]["soak_ms"], 5);
    rig.says("author", &["campaign", "submit", "1"]);
    assert_eq!(rig.json("author", &["campaign", "jobs", "1"]).as_array().unwrap().len(), 1);

    std::fs::write(rig.file("plan.json"), r#"{"wave": 1}"#).unwrap();
    assert!(rig.refuses("author", &create, 1).contains("is no plan"));
    let both = [&create[..], &["--waves", "100%"]].concat();
    rig.refuses("author", &both, 2);
    let partial = ["campaign", "create", "c", "--release", "1", "--waves", "1,25%"];
    assert!(rig.refuses("author", &partial, 1).contains("100 percent"));
}

#[test]
fn a_command_line_without_sense_is_2_and_a_refusal_is_1_with_a_sentence() {
    let rig = Rig::start();
    refused(&otactl().args(["device", "list"]).output().unwrap(), 2);
    refused(&otactl().args(["--as", "author", "device", "list"]).output().unwrap(), 2);
    refused(&otactl().args(["device"]).output().unwrap(), 2);
    rig.refuses("author", &["campaign", "create", "c", "--release", "1", "--waves", "all"], 2);
    rig.refuses("author", &["device", "remove", "xyz"], 2);
    assert!(rig.refuses("bob", &["device", "list"], 1).contains("names no operator bob"));
    assert!(rig.refuses("author", &["campaign", "show", "9"], 1).contains("404"));
    assert!(rig.refuses("author", &["image", "upload", "/no/such/file"], 1).contains("cannot read"));

    let wrong = otactl().env("OTA_SERVER", &rig.url).env("OTA_TOKEN", "x").args(["audit"]).output().unwrap();
    assert!(refused(&wrong, 1).contains("401"));
    let nobody = otactl().args(["--server", "http://127.0.0.1:1", "--token", "x", "audit"]).output().unwrap();
    let sentence = refused(&nobody, 1);
    assert!(sentence.contains("http://127.0.0.1:1"), "{sentence}");
}

#[test]
fn trust_documents_are_made_added_listed_and_written_out_again() {
    let ceremony = tempfile::tempdir().unwrap();
    let at = |name: &str| ceremony.path().join(name).to_str().unwrap().to_owned();
    let run = |args: &[&str]| otactl().args(args).output().unwrap();
    let root = said(&run(&["key", "make", &at("root.key")])).trim().to_owned();
    assert_eq!(said(&run(&["key", "make", &at("root.key")])).trim(), root, "made once");
    let next = said(&run(&["key", "make", &at("next.key")])).trim().to_owned();
    let rig = Rig::start_with(&["--root-key", &root]);
    let key = |name: &str| std::fs::read_to_string(rig.file(name)).unwrap().trim().to_owned();
    let keys = [
        format!("root={root}"),
        format!("root={next}"),
        format!("release={}", key("release.pub")),
        format!("freshness={}", key("freshness.pub")),
    ];
    let (one, file, out, key_file) = (at("one.ota"), at("trust-2.ota"), rig.file("out.ota"), at("root.key"));
    let mut make =
        vec!["trust", "make", &one, "--version", "2", "--threshold", "root=2", "--min-order", "0/2"];
    keys.iter().for_each(|key| make.extend(["--key", key]));
    assert!(refused(&run(&[&make[..], &["--sign", &at("no.key")]].concat()), 1).contains("is not there"));
    make.extend(["--sign", &key_file]);
    let unreachable = refused(&run(&[&make[..], &["--threshold", "release=3"]].concat()), 1);
    assert!(unreachable.contains("threshold"), "{unreachable}");
    said(&run(&make));
    let too_few = rig.refuses("author", &["trust", "add", &one], 1);
    assert!(too_few.contains("1 of 2 signatures by the document's own roots"), "{too_few}");
    said(&run(&["trust", "cosign", &one, &file, "--sign", &at("next.key")]));
    let (file, document) = (file.as_str(), std::fs::read(&file).unwrap());
    assert!(rig.refuses("approver", &["trust", "add", file], 1).contains("403"));
    rig.says("author", &["device", "enrol", "bench"]);
    let before = rig.says("author", &["trust", "list"]);
    assert!(
        before.contains("1        pinned") && before.contains("devices that have not said: 1"),
        "{before}"
    );
    assert!(rig.says("author", &["trust", "add", file]).contains("added"));
    assert!(rig.says("author", &["trust", "add", file]).contains("was there already"));
    let chain = rig.json("author", &["trust", "list"]);
    assert_eq!(chain["documents"][0]["version"], 2);
    let listed = rig.says("author", &["trust", "list"]);
    let sha256 = chain["documents"][0]["sha256"].as_str().unwrap();
    assert!(
        listed.contains(&format!("2        {sha256}  from 0/2, epochs to 0  0        author")),
        "{listed}"
    );
    assert!(listed.contains(&format!("2        root       2 of 2  {root}")), "{listed}");
    rig.says("author", &["trust", "envelope", "2", out.to_str().unwrap()]);
    assert_eq!(std::fs::read(out).unwrap(), document);
    std::fs::write(rig.file("no.ota"), [7; 100]).unwrap();
    let no = rig.file("no.ota");
    assert!(rig.refuses("author", &["trust", "add", no.to_str().unwrap()], 1).contains("not an envelope"));
    let devices = rig.says("author", &["device", "list"]);
    assert!(devices.contains("PROTOCOL  TRUST"), "{devices}");
}

#[test]
fn threshold_that_no_roots_can_reach_is_the_callers_fault() {
    let root = common::root().public_key().to_string();
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_ota-server"))
        .args(["--listen", "127.0.0.1:0", "--root-key", &root, "--root-threshold", "2", "--data"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(refused(&output, 2).contains("the number of different root keys is 1"));
}

#[test]
fn certificates_are_made_listed_issued_and_revoked_without_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("pki");
    let run = |args: &[&str]| {
        let output =
            otactl().arg("--json").arg("pki").arg(args[0]).arg(&dir).args(&args[1..]).output().unwrap();
        serde_json::from_str::<Value>(&said(&output)).unwrap()
    };
    let mine = "ab".repeat(16);
    let made = run(&["init", "--devices", "2", "--device-id", &mine, "--host", "broker.example"]);
    assert_eq!(made["devices"].as_array().unwrap().len(), 2);
    assert_eq!(run(&["issue", &"cd".repeat(16)])["made"], true);
    assert_eq!(run(&["revoke", &mine])["added"], true);
    let rows = run(&["list"]);
    let revoked: Vec<_> = rows.as_array().unwrap().iter().filter(|row| row["revoked"] == true).collect();
    assert_eq!((rows.as_array().unwrap().len(), revoked.len()), (3, 1));
    assert_eq!(revoked[0]["device"], mine);
    let said = said(&otactl().args(["pki", "list"]).arg(&dir).output().unwrap());
    assert!(said.starts_with("DEVICE") && said.contains("revoked"), "{said}");
    let nowhere = otactl().args(["pki", "list"]).arg(Path::new("/no/such/folder")).output().unwrap();
    assert!(refused(&nowhere, 1).contains("otactl pki init"));
}
