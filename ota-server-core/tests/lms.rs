//! An LMS key in a file: whatever happens to the process or to its files, no leaf signs twice.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ota_manifest::{Alg, Digest, Kind, Role};
use ota_server_core::signing::{LmsFileError, LmsFileSigner, LmsFileState};
use ota_verify::sign::{LmsHeight, LmsSigningKey, LmsState, LmsWidth, Signer, SignerError};
use ota_verify::{Tbs, VerifyKey};
use tempfile::TempDir;

/// Names the key file to the child of a test.
const KEY_FILE: &str = "OTA_TEST_LMS_KEY_FILE";
const KILLS: u32 = 20;

fn tbs(number: u32) -> Tbs {
    let mut content = [0; 32];
    content[..4].copy_from_slice(&number.to_be_bytes());
    Tbs::new(Kind::Manifest, Alg::Lms, Role::Release, &Digest::new(content))
}

/// Signs, checks, and says which leaf it was.
fn sign(signer: &LmsFileSigner, number: u32) -> Result<u32, SignerError> {
    let signature = signer.sign(&tbs(number))?;
    signer.public_key().verify(&tbs(number), signature.as_bytes()).unwrap();
    Ok(u32::from_be_bytes(signature.as_bytes()[4..8].try_into().unwrap()))
}

struct Bench {
    _folder: TempDir,
    file: PathBuf,
}

impl Bench {
    fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("release.lms");
        Self { _folder: folder, file }
    }

    /// With a key that has signed `times`.
    fn used(times: u32) -> Self {
        let bench = Self::empty();
        let signer = LmsFileSigner::create(&bench.file, LmsHeight::H5, LmsWidth::W4).unwrap();
        (0..times).for_each(|number| assert_eq!(sign(&signer, number), Ok(number)));
        bench
    }

    fn open(&self) -> Result<LmsFileSigner, LmsFileError> {
        LmsFileSigner::open(&self.file)
    }

    fn path(&self, ending: &str) -> PathBuf {
        let mut path = self.file.clone().into_os_string();
        path.push(ending);
        path.into()
    }

    fn counter(&self) -> PathBuf {
        self.path(".next")
    }

    fn witness(&self) -> PathBuf {
        self.path(".next.seen")
    }
}

#[test]
fn signer_that_is_opened_again_goes_on_at_the_next_leaf() {
    let bench = Bench::used(3);
    for leaf in 3..6 {
        let signer = bench.open().unwrap();
        assert_eq!(signer.remaining(), Ok(32 - leaf));
        assert_eq!(sign(&signer, leaf), Ok(leaf));
    }
}

/// Alone: signs a few times. As the child of another test, which names a key file: signs until it is killed or the key is
/// spent, and says which leaves have left.
#[test]
fn signatures_in_a_row_use_leaf_after_leaf() {
    let Some(file) = std::env::var_os(KEY_FILE) else {
        let bench = Bench::used(0);
        let signer = bench.open().unwrap();
        assert_eq!((0..4).map(|number| sign(&signer, number).unwrap()).collect::<Vec<_>>(), [0, 1, 2, 3]);
        return;
    };
    match LmsFileSigner::open(Path::new(&file)) {
        Err(error) => println!("\nrefused {error}"),
        Ok(signer) => {
            for number in 0.. {
                match sign(&signer, number) {
                    Ok(leaf) => println!("\nleaf {leaf}"),
                    Err(error) => return println!("\nrefused {error}"),
                }
            }
        }
    }
}

/// This program, running the one test that signs on and on.
fn child(file: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "signatures_in_a_row_use_leaf_after_leaf", "--nocapture"])
        .env(KEY_FILE, file)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Lets a child sign, kills it `delay` after its first signature, and returns the leaves that left it, and whether the kill
/// came before the key was spent.
fn leaves_until_killed(file: &Path, delay: Duration) -> (Vec<u32>, bool) {
    let mut child = child(file);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let leaf = |line: &str| line.strip_prefix("leaf ").map(|leaf| leaf.parse().unwrap());
    let mut leaves: Vec<u32> =
        lines.by_ref().map(Result::unwrap).find_map(|line| leaf(&line)).into_iter().collect();
    std::thread::sleep(delay);
    child.kill().unwrap();
    let status = child.wait().unwrap();
    leaves.extend(lines.map(Result::unwrap).filter_map(|line| leaf(&line)));
    (leaves, !status.success())
}

#[test]
fn killed_signers_never_use_a_leaf_twice() {
    let (mut kills, mut rounds) = (0, 0);
    while kills < KILLS {
        let bench = Bench::used(0);
        let mut used = BTreeSet::new();
        loop {
            rounds += 1;
            assert!(rounds < 20 * KILLS, "{kills} kills in {rounds} rounds");
            // Another moment each time, over the milliseconds that a few signatures take.
            let (leaves, killed) = leaves_until_killed(&bench.file, Duration::from_micros(250) * kills);
            for leaf in leaves {
                assert!(used.insert(leaf), "leaf {leaf} signed twice, around kill {kills}");
            }
            if !killed {
                break;
            }
            kills += 1;
        }
        assert!(used.len() <= 32 && used.last().is_some_and(|last| *last < 32));
        let signer = bench.open().unwrap();
        assert!(
            matches!(sign(&signer, 0), Err(SignerError::Refused(_))),
            "it ended because the key is spent"
        );
    }
}

#[test]
fn second_process_is_refused_and_told_why() {
    let bench = Bench::used(1);
    let signer = bench.open().unwrap();
    let output = child(&bench.file).wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("is held by another signer; stop that one first"), "{said}");
    assert!(!said.contains("\nleaf "));
    assert_eq!(sign(&signer, 1), Ok(1));
    assert_eq!(bench.open().unwrap_err(), LmsFileError::InUse(bench.counter()));
    drop(signer);
    assert_eq!(sign(&bench.open().unwrap(), 2), Ok(2));
}

/// As somebody does who takes the lock file for a stale one.
#[cfg(unix)]
#[test]
fn signer_whose_lock_file_was_removed_signs_no_more() {
    let bench = Bench::used(1);
    let lock = bench.file.with_extension("lms.next.lock");
    let first = bench.open().unwrap();
    fs::remove_file(&lock).unwrap();
    let unlocked = SignerError::Refused(LmsFileError::Unlocked(lock).to_string());
    assert_eq!(sign(&first, 1), Err(unlocked.clone()), "anybody could come in");
    let second = bench.open().unwrap();
    assert_eq!(sign(&second, 1), Ok(1));
    assert_eq!(sign(&first, 2), Err(unlocked), "somebody has");
    drop(first);
    assert_eq!(bench.open().unwrap_err(), LmsFileError::InUse(bench.counter()));
    assert_eq!(sign(&second, 2), Ok(2));
}

/// The two files are written one after the other, each in one step, over a draft.
#[test]
fn every_state_a_crash_can_leave_costs_a_leaf_at_most() {
    let (before, after) = (Bench::used(4), Bench::used(0));
    let read = |path: PathBuf| fs::read_to_string(path).unwrap();
    let number = |bench: &Bench| read(bench.counter()).lines().last().unwrap().to_owned();
    assert_eq!((number(&before), number(&after)), ("4".into(), "0".into()));

    // Killed before the counter, between the two, and behind both; leaf 4 has left in none of them.
    let [old, new] = [4, 5].map(|next| read(before.counter()).replace("\n4\n", &format!("\n{next}\n")));
    for (counter, witness, next) in [(&old, &old, 4), (&new, &old, 5), (&new, &new, 5)] {
        fs::write(before.counter(), counter).unwrap();
        fs::write(before.witness(), witness).unwrap();
        fs::write(before.file.with_extension("lms.next.new"), "ota-lms-cou").unwrap();
        assert_eq!(sign(&before.open().unwrap(), 4), Ok(next));
    }
}

#[test]
fn older_counter_is_refused_until_it_is_skipped_past_all_that_is_known() {
    let bench = Bench::used(2);
    let old = fs::read(bench.counter()).unwrap();
    let signer = bench.open().unwrap();
    (2..9).for_each(|leaf| assert_eq!(sign(&signer, leaf), Ok(leaf)));
    drop(signer);

    fs::write(bench.counter(), &old).unwrap();
    let backwards = bench.open().unwrap_err();
    assert_eq!(backwards, LmsFileError::Backwards { next: 2, least: 9 });
    assert!(backwards.to_string().ends_with("skip to 9 or beyond, past all that ever signed"), "{backwards}");
    for next in [0, 2, 8] {
        let refused = LmsFileSigner::skip_to(&bench.file, next).unwrap_err();
        assert_eq!(refused, LmsFileError::Backwards { next, least: 9 });
    }
    assert_eq!(sign(&LmsFileSigner::skip_to(&bench.file, 12).unwrap(), 0), Ok(12));
    assert_eq!(sign(&bench.open().unwrap(), 0), Ok(13));
}

#[test]
fn files_put_back_under_a_running_signer_are_noticed() {
    let bench = Bench::used(2);
    let [counter, witness] = [bench.counter(), bench.witness()].map(|path| fs::read(path).unwrap());
    let signer = bench.open().unwrap();
    assert_eq!([2, 3].map(|leaf| sign(&signer, leaf)), [Ok(2), Ok(3)]);
    fs::write(bench.counter(), counter).unwrap();
    fs::write(bench.witness(), witness).unwrap();
    let refused = sign(&signer, 4).unwrap_err();
    assert!(
        matches!(&refused, SignerError::Refused(why) if why.starts_with("leaf 2 comes next")),
        "{refused}"
    );
}

#[test]
fn counter_without_its_witness_came_from_elsewhere() {
    let bench = Bench::used(2);
    fs::remove_file(bench.witness()).unwrap();
    assert_eq!(bench.open().unwrap_err(), LmsFileError::Moved(bench.witness()));
    let refused = LmsFileSigner::skip_to(&bench.file, 1).unwrap_err();
    assert_eq!(refused, LmsFileError::Backwards { next: 1, least: 2 });
    assert_eq!(sign(&LmsFileSigner::skip_to(&bench.file, 20).unwrap(), 0), Ok(20));
    assert_eq!(sign(&bench.open().unwrap(), 0), Ok(21));
}

#[test]
fn lost_counter_never_starts_again_by_itself() {
    let bench = Bench::used(2);
    fs::remove_file(bench.counter()).unwrap();
    assert_eq!(bench.open().unwrap_err(), LmsFileError::NoCounter(bench.counter()));
    let again = LmsFileSigner::create(&bench.file, LmsHeight::H5, LmsWidth::W4).unwrap_err();
    assert_eq!(again, LmsFileError::Exists(bench.file.clone()));
    fs::remove_file(bench.witness()).unwrap();
    assert_eq!(bench.open().unwrap_err(), LmsFileError::NoCounter(bench.counter()));
    assert_eq!(sign(&LmsFileSigner::skip_to(&bench.file, 31).unwrap(), 0), Ok(31));
}

#[test]
fn counter_of_another_key_is_refused_both_ways() {
    let (bench, other) = (Bench::used(2), Bench::used(5));
    for path in [Bench::counter, Bench::witness] {
        let own = fs::read(path(&bench)).unwrap();
        fs::copy(path(&other), path(&bench)).unwrap();
        assert!(matches!(bench.open(), Err(LmsFileError::OtherKey { .. })));
        assert!(matches!(LmsFileSigner::skip_to(&bench.file, 9), Err(LmsFileError::OtherKey { .. })));
        fs::write(path(&bench), own).unwrap();
    }
    assert_eq!(sign(&bench.open().unwrap(), 0), Ok(2));
}

#[test]
fn spent_key_says_so_and_a_skip_beyond_its_end_is_refused() {
    let bench = Bench::used(1);
    let refused = LmsFileSigner::skip_to(&bench.file, 33).unwrap_err();
    assert_eq!(refused, LmsFileError::OutOfRange { next: 33, signatures: 32 });
    let signer = LmsFileSigner::skip_to(&bench.file, 31).unwrap();
    assert_eq!((sign(&signer, 0), signer.remaining()), (Ok(31), Ok(0)));
    for _ in 0..2 {
        let spent = SignerError::Refused(LmsFileError::Spent(32).to_string());
        assert_eq!(sign(&signer, 0), Err(spent));
    }
    drop(signer);
    assert_eq!(bench.open().unwrap().remaining(), Ok(0));
}

#[test]
fn disk_that_cannot_keep_the_number_gets_no_signature() {
    let bench = Bench::used(1);
    let signer = bench.open().unwrap();
    // A folder stands where the draft of the next number has to go.
    let draft = bench.file.with_extension("lms.next.new");
    fs::create_dir_all(draft.join("taken")).unwrap();
    assert!(matches!(sign(&signer, 1), Err(SignerError::Unavailable(_))));
    fs::remove_dir_all(draft).unwrap();
    assert_eq!(sign(&signer, 1), Ok(1));
}

#[test]
fn existing_key_is_never_overwritten_and_what_a_crash_left_of_none_is() {
    let bench = Bench::used(1);
    let create = || LmsFileSigner::create(&bench.file, LmsHeight::H5, LmsWidth::W8).map(drop);
    assert_eq!(create(), Err(LmsFileError::Exists(bench.file.clone())));
    // The key alone is lost: its counter has counted and stays.
    let key = fs::read(&bench.file).unwrap();
    fs::remove_file(&bench.file).unwrap();
    assert_eq!(create(), Err(LmsFileError::Exists(bench.counter())));
    assert_eq!(bench.open().unwrap_err(), LmsFileError::NoKey(bench.file.clone()));
    fs::write(&bench.file, key).unwrap();

    let crashed = Bench::used(0);
    fs::remove_file(&crashed.file).unwrap();
    let signer = LmsFileSigner::create(&crashed.file, LmsHeight::H5, LmsWidth::W4).unwrap();
    assert_eq!(sign(&signer, 0), Ok(0));
}

#[test]
fn files_that_hold_something_else_are_refused() {
    let bench = Bench::used(11);
    let [key, counter] = [&bench.file, &bench.counter()].map(|path| fs::read_to_string(path).unwrap());
    let damaged = |good: &str| {
        let cut = good.len() - 1;
        [
            String::new(),
            good[..cut].to_owned(),
            format!("{good} "),
            format!("{good}{good}"),
            good.replacen('1', "2", 1),
            good.replace('\n', "\r\n"),
        ]
    };
    for text in damaged(&counter).into_iter().chain([counter.replace("\n11\n", "\n011\n")]) {
        fs::write(bench.counter(), &text).unwrap();
        assert_eq!(bench.open().unwrap_err(), LmsFileError::NotACounter(bench.counter()), "{text:?}");
    }
    fs::write(bench.counter(), &counter).unwrap();
    for text in
        ["", "hello", &key.replace("H5", "H6"), &key.replace("W4", "W1"), &key.replace("key 1", "key 2")]
    {
        fs::write(&bench.file, text).unwrap();
        assert_eq!(bench.open().unwrap_err(), LmsFileError::NotAKey(bench.file.clone()), "{text:?}");
    }
    // Another key as far as anybody can see, and the counter knows.
    fs::write(&bench.file, key.replace("W4", "W8")).unwrap();
    assert!(matches!(bench.open(), Err(LmsFileError::OtherKey { .. })));
    fs::write(&bench.file, &key).unwrap();
    assert_eq!(sign(&bench.open().unwrap(), 0), Ok(11));
}

#[cfg(unix)]
#[test]
fn key_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::used(0);
    for file in [&bench.file, &bench.counter(), &bench.witness()] {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(file, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(bench.open().unwrap_err(), LmsFileError::Exposed(0o640));
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    }
    assert!(bench.open().is_ok());
}

#[test]
fn folder_that_is_not_there_is_the_file_systems_complaint() {
    let bench = Bench::empty();
    let file = bench.file.join("release.lms");
    for error in [LmsFileSigner::open(&file), LmsFileSigner::create(&file, LmsHeight::H5, LmsWidth::W4)] {
        assert!(matches!(error, Err(LmsFileError::Io(_))));
    }
}

#[test]
fn state_alone_counts_for_a_key_that_lives_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("counter");
    let key = |seed| LmsSigningKey::generate(LmsHeight::H5, LmsWidth::W4, &[seed; 32]);
    assert_eq!(LmsFileState::open(&file, &key(1)).unwrap_err(), LmsFileError::NoCounter(file.clone()));
    let state = LmsFileState::create(&file, &key(1)).unwrap();
    std::thread::scope(|scope| {
        let claims =
            [(); 4].map(|()| scope.spawn(|| (0..4).map(|_| state.claim().unwrap()).collect::<Vec<_>>()));
        let claimed: BTreeSet<_> = claims.into_iter().flat_map(|claims| claims.join().unwrap()).collect();
        assert_eq!(claimed, (0..16).collect());
    });
    drop(state);
    assert_eq!(LmsFileState::create(&file, &key(1)).unwrap_err(), LmsFileError::Exists(file.clone()));
    assert!(matches!(LmsFileState::open(&file, &key(2)), Err(LmsFileError::OtherKey { .. })));
    assert_eq!(LmsFileState::open(&file, &key(1)).unwrap().claim(), Ok(16));
}

#[tokio::test]
async fn fleet_publishes_what_an_lms_key_signs_and_proves_it() {
    use ota_server_core::artifact::MemoryArtifacts;
    use ota_server_core::auth::{BearerAuth, Operators};
    use ota_server_core::fleet::{ImageDraftRef, ReleaseDraft};
    use ota_server_core::{Actor, Fleet, FleetConfig, Parts, SystemClock};
    use std::sync::Arc;

    let bench = Bench::used(7);
    let signer = bench.open().unwrap();
    let key = signer.public_key();
    let parts = Parts {
        store: Arc::new(ota_server_core::store::MemoryStore::default()),
        artifacts: Arc::new(MemoryArtifacts::default()),
        signer: Arc::new(signer),
        freshness: vec![],
        pinned: ota_server_core::PinnedTrust::default(),
        notifier: Arc::new(ota_server_core::notify::NoBell),
        auth: Arc::new(BearerAuth),
        clock: Arc::new(SystemClock),
        operators: Operators::new(),
    };
    let fleet = Fleet::open(parts, FleetConfig::default()).await.unwrap();
    let author = Actor::new("ann", &[ota_server_core::Role::Author]);
    let image = fleet.upload(&author, vec![0x55; 9000]).await.unwrap();
    let (vendor, class) = (ota_manifest::VendorId::new([1; 16]), ota_manifest::ClassId::new([2; 16]));
    let draft = ReleaseDraft {
        manifest: ota_manifest::ManifestDraft::new(vendor, class, ota_manifest::Version::new(1, 1, 0)),
        images: vec![ImageDraftRef { digest: image.digest, link_address: 0x8000 }],
    };
    let no = fleet.publish(&author, draft).await.unwrap();
    let envelope = fleet.look(|engine| engine.release(no).unwrap().envelope.clone());
    assert!(envelope.len() <= ota_manifest::MAX_ENVELOPE_POST_QUANTUM);

    let frame = ota_manifest::Frame::parse(&envelope).unwrap();
    let entry = frame.signatures().next().unwrap();
    assert_eq!((entry.alg, entry.key_id, &entry.bytes[4..8]), (Alg::Lms, key.key_id(), &[0, 0, 0, 7][..]));
}
