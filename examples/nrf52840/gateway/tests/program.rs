//! The program, from a shell.
#![cfg(unix)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

fn gateway() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gateway"));
    command.env_remove("OTA_SERVER");
    command
}

/// What the program says to a mistake.
fn complaint(arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = gateway().args(arguments).output().unwrap();
    let said = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(2), "{said}");
    assert!(stdout.is_empty());
    said
}

const SERVER: [&str; 2] = ["--server", "http://127.0.0.1:1"];

fn with_server(arguments: &[&str]) -> String {
    complaint(&[&SERVER, arguments].concat())
}

/// A file with these contents, which only its owner may read.
fn boards(folder: &tempfile::TempDir, contents: &str) -> PathBuf {
    let file = folder.path().join("boards.json");
    fs::write(&file, contents).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    file
}

#[test]
fn callers_mistakes_end_it_at_once_with_a_sentence_each() {
    for (arguments, sentence) in [
        (&[][..], "no board is named: give --board PATH=TOKEN or --boards FILE"),
        (&["--board", "/dev/ttyACM0"], "this has no ="),
        (&["--board", "/dev/ttyACM0="], "this has no TOKEN"),
        (&["--board", "=token"], "this has no PATH"),
        (&["--board", "/dev/ttyACM0=a b"], "board ttyACM0: the token has characters that no token has"),
        (&["--board", "/dev/x=a", "--board", "/dev/x=b"], "two boards are at one port, /dev/x"),
        (&["--board", "/dev/x=a", "--board", "/run/x=b"], "two boards have the name x: in a file (--boards)"),
        (&["--board", "/dev/x=a", "--board", "/dev/y=a"], "two boards have the same token: each device"),
        (&["--boards", "/nowhere/boards.json"], "/nowhere/boards.json is not there"),
        (&["--board", "/dev/x=a", "--baud", "0"], "--baud"),
        (&["--board", "/dev/x=a", "--ca", "/nowhere/ca.pem"], "/nowhere/ca.pem cannot be read"),
    ] {
        let said = with_server(arguments);
        assert!(said.contains(sentence), "{arguments:?}: {said}");
    }
    let server = complaint(&["--server", "updates.example", "--board", "/dev/x=a"]);
    assert!(server.contains("--server: updates.example is not the address of a server"), "{server}");
    let tls = complaint(&["--server", "https://updates.example", "--board", "/dev/x=a"]);
    assert!(tls.contains("wants TLS, and no authority is named"), "{tls}");
}

#[test]
fn file_with_tokens_is_refused_when_others_can_read_it_or_it_says_something_else() {
    let folder = tempfile::tempdir().unwrap();
    let board = r#"{ "name": "desk", "port": "/dev/ttyACM0", "token": "secret-token" }"#;
    let file = boards(&folder, &format!(r#"{{ "boards": [{board}] }}"#));
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    let exposed = with_server(&["--boards", file.to_str().unwrap()]);
    assert!(exposed.contains("it can be read by others (mode 644)"), "{exposed}");
    for (contents, sentence) in [
        (format!("[{board}]"), "it should be like"),
        (r#"{ "boards": [{ "port": "/dev/x" }] }"#.into(), "missing field `token`"),
        (
            r#"{ "boards": [{ "port": "/dev/x", "token": "t", "baudrate": 1 }] }"#.into(),
            "unknown field `baudrate`",
        ),
        (
            r#"{ "boards": [{ "port": "/dev/x", "token": "t", "baud": 0 }] }"#.into(),
            "board x has a baud rate of 0",
        ),
        (r#"{ "boards": [] }"#.into(), "no board is named"),
    ] {
        let file = boards(&folder, &contents);
        let said = with_server(&["--boards", file.to_str().unwrap()]);
        assert!(said.contains(sentence), "{contents}: {said}");
        assert!(!said.contains("secret-token"), "{said}");
    }
}
