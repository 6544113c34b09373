//! The binary as a process: killed and started again, and told to stop.
#![cfg(unix)]

mod common;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::{Device, Said, image, plan, release};
use linux_server::{OperatorClient, Verb};
use ota_manifest::wire::Stage;
use ota_server_core::http::api::NewCampaign;

struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ota-server"))
            .args(["--listen", "127.0.0.1:0", "--data"])
            .arg(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        let url = first.split_whitespace().last().unwrap().to_owned();
        Self { child, url }
    }

    fn operator(&self, folder: &Path, name: &str) -> OperatorClient {
        let text = std::fs::read_to_string(folder.join("operator.tokens")).unwrap();
        let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
        OperatorClient::new(&self.url, line.split_whitespace().last().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_killed_server_goes_on_where_it_was_and_a_terminated_one_ends_well() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let (author, approver) =
        (server.operator(folder.path(), "author"), server.operator(folder.path(), "approver"));
    let mut device = Device::enrol(&author, &server.url, "device");
    let uploaded = author.upload(&image(2)).unwrap();
    let no = author.publish(&release("1.1.0", 2, &uploaded.sha256)).unwrap().release;
    let new = NewCampaign { name: "c".into(), release: no, plan: plan(), devices: None };
    let campaign = author.create_campaign(&new).unwrap().campaign;
    author.command(campaign, Verb::Submit).unwrap();
    approver.command(campaign, Verb::Approve).unwrap();
    assert_eq!(device.ask(), Said::Offer);
    let job = device.job;
    drop(server); // SIGKILL

    let server = Server::start(folder.path());
    device.move_to(&server.url);
    assert_eq!((device.ask(), device.job), (Said::Offer, job));
    device.install(&image(2));
    drop(server);

    let mut server = Server::start(folder.path());
    device.move_to(&server.url);
    assert!(matches!(device.repeat(Stage::Testing), Said::Ack(_)));
    device.confirm();
    assert_eq!(server.operator(folder.path(), "author").campaign(campaign).unwrap().state, "completed");
    let pid = server.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert!(server.child.wait().unwrap().success());
    assert!(!folder.path().join("ota.sqlite-wal").exists(), "the log is folded into the file");
}
