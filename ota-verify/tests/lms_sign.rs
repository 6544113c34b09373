//! The signing half of LMS: the keys are those of RFC 8554, others accept the signatures, and no leaf signs twice.

#[path = "common/vectors.rs"]
mod vectors;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use ed25519_dalek::ed25519::signature::Signer as _;
use ota_manifest::{
    Alg, ClassId, Digest, Frame, Kind, MAX_ENVELOPE, MAX_ENVELOPE_POST_QUANTUM, MAX_TRUST_ENVELOPE,
    MAX_TRUST_ENVELOPE_POST_QUANTUM, ManifestDraft, Role, VendorId, Version,
};
use ota_verify::sign::{
    LmsHeight, LmsSigner, LmsSigningKey, LmsState, LmsWidth, NotAnLmsSet, SealError, Signature, Signer,
    SignerError, cosign, describe_image, seal, seal_manifest,
};
use ota_verify::{LmsKey, PublicKey, Tbs, Trust, TrustedKey, VerifyKey};
use vectors::from_hex;

/// Counts in memory: good for one test.
struct Counter(AtomicU32);

impl LmsState for Counter {
    fn claim(&self) -> Result<u32, SignerError> {
        Ok(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

fn signer(height: LmsHeight, width: LmsWidth, first: u32) -> LmsSigner<Counter> {
    let key = LmsSigningKey::generate(height, width, &[7; 32]);
    LmsSigner::new(key, Counter(AtomicU32::new(first)))
}

fn tbs() -> Tbs {
    Tbs::new(Kind::Manifest, Alg::Lms, Role::Release, &Digest::new([0x5A; 32]))
}

/// The leaf that signed.
fn leaf(signature: &Signature) -> u32 {
    u32::from_be_bytes(signature.as_bytes()[4..8].try_into().unwrap())
}

/// RFC 8554, Appendix F, test case 2 names the seeds and identifiers of both its trees, and the vector holds their keys.
#[test]
fn keys_grow_from_the_seeds_of_rfc_8554_as_the_rfc_says() {
    let words = vectors::read(include_str!("vectors/lms-rfc8554.txt"));
    let [top, _, signature] = &words[3..] else { panic!("test case 2 has three parts") };
    let second = &signature.1[4 + 2508..][..56];
    for (height, width, seed, id, public) in [
        (
            LmsHeight::H10,
            LmsWidth::W4,
            "558b8966c48ae9cb898b423c83443aae014a72f1b1ab5cc85cf1d892903b5439",
            "d08fabd4a2091ff0a8cb4ed834e74534",
            &top.1[4..],
        ),
        (
            LmsHeight::H5,
            LmsWidth::W8,
            "a1c4696e2608035a886100d05cd99945eb3370731884a8235e2fb3d4d71f2547",
            "215f83b7ccb9acbcd08db97b0d04dc2b",
            second,
        ),
    ] {
        let (seed, id) = (from_hex(seed).try_into().unwrap(), from_hex(id).try_into().unwrap());
        let key = LmsSigningKey::with_identifier(height, width, &seed, id);
        assert_eq!(key.public_key().as_bytes(), [&[0, 0, 0, 1], public].concat());
    }
}

#[test]
fn every_signature_of_a_key_is_accepted_here_and_by_another_implementation() {
    for (width, len) in [(LmsWidth::W4, 2352), (LmsWidth::W8, 1296)] {
        let signer = signer(LmsHeight::H5, width, 0);
        let public = signer.public_key();
        for q in 0..32 {
            let signature = signer.sign(&tbs()).unwrap();
            assert_eq!((leaf(&signature), signature.as_bytes().len()), (q, len));
            assert_eq!(public.verify(&tbs(), signature.as_bytes()), Ok(()));
            let message = tbs();
            let theirs = hbs_lms::verify::<hbs_lms::Sha256_256>(
                message.as_bytes(),
                signature.as_bytes(),
                public.as_bytes(),
            );
            assert!(theirs.is_ok(), "leaf {q}");
        }
    }
}

#[test]
fn spent_key_refuses_and_says_what_to_do() {
    let signer = signer(LmsHeight::H5, LmsWidth::W4, 31);
    assert_eq!(leaf(&signer.sign(&tbs()).unwrap()), 31);
    for _ in 0..3 {
        let refused = signer.sign(&tbs()).unwrap_err();
        let SignerError::Refused(why) = &refused else { panic!("{refused}") };
        assert_eq!(why, "all 32 signatures of this LMS key are used; put another key into force");
    }
}

#[test]
fn number_far_behind_the_last_leaf_signs_nothing() {
    for first in [32, 64, 1 << 31, u32::MAX - 1] {
        let signer = signer(LmsHeight::H5, LmsWidth::W4, first);
        assert!(matches!(signer.sign(&tbs()), Err(SignerError::Refused(_))), "{first}");
    }
}

#[test]
fn leaf_that_could_not_be_claimed_signs_nothing() {
    struct Full;
    impl LmsState for Full {
        fn claim(&self) -> Result<u32, SignerError> {
            Err(SignerError::Unavailable("no space left".into()))
        }
    }
    let key = LmsSigningKey::generate(LmsHeight::H5, LmsWidth::W4, &[7; 32]);
    let signer = LmsSigner::new(key, Full);
    assert_eq!(signer.sign(&tbs()), Err(SignerError::Unavailable("no space left".into())));
}

#[test]
fn threads_that_share_a_signer_share_no_leaf() {
    let signer = signer(LmsHeight::H5, LmsWidth::W4, 0);
    let used = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                (0..8).for_each(|_| used.lock().unwrap().push(leaf(&signer.sign(&tbs()).unwrap())));
            });
        }
    });
    let mut used = used.into_inner().unwrap();
    used.sort_unstable();
    assert_eq!(used, (0..32).collect::<Vec<_>>());
}

#[test]
fn one_seed_in_two_shapes_makes_two_keys_with_nothing_in_common() {
    let key = |width| LmsSigningKey::generate(LmsHeight::H5, width, &[7; 32]).public_key();
    let (w4, w8) = (key(LmsWidth::W4), key(LmsWidth::W8));
    assert_ne!(w4.as_bytes()[12..28], w8.as_bytes()[12..28], "the identifier goes into every hash");
    assert_eq!(w4, key(LmsWidth::W4), "and the same shape is the same key");
}

#[test]
fn shapes_have_names() {
    for name in ["H5", "H10", "H15", "H20", "H25"] {
        let height: LmsHeight = name.parse().unwrap();
        assert_eq!(height.to_string(), name);
        assert_eq!(height.signatures(), 1 << name[1..].parse::<u32>().unwrap());
    }
    assert_eq!(["W4", "W8"].map(|name| name.parse::<LmsWidth>().unwrap().to_string()), ["W4", "W8"]);
    for wrong in ["", "H", "h10", "H30", "10", "H10 "] {
        assert_eq!(wrong.parse::<LmsHeight>(), Err(NotAnLmsSet));
    }
    assert_eq!("W1".parse::<LmsWidth>(), Err(NotAnLmsSet), "its signatures fit no envelope");
}

struct Classical(ed25519_dalek::SigningKey);

impl Classical {
    fn new() -> Self {
        Self::seeded(8)
    }

    fn seeded(seed: u8) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(&[seed; 32]))
    }
}

impl Signer for Classical {
    fn public_key(&self) -> PublicKey {
        PublicKey::ed25519(self.0.verifying_key().to_bytes())
    }

    fn sign(&self, tbs: &Tbs) -> Result<Signature, SignerError> {
        Signature::new(&self.0.sign(tbs.as_bytes()).to_bytes())
    }
}

fn manifest() -> ManifestDraft {
    let mut draft = ManifestDraft::new(VendorId::new([1; 16]), ClassId::new([2; 16]), Version::new(1, 1, 0));
    draft.order.sequence = 2;
    let image = describe_image(&[0x55; 10_000], 0x8000, ota_manifest::ChunkSize::KIB4).unwrap().image;
    draft.images.push(image).unwrap();
    draft
}

#[test]
fn smallest_manifest_with_an_lms_and_a_hybrid_signature_fits_the_larger_envelope() {
    let (lms, classical) = (signer(LmsHeight::H10, LmsWidth::W4, 1000), Classical::new());
    let alone = seal_manifest(&manifest(), &[(&lms, Role::Release)]).unwrap();
    let hybrid = seal_manifest(&manifest(), &[(&lms, Role::Release), (&classical, Role::Release)]).unwrap();
    assert_eq!((alone.len(), hybrid.len()), (2658, 2733));
    assert!(hybrid.len() <= MAX_ENVELOPE_POST_QUANTUM);
    let cosigned = cosign(&alone, &classical, Role::Release).unwrap();
    assert_eq!(cosigned.len(), hybrid.len());

    let key = LmsKey::new(lms.public_key().as_bytes().try_into().unwrap());
    let keys = [TrustedKey::new(Role::Release, &key)];
    for envelope in [&alone, &hybrid, &cosigned] {
        let frame = Frame::parse(envelope).unwrap();
        assert!(Trust::pinned(&keys).authenticate(frame, Role::Release).is_ok());
    }
    for cut in 0..alone.len() {
        let whole = Frame::parse(&alone[..cut]).is_ok();
        assert!(!whole, "{cut} bytes");
    }
}

#[test]
fn envelope_that_is_full_costs_no_leaf() {
    let keys: Vec<_> = (0..8).map(Classical::seeded).collect();
    let signers: Vec<_> = keys.iter().map(|key| (key as &dyn Signer, Role::Release)).collect();
    let full = seal(Kind::Manifest, b"manifest", &signers).unwrap();
    let lms = signer(LmsHeight::H5, LmsWidth::W8, 0);
    assert_eq!(cosign(&full, &lms, Role::Approval), Err(SealError::SignerCount(9)));
    assert_eq!(lms.state().0.load(Ordering::Relaxed), 0);
}

#[test]
fn only_an_lms_signature_makes_room_for_more_than_a_classical_envelope() {
    let (lms, classical) = (signer(LmsHeight::H5, LmsWidth::W4, 0), Classical::new());
    let sealed = |kind, len: usize, signers: &[(&dyn Signer, Role)]| {
        seal(kind, &vec![0; len], signers).map(|envelope| envelope.len())
    };
    // 8 before and 1 behind the payload; 11 before each signature, of 64 and 2352 bytes.
    let (one, other): ((&dyn Signer, _), (&dyn Signer, _)) =
        ((&classical, Role::Release), (&lms, Role::Release));
    for kind in [Kind::Manifest, Kind::Freshness] {
        assert_eq!(sealed(kind, 1452, &[one]), Ok(MAX_ENVELOPE));
        assert_eq!(sealed(kind, 1453, &[one]), Err(SealError::TooLarge(1537)));
        assert_eq!(sealed(kind, 1724, &[other]), Ok(MAX_ENVELOPE_POST_QUANTUM));
        assert_eq!(sealed(kind, 1725, &[other]), Err(SealError::TooLarge(4097)));
        assert_eq!(sealed(kind, 1649, &[one, other]), Ok(MAX_ENVELOPE_POST_QUANTUM));
    }
    assert_eq!(sealed(Kind::Trust, 1964, &[one]), Ok(MAX_TRUST_ENVELOPE));
    assert_eq!(sealed(Kind::Trust, 1965, &[one]), Err(SealError::TooLarge(2049)));
    assert_eq!(sealed(Kind::Trust, 5820, &[other]), Ok(MAX_TRUST_ENVELOPE_POST_QUANTUM));
    assert_eq!(sealed(Kind::Trust, 5821, &[other]), Err(SealError::TooLarge(8193)));
}
