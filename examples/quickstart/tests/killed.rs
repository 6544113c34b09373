//! The process is killed at random moments and started again on the same folder: the play goes on and ends the same.
#![cfg(unix)]

mod common;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use common::{KilledOnDrop, Random, wait_for};
use quickstart::{Options, play};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Moments that are tried, each in a folder of its own.
const KILLS: u32 = 6;
/// Kills in one folder before the play may end.
const IN_A_ROW: u32 = 5;
/// As many as there are parts to play.
const DEVICES: u32 = 6;
/// A run that does not end in this time never will.
const LIMIT: Duration = Duration::from_secs(120);

/// One play: a folder, and the command that is repeated on it.
struct Stage {
    dir: TempDir,
    keep: PathBuf,
    devices: u32,
}

impl Stage {
    fn new(devices: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { keep: dir.path().join("run"), dir, devices }
    }

    fn device(&self, number: u32) -> PathBuf {
        self.keep.join(format!("devices/{number:04}"))
    }

    fn start(&self) -> KilledOnDrop {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quickstart"));
        command.args(["--json", "--devices", &self.devices.to_string(), "--keep"]).arg(&self.keep);
        let story = File::options().create(true).append(true).open(self.story()).unwrap();
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(story).spawn();
        KilledOnDrop(child.unwrap())
    }

    /// What all runs told on standard error.
    fn story(&self) -> PathBuf {
        self.dir.path().join("story")
    }

    /// `true` if the play had come to its end before the kill.
    fn killed_after(&self, delay: Duration) -> bool {
        let mut run = self.start();
        std::thread::sleep(delay);
        let ended = run.0.try_wait().unwrap();
        assert!(ended.is_none_or(|status| status.success()), "{ended:?}");
        ended.is_some()
    }

    /// The figures that come from the server's store.
    fn to_its_end(&self) -> [Value; 5] {
        let mut run = self.start();
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = run.0.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed() < LIMIT, "not within {LIMIT:?}");
            std::thread::sleep(Duration::from_millis(5));
        };
        let printed = std::io::read_to_string(run.0.stdout.take().unwrap()).unwrap();
        assert!(status.success(), "{status}: {}", std::fs::read_to_string(self.story()).unwrap());
        let figures: Value = serde_json::from_str(&printed).unwrap();
        ["devices", "confirmed", "rolled_back", "halted", "offered_after_halt"]
            .map(|name| figures.get(name).unwrap().clone())
    }
}

/// What an undisturbed run ends with, and how long it takes.
fn undisturbed() -> ([Value; 5], Duration) {
    let begun = Instant::now();
    let figures = Stage::new(DEVICES).to_its_end();
    assert_eq!(Value::from(figures.to_vec()), json!([DEVICES, DEVICES, 1, true, 0]));
    (figures, begun.elapsed())
}

#[test]
fn play_killed_at_a_random_moment_and_run_again_ends_the_same() {
    let (figures, took) = undisturbed();
    let mut random = Random::new();
    for _ in 0..KILLS {
        let stage = Stage::new(DEVICES);
        let delay = random.between(Duration::ZERO, took);
        println!("killed after {delay:?}");
        stage.killed_after(delay);
        assert_eq!(stage.to_its_end(), figures);
    }
}

#[test]
fn play_killed_again_and_again_ends_the_same() {
    let (figures, took) = undisturbed();
    let mut random = Random::new();
    let stage = Stage::new(DEVICES);
    for _ in 0..IN_A_ROW {
        let delay = random.between(Duration::ZERO, took / 2);
        println!("killed after {delay:?}, ended before: {}", stage.killed_after(delay));
    }
    assert_eq!(stage.to_its_end(), figures);
}

#[test]
fn interrupted_play_goes_on_as_well() {
    let stage = Stage::new(DEVICES);
    let mut run = stage.start();
    wait_for("devices are switched on", LIMIT, || stage.device(5).join("log.jsonl").exists());
    let interrupted = Command::new("kill").args(["-INT", &run.0.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    assert_eq!(run.0.wait().unwrap().code(), Some(130));
    assert_eq!(stage.to_its_end()[1], DEVICES);
}

/// The kill comes after the server has enrolled a device, and before the device has written down its token.
#[test]
fn device_whose_making_was_cut_off_is_enrolled_anew_and_gets_one_job() {
    let mut stage = Stage::new(60);
    loop {
        let run = stage.start();
        wait_for("devices are made", LIMIT, || stage.device(3).join("device.json").exists());
        drop(run); // SIGKILL
        if !stage.device(59).exists() {
            break;
        }
        // This machine was slow to look: all devices are made, and there may be a campaign.
        stage = Stage::new(60);
    }
    std::fs::remove_file(stage.device(2).join("device.json")).unwrap();
    std::fs::write(stage.device(2).join("device.new"), "{\"id\":").unwrap();
    assert_eq!(stage.to_its_end()[..2], [Value::from(60), Value::from(60)]);
}

#[test]
fn finished_play_is_counted_again_and_nothing_in_its_folder_changes() {
    let dir = tempfile::tempdir().unwrap();
    let keep = dir.path().join("run");
    let options = Options::parse_from(["quickstart", "--devices", "2", "--keep", keep.to_str().unwrap()]);
    let figures = play(&options).unwrap();
    let files = ["play.json", "devices/0000/log.jsonl", "devices/0001/flash.bin"];
    let before = files.map(|file| std::fs::read(keep.join(file)).unwrap());
    assert_eq!(play(&options).unwrap(), figures);
    assert_eq!(files.map(|file| std::fs::read(keep.join(file)).unwrap()), before);
}

#[test]
fn folder_of_another_run_or_of_something_else_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (keep, image) = (dir.path().join("run"), dir.path().join("firmware.bin"));
    std::fs::write(&image, [7; 100]).unwrap();
    let with = |arguments: &[&str]| refused(&keep, arguments);
    play(&Options::parse_from(["quickstart", "--devices", "1", "--keep", keep.to_str().unwrap()])).unwrap();
    let before = std::fs::read(keep.join("play.json")).unwrap();
    assert!(with(&["--devices", "2"]).ends_with("holds another run, with 1 instead of 2 devices"));
    assert!(with(&["--devices", "1", "--seed", "5"]).contains("with seed 1 instead of 5"));
    let other = with(&["--devices", "1", "--image", image.to_str().unwrap()]);
    assert!(other.ends_with("with another firmware"), "{other}");
    assert_eq!(std::fs::read(keep.join("play.json")).unwrap(), before);

    std::fs::write(keep.join("play.json"), "{}").unwrap();
    assert!(with(&["--devices", "1"]).contains("not empty"));
    std::fs::remove_file(keep.join("play.json")).unwrap();
    assert!(with(&["--devices", "1"]).contains("not empty"));
}

/// The sentence with which the folder is refused.
fn refused(keep: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quickstart"));
    let output: Output = command.arg("--keep").arg(keep).args(arguments).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    text.trim_end().to_owned()
}
