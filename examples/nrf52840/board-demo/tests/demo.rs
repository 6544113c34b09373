//! The demonstration as a whole, with the firmware that `board-proof` builds as well: the same keys, in the same folder.

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use board_demo::{DemoKeys, Figures, Firmware, Options, PlayError, play};
use ota_manifest::Digest;
use ota_server_core::private_file;
use provision::{Release, SecretKey, Terms};

/// Where firmware is built: as `board-proof` has it, so that what one has built the other finds. Its keys are made once, not by
/// two tests at a time.
static TARGET: LazyLock<(PathBuf, DemoKeys)> = LazyLock::new(|| {
    let target = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../target/board-proof");
    let keys = target.join("board-keys");
    fs::create_dir_all(&keys).unwrap();
    for (name, seed) in [("root", 1), ("release", 2), ("freshness", 3)] {
        let file = keys.join(format!("{name}.key"));
        if !file.exists() {
            private_file::write(&file, &Digest::new([seed; 32]).to_string()).unwrap();
        }
    }
    let keys = DemoKeys::open(&keys).unwrap();
    (target, keys)
});

#[test]
fn update_is_confirmed_in_slot_b_and_the_bad_release_rolled_back_with_reason_and_cause() {
    let folder = tempfile::tempdir().unwrap();
    let keep = folder.path().join("kept");
    let options = Options { keep: Some(keep.clone()), target: Some(TARGET.0.clone()), ..Options::default() };
    let figures = play(&options).unwrap();
    assert_eq!((figures.confirmed_version.as_str(), figures.confirmed_slot.as_str()), ("2.0.0", "B"));
    assert_eq!(
        (figures.rolled_back_reason.as_str(), figures.reset_cause.as_str()),
        ("self_test", "software")
    );
    assert_eq!((figures.campaign.as_str(), figures.bad_campaign.as_str()), ("completed", "halted"));
    assert_eq!((figures.runs_version.as_str(), figures.runs_slot.as_str()), ("2.0.0", "B"));
    // 11.52 bytes a millisecond: the line is as slow as the kit's.
    let on_the_line = f64::from(u32::try_from(figures.bytes).unwrap()) / 11_520.0;
    assert!(figures.download_seconds > on_the_line, "{figures:?}");
    assert!(
        figures.update_seconds > figures.download_seconds && figures.update_seconds < 60.0,
        "{figures:?}"
    );
    assert!(figures.served_bytes >= figures.bytes && figures.bytes > 30_000, "{figures:?}");
    let table = figures.table();
    for words in ["2.0.0 in slot B, confirmed", "3.0.0, rolled back", "self_test, software"] {
        assert!(table.contains(words), "{words}: {table}");
    }
    assert!(keep.join("server/ota.sqlite").exists() && keep.join("board.hex").exists());
    assert_eq!(figures.check(), Ok(()));

    let again = play(&options).unwrap_err();
    assert_eq!(again.exit_code(), 2, "{again}");
    assert!(again.to_string().contains("is not empty"), "{again}");
}

#[test]
fn image_that_another_key_has_signed_does_not_leave_the_factory() {
    let (target, keys) = &*TARGET;
    let firmware = Firmware::build(target, keys.folder(), &mut |_| ()).unwrap();
    let signed_by = |key| {
        let key = SecretKey::new([key; 32]);
        Release::sign(vec![firmware.first.clone()], &Terms::numbered(1), &key).unwrap().envelope
    };
    assert!(firmware.board(&signed_by(2)).is_ok());
    let refused = firmware.board(&signed_by(9)).err().unwrap().to_string();
    assert!(refused.contains("was it signed with the release key it pins?"), "{refused}");
}

#[test]
fn figures_that_are_not_as_they_should_be_are_named() {
    let good = Figures {
        confirmed_version: "2.0.0".into(),
        confirmed_slot: "B".into(),
        campaign: "completed".into(),
        rolled_back_reason: "self_test".into(),
        reset_cause: "software".into(),
        bad_campaign: "halted".into(),
        runs_version: "2.0.0".into(),
        runs_slot: "B".into(),
        ..Figures::default()
    };
    assert_eq!(good.check(), Ok(()));
    let hung = Figures { reset_cause: "watchdog".into(), ..good };
    let why = hung.check().unwrap_err();
    assert_eq!(why, r#"the reset before it is "watchdog" rather than "software""#);
    assert_eq!(PlayError::Unmet(why).exit_code(), 1);
}
