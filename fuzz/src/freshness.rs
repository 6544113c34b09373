//! Arbitrary bytes as a freshness reply: the reader says what postcard says, and only the answer to the device's own question
//! is believed.

use ota_manifest::{Frame, FreshnessDraft, Kind, Nonce, Order, Role};
use ota_verify::sign::{Signer as _, seal};
use ota_verify::{Trust, TrustedKey};

use crate::keys::Key;
use crate::{Target, oracle};

/// The target.
pub const TARGET: Target = Target { name: "freshness", run, seeds };

const NONCE: [u8; 16] = [7; 16];

fn run(input: &[u8]) {
    let readable = oracle::check_freshness(input);
    let online = Key::seeded(4);
    let Ok(envelope) = seal(Kind::Freshness, input, &[(&online, Role::Freshness)]) else { return };
    let key = online.public_key();
    let keys = [TrustedKey::new(Role::Freshness, &key)];
    let frame = Frame::parse(&envelope).expect("an envelope");
    let believed = Trust::pinned(&keys).freshness(frame, Nonce::new(NONCE)).is_ok();
    assert_eq!(believed, readable && input.starts_with(&NONCE));
}

fn seeds() -> Vec<Vec<u8>> {
    let reply = |epoch, sequence, time, trust_version| {
        let draft = FreshnessDraft {
            nonce: Nonce::new(NONCE),
            time,
            latest: Order { epoch, sequence },
            trust_version,
        };
        draft.encode(&mut [0; FreshnessDraft::MAX]).expect("a reply").to_vec()
    };
    vec![reply(0, 9, 1_790_000_000, 1), reply(u16::MAX, u32::MAX, u64::MAX, u32::MAX), reply(0, 0, 0, 1)]
}
