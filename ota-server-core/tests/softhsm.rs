//! Keys in a real token: SoftHSM2, made anew for each test.
//!
//! A module's state and configuration belong to a whole process, so every test runs in a process of its own.
#![cfg(feature = "real-parts")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::object::{Attribute, AttributeType, ObjectClass};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use ota_manifest::{Alg, Digest, Kind, Role};
use ota_server_core::signing::{MissingKey, Pin, Pkcs11Config, Pkcs11Error, Pkcs11Signer, TokenKeyType};
use ota_verify::sign::{Signer, SignerError};
use ota_verify::{Tbs, VerifyKey};

const PIN: &str = "1234";
const INSTALL: &str = "SoftHSM2 is missing; run: sudo apt-get install softhsm2";
const BOTH: [TokenKeyType; 2] = [TokenKeyType::Ed25519, TokenKeyType::P256];

fn module() -> PathBuf {
    let places = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"];
    let found = places.iter().map(Path::new).find(|path| path.exists());
    found.expect(INSTALL).to_owned()
}

/// A folder for tokens.
struct Tokens(tempfile::TempDir);

impl Tokens {
    fn new(extra: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("tokens")).unwrap();
        let tokens = folder.path().join("tokens");
        let conf =
            format!("directories.tokendir = {}\nobjectstore.backend = file\n{extra}\n", tokens.display());
        fs::write(folder.path().join("softhsm2.conf"), conf).unwrap();
        Self(folder)
    }

    fn init(&self, label: &str) {
        let mut tool = Command::new("softhsm2-util");
        tool.args(["--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", "5678"]);
        let output = tool.env("SOFTHSM2_CONF", self.conf()).output().expect(INSTALL);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn conf(&self) -> PathBuf {
        self.0.path().join("softhsm2.conf")
    }
}

/// Runs the test named `name` once more, in a process whose SoftHSM finds only `tokens`.
fn in_a_process_of_its_own(name: &str, tokens: &Tokens) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", name, "--nocapture"]).env("SOFTHSM2_CONF", tokens.conf());
    let output = child.env("OTA_TEST_TOKENS", tokens.0.path()).output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// The folder of tokens, in the process that a test has to itself.
fn own_process() -> Option<PathBuf> {
    std::env::var_os("OTA_TEST_TOKENS").map(PathBuf::from)
}

macro_rules! own_process_test {
    ($name:ident, $tokens:expr, $body:expr) => {
        #[test]
        fn $name() {
            match own_process() {
                Some(folder) => {
                    let body: fn(&Path) = $body;
                    body(&folder);
                }
                None => in_a_process_of_its_own(stringify!($name), &$tokens),
            }
        }
    };
}

fn one_token() -> Tokens {
    let tokens = Tokens::new("");
    tokens.init("ota");
    tokens
}

fn config(key_type: Option<TokenKeyType>) -> Pkcs11Config {
    Pkcs11Config { key_type, ..Pkcs11Config::new(module(), Pin::new(PIN)) }
}

fn tbs(alg: Alg, content: u8) -> Tbs {
    Tbs::new(Kind::Manifest, alg, Role::Release, &Digest::new([content; 32]))
}

fn check(signer: &Pkcs11Signer, content: u8) {
    let key = signer.public_key();
    let tbs = tbs(key.alg(), content);
    let signature = signer.sign(&tbs).unwrap();
    assert_eq!(key.verify(&tbs, signature.as_bytes()), Ok(()));
    assert!(key.verify(&self::tbs(key.alg(), !content), signature.as_bytes()).is_err());
}

/// Somebody else at the same token, with the module's own interface.
fn stranger() -> (Pkcs11, Session) {
    let module = Pkcs11::new(module()).unwrap();
    let _ = module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK));
    let slot = module.get_slots_with_initialized_token().unwrap()[0];
    let session = module.open_rw_session(slot).unwrap();
    let _ = session.login(UserType::User, Some(&AuthPin::new(PIN.into())));
    (module, session)
}

own_process_test!(key_is_made_in_the_token_and_found_again, one_token(), |_| {
    for kind in BOTH {
        let made = Pkcs11Signer::open(config(Some(kind)), MissingKey::Generate).unwrap();
        for content in 0..50 {
            check(&made, content);
        }
        let found = Pkcs11Signer::open(config(Some(kind)), MissingKey::Refuse).unwrap();
        assert_eq!(found.public_key(), made.public_key());
    }
});

own_process_test!(private_key_can_neither_be_read_nor_ever_could, one_token(), |_| {
    for kind in BOTH {
        Pkcs11Signer::open(config(Some(kind)), MissingKey::Generate).unwrap();
    }
    let (_module, session) = stranger();
    let keys = session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)]).unwrap();
    assert_eq!(keys.len(), 2);
    for key in keys {
        let wanted = [
            AttributeType::Extractable,
            AttributeType::NeverExtractable,
            AttributeType::Sensitive,
            AttributeType::AlwaysSensitive,
            AttributeType::Sign,
            AttributeType::Decrypt,
            AttributeType::Unwrap,
            AttributeType::Derive,
        ];
        let found = session.get_attributes(key, &wanted).unwrap();
        let expected = [
            Attribute::Extractable(false),
            Attribute::NeverExtractable(true),
            Attribute::Sensitive(true),
            Attribute::AlwaysSensitive(true),
            Attribute::Sign(true),
            Attribute::Decrypt(false),
            Attribute::Unwrap(false),
            Attribute::Derive(false),
        ];
        assert_eq!(found, expected);
        let value = session.get_attributes(key, &[AttributeType::Value]);
        assert!(value.as_ref().map_or(true, Vec::is_empty), "the private key was read: {value:?}");
    }
});

own_process_test!(low_s_leaves_the_signer_although_tokens_emit_either, one_token(), |_| {
    let signer = Pkcs11Signer::open(config(Some(TokenKeyType::P256)), MissingKey::Generate).unwrap();
    for content in 0..40 {
        let signature = signer.sign(&tbs(Alg::P256, content)).unwrap();
        let parsed = p256::ecdsa::Signature::from_slice(signature.as_bytes()).unwrap();
        assert_eq!(parsed.normalize_s(), parsed);
    }
});

own_process_test!(without_a_type_the_key_that_is_there_is_taken, one_token(), |_| {
    let p256 = Pkcs11Signer::open(config(Some(TokenKeyType::P256)), MissingKey::Generate).unwrap();
    let found = Pkcs11Signer::open(config(None), MissingKey::Generate).unwrap();
    assert_eq!(found.public_key(), p256.public_key());
    Pkcs11Signer::open(config(Some(TokenKeyType::Ed25519)), MissingKey::Generate).unwrap();
    let error = Pkcs11Signer::open(config(None), MissingKey::Generate).unwrap_err();
    assert_eq!(error, Pkcs11Error::SeveralKeys("ota-release".into()));
});

own_process_test!(session_survives_a_logout_and_closed_sessions, one_token(), |_| {
    let signer = Pkcs11Signer::open(config(None), MissingKey::Generate).unwrap();
    check(&signer, 1);
    let (_module, session) = stranger();
    session.logout().unwrap();
    check(&signer, 2);
    drop(session);
    let (module, _session) = stranger();
    module.finalize().unwrap();
    check(&signer, 3);
});

own_process_test!(session_survives_a_token_that_was_taken_out, one_token(), |folder| {
    let signer = Pkcs11Signer::open(config(None), MissingKey::Generate).unwrap();
    let (tokens, away) = (folder.join("tokens"), folder.join("away"));
    fs::rename(&tokens, &away).unwrap();
    fs::create_dir(&tokens).unwrap();
    let error = signer.sign(&tbs(Alg::Ed25519, 1)).unwrap_err();
    assert!(matches!(&error, SignerError::Unavailable(why) if why.contains("no token")), "{error}");
    fs::remove_dir(&tokens).unwrap();
    fs::rename(&away, &tokens).unwrap();
    check(&signer, 2);
});

own_process_test!(another_key_under_the_same_name_is_not_signed_with, one_token(), |_| {
    let signer = Pkcs11Signer::open(config(None), MissingKey::Generate).unwrap();
    let (_module, session) = stranger();
    for object in session.find_objects(&[]).unwrap() {
        session.destroy_object(object).unwrap();
    }
    let error = signer.sign(&tbs(Alg::Ed25519, 1)).unwrap_err();
    assert!(error.to_string().contains("holds no private key labelled `ota-release`"), "{error}");
    Pkcs11Signer::open(config(None), MissingKey::Generate).unwrap();
    let error = signer.sign(&tbs(Alg::Ed25519, 1)).unwrap_err();
    assert!(error.to_string().contains("another key"), "{error}");
});

own_process_test!(wrong_pin_is_one_sentence_and_is_tried_once, one_token(), |_| {
    let wrong = Pkcs11Config { pin: Pin::new("4321"), ..config(None) };
    let error = Pkcs11Signer::open(wrong, MissingKey::Generate).unwrap_err();
    assert_eq!(error, Pkcs11Error::WrongPin);
    // The PIN is changed behind the server's back.
    let signer = Pkcs11Signer::open(config(None), MissingKey::Generate).unwrap();
    let (_module, session) = stranger();
    let (old, new) = (AuthPin::new(PIN.into()), AuthPin::new("987654".into()));
    session.set_pin(&old, &new).unwrap();
    session.logout().unwrap();
    for _ in 0..3 {
        let error = signer.sign(&tbs(Alg::Ed25519, 1)).unwrap_err();
        assert!(matches!(&error, SignerError::Refused(why) if why.contains("PIN is wrong")), "{error}");
    }
    // Had it been tried again, it would be in by now: the old PIN is good once more.
    session.login(UserType::User, Some(&new)).unwrap();
    session.set_pin(&new, &old).unwrap();
    assert!(signer.sign(&tbs(Alg::Ed25519, 1)).is_err());
});

own_process_test!(key_that_may_leave_the_token_is_refused, one_token(), |_| {
    let (_module, session) = stranger();
    let name = [Attribute::Token(true), Attribute::Label(b"ota-release".to_vec()), Attribute::Id(vec![1])];
    let p256 = vec![0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07];
    let public = [&name[..], &[Attribute::EcParams(p256)]].concat();
    let private =
        [&name[..], &[Attribute::Private(true), Attribute::Extractable(true), Attribute::Sign(true)]];
    let mechanism = cryptoki::mechanism::Mechanism::EccKeyPairGen;
    session.generate_key_pair(&mechanism, &public, &private.concat()).unwrap();
    let error = Pkcs11Signer::open(config(None), MissingKey::Generate).unwrap_err();
    assert_eq!(error, Pkcs11Error::Exposed("ota-release".into()));
});

own_process_test!(
    token_without_the_mechanism_says_which,
    {
        let tokens = Tokens::new("slots.mechanisms = -CKM_EDDSA,CKM_EC_EDWARDS_KEY_PAIR_GEN");
        tokens.init("ota");
        tokens
    },
    |_| {
        let error = Pkcs11Signer::open(config(None), MissingKey::Generate).unwrap_err();
        assert_eq!(error, Pkcs11Error::NoMechanism("CKM_EC_EDWARDS_KEY_PAIR_GEN"));
        let (_module, session) = stranger();
        assert_eq!(session.find_objects(&[]).unwrap().len(), 0, "nothing was half made");
        drop(session);
        check(&Pkcs11Signer::open(config(Some(TokenKeyType::P256)), MissingKey::Generate).unwrap(), 1);
    }
);

own_process_test!(missing_key_is_refused_if_devices_trust_one, one_token(), |_| {
    let error = Pkcs11Signer::open(config(None), MissingKey::Refuse).unwrap_err();
    assert_eq!(error.to_string(), "the token `ota` holds no private key labelled `ota-release`");
});

own_process_test!(
    missing_token_and_missing_module_say_what_is_there,
    {
        let tokens = Tokens::new("");
        tokens.init("other");
        tokens
    },
    |_| {
        let error = Pkcs11Signer::open(config(None), MissingKey::Generate).unwrap_err();
        assert_eq!(error.to_string(), "no token is labelled `ota`; there are: other");
        for wrong in ["/nowhere/module.so", "/dev/null", "/etc/hostname"] {
            let config = Pkcs11Config { module: wrong.into(), ..config(None) };
            let error = Pkcs11Signer::open(config, MissingKey::Generate).unwrap_err().to_string();
            assert!(error.contains(wrong) && error.contains("cannot be loaded"), "{error}");
            assert_eq!(error.lines().count(), 1);
        }
    }
);

own_process_test!(
    two_tokens_of_one_name_are_not_guessed_between,
    {
        let tokens = Tokens::new("");
        tokens.init("ota");
        tokens.init("ota");
        tokens
    },
    |_| {
        let error = Pkcs11Signer::open(config(None), MissingKey::Generate).unwrap_err();
        assert_eq!(error, Pkcs11Error::SeveralTokens("ota".into()));
    }
);

/// The lines of `docs/wire.md` that say how to check an envelope without any of our code.
fn documented_check() -> String {
    let wire = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/wire.md");
    let wire = fs::read_to_string(wire).unwrap();
    let (_, block) = wire.split_once("```sh\n").unwrap();
    block.split_once("```").unwrap().0.to_owned()
}

fn openssl_says(envelope: &[u8], key: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("release.ota"), envelope).unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-eu", "-c", &documented_check()]).current_dir(folder.path());
    let output = shell.env("ENVELOPE", "release.ota").env("KEY", key).output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(
        !said.contains("not found"),
        "openssl or basenc is missing; run: sudo apt-get install openssl: {said}"
    );
    if output.status.success() { Ok(()) } else { Err(said) }
}

/// A release published by a server whose key is in the token.
fn published(signer: Pkcs11Signer) -> Vec<u8> {
    use ota_server_core::artifact::MemoryArtifacts;
    use ota_server_core::auth::{BearerAuth, Operators};
    use ota_server_core::fleet::{ImageDraftRef, ReleaseDraft};
    use ota_server_core::store::MemoryStore;
    use ota_server_core::{Actor, Fleet, FleetConfig, Parts, Role, SystemClock};

    let parts = Parts {
        store: std::sync::Arc::new(MemoryStore::default()),
        artifacts: std::sync::Arc::new(MemoryArtifacts::default()),
        signer: std::sync::Arc::new(signer),
        freshness: vec![],
        pinned: ota_server_core::PinnedTrust::default(),
        notifier: std::sync::Arc::new(ota_server_core::notify::NoBell),
        auth: std::sync::Arc::new(BearerAuth),
        clock: std::sync::Arc::new(SystemClock),
        operators: Operators::new(),
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let fleet = Fleet::open(parts, FleetConfig::default()).await.unwrap();
        let author = Actor::new("ann", &[Role::Author]);
        let image = fleet.upload(&author, vec![0x55; 9000]).await.unwrap();
        let images = vec![ImageDraftRef { digest: image.digest, link_address: 0x8000 }];
        let no = fleet.publish(&author, ReleaseDraft { manifest: draft(), images }).await.unwrap();
        fleet.look(|engine| engine.release(no).unwrap().envelope.clone())
    })
}

fn draft() -> ota_manifest::ManifestDraft {
    let (vendor, class) = (ota_manifest::VendorId::new([1; 16]), ota_manifest::ClassId::new([2; 16]));
    ota_manifest::ManifestDraft::new(vendor, class, ota_manifest::Version::new(1, 1, 0))
}

own_process_test!(openssl_alone_verifies_what_the_token_signed, one_token(), |_| {
    let open = |kind| Pkcs11Signer::open(config(Some(kind)), MissingKey::Generate).unwrap();
    for kind in BOTH {
        let key = open(kind).public_key().to_string();
        let mut envelope = published(open(kind));
        assert_eq!(openssl_says(&envelope, &key), Ok(()), "{kind:?}");
        envelope[20] ^= 1;
        let said = openssl_says(&envelope, &key).unwrap_err();
        assert!(said.contains("erification failure") || said.contains("Verification Failure"), "{said}");
    }
    // One envelope with a signature of each.
    let (ed25519, p256) = (open(TokenKeyType::Ed25519), open(TokenKeyType::P256));
    let mut manifest = draft();
    let image =
        ota_verify::sign::describe_image(&[0x55; 9000], 0x8000, ota_manifest::ChunkSize::KIB4).unwrap();
    manifest.images.push(image.image).unwrap();
    let signers: [(&dyn Signer, Role); 2] = [(&p256, Role::Release), (&ed25519, Role::Release)];
    let envelope = ota_verify::sign::seal_manifest(&manifest, &signers).unwrap();
    for signer in [&ed25519, &p256] {
        assert_eq!(openssl_says(&envelope, &signer.public_key().to_string()), Ok(()));
    }
    let stranger = openssl_says(&envelope, &"07".repeat(32)).unwrap_err();
    assert!(stranger.contains("not signed by this key"), "{stranger}");
});
