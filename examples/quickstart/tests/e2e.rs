//! Agent against server, over real HTTP, with everything that can go wrong in the play going wrong.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use quickstart::{Options, judge, play};

fn quickstart(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_quickstart"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("it starts")
}

fn sentence(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    text.lines().last().unwrap_or_default().to_owned()
}

#[test]
fn three_devices_confirm_and_the_kept_folder_lets_anyone_count_again() {
    let dir = tempfile::tempdir().unwrap();
    let keep = dir.path().join("run");
    let options = Options::parse_from(["quickstart", "--devices", "3", "--keep", keep.to_str().unwrap()]);
    let figures = play(&options).unwrap();
    assert_eq!((figures.devices, figures.confirmed, figures.rolled_back), (3, 3, 1));
    assert!(figures.halted);
    assert_eq!(figures.check(), Ok(()));
    assert_eq!(judge(&keep, 3).unwrap(), figures, "a second count gives the same figures");
}

#[test]
fn one_device_plays_every_part_with_a_real_file_of_600_kib() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("firmware.bin");
    let bytes: Vec<u8> = (0u32..600 * 1024).map(|n| n.wrapping_mul(0x9E37_79B1).to_be_bytes()[0]).collect();
    std::fs::write(&file, bytes).unwrap();
    let figures =
        play(&Options::parse_from(["quickstart", "--devices", "1", "--image", file.to_str().unwrap()]))
            .unwrap();
    assert_eq!((figures.confirmed, figures.rolled_back, figures.power_cuts), (1, 1, 2));
    assert_eq!(figures.check(), Ok(()));
}

#[test]
fn a_judge_who_finds_less_than_was_promised_says_what() {
    let dir = tempfile::tempdir().unwrap();
    let keep = dir.path().join("run");
    let options = Options::parse_from(["quickstart", "--devices", "2", "--keep", keep.to_str().unwrap()]);
    let good = play(&options).unwrap();
    let unmet = |change: fn(&mut quickstart::Figures)| {
        let mut figures = good.clone();
        change(&mut figures);
        figures.check().expect_err("an unmet expectation")
    };
    assert_eq!(unmet(|f| f.confirmed -= 1), "1 of 2 devices confirmed 1.1.0");
    assert_eq!(unmet(|f| f.halted = false), "the campaign of 1.2.0 did not halt");
    assert_eq!(unmet(|f| f.offered_after_halt = 1), "1 offers after the halt");
    assert_eq!(unmet(|f| f.refused_tampered = 0), "the damaged chunk was not refused");
    assert_eq!(unmet(|f| f.told_time = 1), "1 of 2 devices were told the time");
    assert_eq!(unmet(|f| f.power_cuts = 1), "1 power cuts instead of 2");
    assert_eq!(unmet(|f| f.refetched_bytes = 1 << 20), "1048576 bytes fetched again, 16384 allowed");
    let watchdog =
        |f: &mut quickstart::Figures| f.evidence.rollback_reasons = ["AttemptsExhausted".into()].into();
    assert!(unmet(watchdog).contains("instead of the self-test"));
    assert_eq!(unmet(|f| f.evidence.cuts_in_trial = 0), "0 power cuts between pending and confirm");
    let asked_once = unmet(|f| f.evidence.fewest_polls_after_halt = Some(1));
    assert_eq!(asked_once, "a device asked only 1 times after the halt");
    assert_eq!(unmet(|f| f.notified = Some(1)), "1 of 2 devices were rung for");
    assert_eq!(unmet(|f| f.polls_before_offer = Some(3)), "3 polls in vain before the first offer");
    assert!(unmet(|f| f.evidence.served_by_store = 0).contains("more bytes than the 0 the server counted"));
    let mut after_a_kill = good.clone();
    (after_a_kill.evidence.served_by_store, after_a_kill.evidence.runs) = (0, 2);
    assert_eq!(after_a_kill.check(), Ok(()), "a killed server has lost its last counts");
}

#[test]
fn image_that_cannot_be_rolled_out_is_refused_in_one_sentence_with_exit_code_2() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: usize| {
        let path = dir.path().join(name);
        std::fs::write(&path, vec![7; bytes]).unwrap();
        path.to_str().unwrap().to_owned()
    };
    for (path, reason) in [
        (file("empty.bin", 0), "the file is empty"),
        (file("large.bin", 1 << 20), "do not fit a slot"),
        (dir.path().join("missing.bin").to_str().unwrap().to_owned(), "cannot be read"),
    ] {
        let output = quickstart(&["--json", "--image", &path]);
        assert_eq!(output.status.code(), Some(2), "{path}");
        assert!(output.stdout.is_empty());
        assert_eq!(String::from_utf8_lossy(&output.stderr).lines().count(), 1);
        assert!(sentence(&output).contains(reason), "{}", sentence(&output));
    }
}

#[test]
fn folder_with_something_in_it_is_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("precious"), b"data").unwrap();
    let output = quickstart(&["--keep", dir.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(sentence(&output).contains("not empty"), "{}", sentence(&output));
    assert_eq!(std::fs::read(dir.path().join("precious")).unwrap(), b"data");
}

#[test]
fn interrupt_leaves_neither_process_nor_folder_behind() {
    let temporary = tempfile::tempdir().unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_quickstart"))
        .args(["--devices", "200"])
        .env("TMPDIR", temporary.path())
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut child = KilledOnDrop(child.unwrap());
    wait_for(Duration::from_secs(30), || has_devices(temporary.path()));
    let interrupted = Command::new("kill").args(["-INT", &child.0.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    let mut ended = None;
    wait_for(Duration::from_secs(30), || {
        ended = child.0.try_wait().unwrap();
        ended.is_some()
    });
    assert_eq!(ended.and_then(|status| status.code()), Some(130));
    let left: Vec<_> = temporary.path().read_dir().unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

/// A test that fails leaves no fleet running.
struct KilledOnDrop(std::process::Child);

impl Drop for KilledOnDrop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn has_devices(temporary: &Path) -> bool {
    temporary.read_dir().unwrap().flatten().any(|entry| entry.path().join("devices").join("0003").exists())
}

fn wait_for(limit: Duration, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < limit, "not within {limit:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
