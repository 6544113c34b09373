//! Who must sign beside the release key: operators who approve, and keys of another family of algorithms.

#[path = "common/device.rs"]
mod device;

use device::{Key, Refused, draft, ed25519, p256, state, verdict};
use ota_manifest::{Alg, Frame, KeyDraft, KeyId, Kind, Order, Role, Roles, Thresholds, TrustDraft};
use ota_verify::sign::{
    SealError, Signature, Signer, SignerError, cosign, seal, seal_freshness, seal_manifest, seal_trust,
};
use ota_verify::{
    AdmitError, AlgSet, AuthError, Bootloader, DeviceState, Ed25519, KeyAlgorithm, PublicKey,
    SignatureRefused, Tbs, Trust, TrustError, TrustTerms, TrustedKey, VerifyKey,
};

fn signed(signers: &[(&dyn Signer, Role)]) -> Vec<u8> {
    seal_manifest(&draft(Order::default()), signers).unwrap()
}

/// What a device at boot says that pins these keys on these terms.
fn boot(terms: TrustTerms, keys: &[(Role, &dyn VerifyKey)], envelope: &[u8]) -> Result<AlgSet, Refused> {
    let keys: Vec<_> = keys.iter().map(|(role, key)| TrustedKey::new(*role, *key)).collect();
    verdict(&Trust::pinned_on(&terms, &keys), &state(), envelope)
}

#[test]
fn release_that_no_operator_approved_is_refused_where_the_trust_has_approval_keys() {
    let (vendor, operator, stranger) = (ed25519(1), p256(2), p256(3));
    let (release, approval) = (vendor.public_key(), operator.public_key());
    let keys: [(Role, &dyn VerifyKey); 2] = [(Role::Release, &release), (Role::Approval, &approval)];
    let verdict = |signers: &[(&dyn Signer, Role)]| boot(TrustTerms::FIRST, &keys, &signed(signers));
    let none = Err(Refused::Auth(AuthError::NotApproved { found: 0, needed: 1 }));
    let both = AlgSet::ED25519.with(Alg::P256);

    assert_eq!(verdict(&[(&vendor, Role::Release), (&operator, Role::Approval)]), Ok(both));
    assert_eq!(verdict(&[(&vendor, Role::Release)]), none);
    assert_eq!(verdict(&[(&vendor, Role::Release), (&stranger, Role::Approval)]), none);
    assert_eq!(verdict(&[(&vendor, Role::Release), (&operator, Role::Release)]), none, "the role is signed");
    let unreleased = Err(Refused::Auth(AuthError::UnknownKey));
    assert_eq!(verdict(&[(&operator, Role::Approval)]), unreleased, "an approval releases nothing");
}

#[test]
fn approval_threshold_counts_operators_and_not_release_keys() {
    let (vendor, first, second) = (ed25519(1), p256(2), ed25519(3));
    let [release, one, two] = [&vendor, &first, &second].map(Signer::public_key);
    let keys: [(Role, &dyn VerifyKey); 3] =
        [(Role::Release, &release), (Role::Approval, &one), (Role::Approval, &two)];
    let thresholds = Thresholds { approval: 2, ..Thresholds::ONE };
    let terms = TrustTerms { thresholds, ..TrustTerms::FIRST };
    let released: (&dyn Signer, Role) = (&vendor, Role::Release);

    let half = boot(terms, &keys, &signed(&[released, (&first, Role::Approval)]));
    assert_eq!(half, Err(Refused::Auth(AuthError::NotApproved { found: 1, needed: 2 })));
    let all = signed(&[released, (&first, Role::Approval), (&second, Role::Approval)]);
    assert!(boot(terms, &keys, &all).is_ok());
    // Without approval keys nobody has a say, and what they sign all the same does no harm.
    assert_eq!(boot(terms, &keys[..1], &all), Ok(AlgSet::ED25519));
}

#[test]
fn bootloader_that_cannot_check_the_approval_is_found_out_before_the_download() {
    let (vendor, operator) = (ed25519(1), p256(2));
    let [release, approval] = [&vendor, &operator].map(Signer::public_key);
    let keys = [TrustedKey::new(Role::Release, &release), TrustedKey::new(Role::Approval, &approval)];
    let envelope = signed(&[(&vendor, Role::Release), (&operator, Role::Approval)]);
    let bootloader = Bootloader { version: 1, algorithms: AlgSet::ED25519 };
    let state = DeviceState { bootloader, ..state() };
    let refused = Err(Refused::Admit(AdmitError::BootloaderAlgorithm));
    assert_eq!(verdict(&Trust::pinned(&keys), &state, &envelope), refused);
}

#[test]
fn operator_who_signs_later_leaves_the_release_as_it_was_byte_for_byte() {
    let (vendor, operator) = (ed25519(1), p256(2));
    let released = signed(&[(&vendor, Role::Release)]);
    let approved = cosign(&released, &operator, Role::Approval).unwrap();
    assert_eq!(approved, signed(&[(&vendor, Role::Release), (&operator, Role::Approval)]));
    assert_eq!(cosign(&approved, &vendor, Role::Approval), Err(SealError::SameKeyTwice));
    assert!(matches!(cosign(&approved[1..], &vendor, Role::Approval), Err(SealError::NotAnEnvelope(_))));

    let full =
        (10..16).fold(approved, |envelope, seed| cosign(&envelope, &ed25519(seed), Role::Approval).unwrap());
    assert_eq!(Frame::parse(&full).unwrap().signatures().count(), 8);
    assert_eq!(cosign(&full, &ed25519(16), Role::Approval), Err(SealError::SignerCount(9)));
}

/// Stands in for a post-quantum algorithm: a signature is what was signed, and the key.
struct Standin(u8);

impl Standin {
    fn key(seed: u8) -> KeyDraft {
        KeyDraft::new(Role::Release, Alg::Lms, &[seed; 60])
    }
}

impl KeyAlgorithm for Standin {
    fn alg(&self) -> Alg {
        Alg::Lms
    }

    fn verify(&self, key: &[u8], tbs: &Tbs, signature: &[u8]) -> Result<(), SignatureRefused> {
        let good = signature
            .split_first()
            .is_some_and(|(seed, bytes)| key.iter().all(|byte| byte == seed) && bytes == tbs.as_bytes());
        if good { Ok(()) } else { Err(SignatureRefused) }
    }
}

impl VerifyKey for Standin {
    fn alg(&self) -> Alg {
        Alg::Lms
    }

    fn key_id(&self) -> KeyId {
        let digest = ota_verify::Sha256::of(&[&[Alg::Lms as u8], &[self.0; 60]]);
        KeyId::new(digest.as_bytes()[..8].try_into().unwrap())
    }

    fn verify(&self, tbs: &Tbs, signature: &[u8]) -> Result<(), SignatureRefused> {
        KeyAlgorithm::verify(self, &[self.0; 60], tbs, signature)
    }
}

/// A manifest with these classical signatures and those of stand-ins, in role release.
fn hybrid(classical: &[&Key], standins: &[u8]) -> Vec<u8> {
    let mut buffer = [0; 512];
    let payload = draft(Order::default()).encode(&mut buffer).unwrap().to_vec();
    with_standins(Kind::Manifest, Role::Release, &payload, classical, standins)
}

/// Appends the signatures of stand-ins, which no `PublicKey` can be.
fn with_standins(kind: Kind, role: Role, payload: &[u8], keys: &[&Key], standins: &[u8]) -> Vec<u8> {
    let signers: Vec<_> = keys.iter().map(|key| (*key as &dyn Signer, role)).collect();
    let mut envelope = match signers.as_slice() {
        [] => {
            [&ota_manifest::frame_header(kind, u16::try_from(payload.len()).unwrap()), payload, &[0]].concat()
        }
        signers => seal(kind, payload, signers).unwrap(),
    };
    let signed = ota_manifest::FRAME_HEADER + payload.len();
    let content = ota_verify::Sha256::of(&[&envelope[..signed]]);
    let mut entries: Vec<Vec<u8>> = envelope[signed + 1..].chunks(11 + 64).map(<[u8]>::to_vec).collect();
    for seed in standins {
        let tbs = Tbs::new(kind, Alg::Lms, role, &content);
        let id = VerifyKey::key_id(&Standin(*seed));
        entries.push([&[Alg::Lms as u8], id.as_bytes().as_slice(), &[49, 0, *seed], tbs.as_bytes()].concat());
    }
    entries.sort_by_key(|entry| entry[1..9].to_vec());
    envelope.truncate(signed);
    envelope.push(u8::try_from(entries.len()).unwrap());
    envelope.extend(entries.concat());
    envelope
}

#[test]
fn hybrid_role_needs_a_classical_and_a_post_quantum_signature() {
    let (a, b) = (ed25519(1), ed25519(2));
    let [first, second] = [&a, &b].map(Signer::public_key);
    let keys: [(Role, &dyn VerifyKey); 4] = [
        (Role::Release, &first),
        (Role::Release, &second),
        (Role::Release, &Standin(3)),
        (Role::Release, &Standin(4)),
    ];
    let thresholds = Thresholds { release: 2, ..Thresholds::ONE };
    let terms = TrustTerms { thresholds, hybrid: Roles::NONE.with(Role::Release), ..TrustTerms::FIRST };
    let keys_of = |envelope: &[u8]| {
        let keys: Vec<_> = keys.iter().map(|(role, key)| TrustedKey::new(*role, *key)).collect();
        let trust = Trust::pinned_on(&terms, &keys);
        trust.authenticate(Frame::parse(envelope).unwrap(), Role::Release).map(|found| found.algorithms())
    };
    let one_family = Err(AuthError::NotHybrid(Role::Release));
    assert_eq!(keys_of(&hybrid(&[&a], &[3])), Ok(AlgSet::ED25519.with(Alg::Lms)));
    assert_eq!(keys_of(&hybrid(&[&a, &b], &[3, 4])), Ok(AlgSet::ED25519.with(Alg::Lms)));
    assert_eq!(keys_of(&hybrid(&[&a, &b], &[])), one_family, "a quantum computer signs both");
    assert_eq!(keys_of(&hybrid(&[], &[3, 4])), one_family);
    assert_eq!(keys_of(&hybrid(&[&a, &b], &[9])), one_family, "an unknown key is of no family");
    assert_eq!(keys_of(&hybrid(&[&a], &[])), Err(AuthError::BelowThreshold { found: 1, needed: 2 }));

    // A bootloader that knows Ed25519 alone would count one.
    let envelope = hybrid(&[&a], &[3]);
    assert_eq!(boot(terms, &keys, &envelope), Err(Refused::Admit(AdmitError::BootloaderAlgorithm)));
}

#[test]
fn document_can_ask_for_hybrid_roots_and_releases() {
    const ALGORITHMS: &[&dyn KeyAlgorithm] = &[&Ed25519, &Standin(0)];
    let (root, release) = (ed25519(1), ed25519(2));
    let mut next = TrustDraft::new(2);
    next.thresholds = Thresholds { root: 2, release: 2, approval: 0, freshness: 0 };
    next.hybrid = Roles::NONE.with(Role::Root).with(Role::Release);
    next.keys.push(root.public_key().draft(Role::Root)).unwrap();
    next.keys.push(release.public_key().draft(Role::Release)).unwrap();
    next.keys.push(Standin::key(3)).unwrap();
    next.keys.push(KeyDraft { role: Role::Root, ..Standin::key(4) }).unwrap();
    let other = ed25519(5);
    next.keys.push(other.public_key().draft(Role::Root)).unwrap();
    let mut buffer = [0; 512];
    let payload = next.encode(&mut buffer).unwrap();

    let pinned = root.public_key();
    let pinned = [TrustedKey::new(Role::Root, &pinned)];
    let classical = with_standins(Kind::Trust, Role::Root, payload, &[&root, &other], &[]);
    let refused = Trust::pinned(&pinned).successor(Frame::parse(&classical).unwrap(), ALGORITHMS).err();
    assert_eq!(refused, Some(TrustError::NotHybrid));

    let both = with_standins(Kind::Trust, Role::Root, payload, &[&root], &[4]);
    let adopted = Trust::pinned(&pinned).successor(Frame::parse(&both).unwrap(), ALGORITHMS).unwrap();
    let trust = Trust::documented(&adopted);
    let verdict =
        |envelope: &[u8]| trust.authenticate(Frame::parse(envelope).unwrap(), Role::Release).map(|_| ());
    assert_eq!(verdict(&hybrid(&[&release], &[3])), Ok(()));
    assert_eq!(
        verdict(&hybrid(&[&release], &[4])),
        Err(AuthError::BelowThreshold { found: 1, needed: 2 }),
        "a root releases nothing"
    );
}

#[test]
fn builders_put_every_signer_into_the_role_of_the_kind() {
    let key = ed25519(1);
    let public = key.public_key();
    let reply = ota_manifest::FreshnessDraft {
        nonce: ota_manifest::Nonce::new([7; 16]),
        time: 1,
        latest: Order::default(),
        trust_version: 1,
    };
    let mut next = TrustDraft::new(2);
    next.keys.push(public.draft(Role::Root)).unwrap();
    next.keys.push(ed25519(2).public_key().draft(Role::Release)).unwrap();
    let sealed = [
        (seal_trust(&next, &[&key]).unwrap(), Kind::Trust, Role::Root),
        (seal_freshness(&reply, &[&key]).unwrap(), Kind::Freshness, Role::Freshness),
    ];
    for (envelope, kind, role) in &sealed {
        let frame = Frame::parse(envelope).unwrap();
        let entry = frame.signatures().next().unwrap();
        let tbs = Tbs::new(*kind, Alg::Ed25519, *role, &ota_verify::frame_digest(&frame));
        assert_eq!((frame.kind(), public.verify(&tbs, entry.bytes)), (*kind, Ok(())));
    }
    assert_eq!(seal_freshness(&reply, &[]), Err(SealError::SignerCount(0)));
    assert_eq!(seal_freshness(&reply, &[&key, &key]), Err(SealError::SameKeyTwice));
}

#[test]
fn key_that_cannot_be_reached_is_named_and_nothing_is_sealed() {
    struct Gone;
    impl Signer for Gone {
        fn public_key(&self) -> PublicKey {
            PublicKey::ed25519([7; 32])
        }
        fn sign(&self, _: &Tbs) -> Result<Signature, SignerError> {
            Err(SignerError::Unavailable("token removed".into()))
        }
    }
    let sealed =
        seal_manifest(&draft(Order::default()), &[(&ed25519(1), Role::Release), (&Gone, Role::Approval)]);
    assert_eq!(sealed, Err(SealError::Signer(SignerError::Unavailable("token removed".into()))));
    assert_eq!(sealed.unwrap_err().to_string(), "signing key cannot be reached: token removed");
}
