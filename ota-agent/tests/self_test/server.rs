//! Connectivity: only this server's answer to this question counts, and silence is nobody's fault.

use ota_agent::self_test::{Check, Connectivity, Outcome, SelfTest, Turn, Verdict};
use ota_manifest::{Frame, FreshnessDraft, Nonce, Order, Role};
use ota_slots::sim::Lab;
use ota_verify::sign::{Signer, seal_freshness};
use ota_verify::{AuthenticFreshness, Ed25519Key, Trust, TrustedKey};

pub(crate) const QUESTION: Nonce = Nonce::new([7; 16]);

/// A believed answer to `nonce`.
pub(crate) fn answer_to(nonce: Nonce) -> AuthenticFreshness {
    let server = Lab::new();
    let reply = FreshnessDraft { nonce, time: 1_790_000_000, latest: Order::default(), trust_version: 1 };
    let envelope = seal_freshness(&reply, &[&server]).unwrap();
    let key = Ed25519Key::new(server.public_key().as_bytes().try_into().unwrap());
    let keys = [TrustedKey::new(Role::Freshness, &key)];
    Trust::pinned(&keys).freshness(Frame::parse(&envelope).unwrap(), nonce).unwrap()
}

fn probe() -> Connectivity<impl FnMut() -> Nonce> {
    // A second draw would be another question.
    let mut draws = std::iter::once(QUESTION);
    Connectivity::new(move || draws.next().expect("drawn once"), 5_000, 20_000)
}

#[test]
fn answer_to_the_question_passes_at_once() {
    let mut server = probe();
    let mut checks = [Check::required(&mut server)];
    let mut test = SelfTest::new(&mut checks).unwrap();
    assert_eq!(test.poll(0), Turn::Ask(QUESTION));
    let ended = Turn::Ended { probe: 0, name: "connectivity", outcome: Outcome::Passed };
    assert_eq!(test.answer(70, &answer_to(QUESTION)), ended);
    assert_eq!(test.poll(70), Turn::Done(Verdict::Passed));
}

#[test]
fn one_nonce_is_asked_about_until_the_time_is_over_and_that_is_inconclusive() {
    let mut server = probe();
    let mut checks = [Check::required(&mut server)];
    let mut test = SelfTest::new(&mut checks).unwrap();
    let (mut now, mut asked, mut fed) = (100, Vec::new(), 0);
    let verdict = loop {
        match test.poll_feeding(now, &mut || fed += 1) {
            Turn::Ask(nonce) => asked.push((now, nonce)),
            Turn::Wait { until } => now = until,
            Turn::Done(verdict) => break verdict,
            Turn::Progress | Turn::Ended { .. } => {}
        }
    };
    assert_eq!(asked, [100, 5_100, 10_100, 15_100].map(|at| (at, QUESTION)));
    assert_eq!((now, verdict), (20_100, Verdict::Inconclusive { probe: 0, name: "connectivity" }));
    assert_eq!(fed, 5, "four questions and the end");
    assert_eq!(test.summary().inconclusive.bits(), 1);
    assert!(test.summary().failed.is_empty());
}

#[test]
fn answers_to_other_questions_do_not_count() {
    let mut server = probe();
    let mut checks = [Check::required(&mut server)];
    let mut test = SelfTest::new(&mut checks).unwrap();
    // An answer that is there before the question was drawn is an answer to something else.
    assert_eq!(test.answer(0, &answer_to(QUESTION)), Turn::Ask(QUESTION));
    let other = Nonce::new([8; 16]);
    assert_eq!(test.answer(10, &answer_to(other)), Turn::Wait { until: 5_000 });
    assert!(matches!(test.answer(20, &answer_to(QUESTION)), Turn::Ended { outcome: Outcome::Passed, .. }));
}

#[test]
fn answer_after_the_time_is_too_late() {
    let mut server = probe();
    let mut checks = [Check::required(&mut server)];
    let mut test = SelfTest::new(&mut checks).unwrap();
    let _ = test.poll(0);
    let late = test.answer(20_000, &answer_to(QUESTION));
    assert!(matches!(late, Turn::Ended { outcome: Outcome::Inconclusive, .. }), "{late:?}");
    assert_eq!(test.answer(20_001, &answer_to(QUESTION)), test.poll(20_001), "nobody asks any more");
}

#[test]
fn question_asked_in_every_poll_still_ends() {
    let mut server = Connectivity::new(|| QUESTION, 0, 3);
    let mut checks = [Check::required(&mut server)];
    let mut test = SelfTest::new(&mut checks).unwrap();
    let asked =
        (0..10).flat_map(|now| [now; 3]).filter(|now| matches!(test.poll(*now), Turn::Ask(_))).count();
    assert_eq!(asked, 3, "once a millisecond");
}
