//! Both loops lead a device from the doorbell to the server's last word, with real slots below and a self-test that asks.

mod world;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::task::{Context, Waker};

use embassy_time::{Duration, MockDriver};
use ota_agent::{Event, Input};
use ota_manifest::Role;
use ota_manifest::wire::{FailedProbes, ResetCause, RollbackReason, Stage};
use ota_slots::sim::{Lab, LabFlash};
use ota_slots::{Boot, BootDescriptor, Layout, Policy, SlotId, WORK_BUFFER, run_blocking};
use ota_verify::sign::Signer as _;
use ota_verify::{AlgSet, PublicKey, Trust, TrustedKey};
use world::{Bus, End, Freshness, Hands, Port, World};

/// What the README says that a task takes, bytes.
const MEMORY: usize = 40 * 1024;

/// A loop, from a boot to the end of its session.
type Session = fn(&World, &mut LabFlash, (&Layout, &Policy<'_>, SlotId));

fn blocking(world: &World, flash: &mut LabFlash, slots: (&Layout, &Policy<'_>, SlotId)) {
    let Err(why) = loops::blocking::run((Hands(world), flash, Port(world)), Bus(world), slots);
    panic!("{why}");
}

/// Under embassy's clock, which goes on by a millisecond whenever nobody has anything to do.
fn embassy(world: &World, flash: &mut LabFlash, slots: (&Layout, &Policy<'_>, SlotId)) {
    let session = loops::embassy::run((Hands(world), flash, Port(world)), Bus(world), slots);
    assert!(size_of_val(&session) <= MEMORY, "the task takes {} bytes", size_of_val(&session));
    let mut session = pin!(session);
    while session.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
        MockDriver::get().advance(Duration::from_millis(1));
        world.now.set(embassy_time::Instant::now().as_millis());
        if world.rings() {
            loops::embassy::NEWS.try_send(Input::Doorbell).expect("nobody has rung before");
        }
    }
    panic!("the slots do not open");
}

/// Boots and runs until the server has heard how it ended; which release runs then.
fn live(world: &World, session: Session) -> u32 {
    live_trusting(world, session, &[(Role::Freshness, Freshness.public_key())])
}

/// The same of a device that trusts the release key, and these.
fn live_trusting(world: &World, session: Session, others: &[(Role, PublicKey)]) -> u32 {
    let lab = Lab::new();
    let keys = [&[(Role::Release, lab.public_key())], others].concat();
    let keys: Vec<_> = keys.iter().map(|(role, key)| TrustedKey::new(*role, key)).collect();
    let (layout, trust) = (lab.layout(), Trust::pinned(&keys));
    let descriptor = BootDescriptor::new(1, AlgSet::ED25519, &layout, trust.digest());
    let policy = Policy { trust, descriptor: &descriptor, ..lab.policy() };
    let mut flash = lab.provisioned(&lab.release(1, 3000));
    let mut cause = ResetCause::PowerOn;
    loop {
        let boot = Boot::new(&layout, &policy, cause);
        let boot = run_blocking(boot, &mut flash, &layout, &mut [0; WORK_BUFFER], || ());
        let handover = boot.expect("a device that has a good image boots");
        world.boots();
        let slots = (&layout, &policy, handover.slot());
        let ended = catch_unwind(AssertUnwindSafe(|| session(world, &mut flash, slots)));
        match ended.expect_err("a session ends in a reset").downcast::<End>() {
            Ok(end) if *end == End::Settled => return handover.image().order().sequence,
            Ok(_) => cause = ResetCause::Software,
            Err(panic) => resume_unwind(panic),
        }
    }
}

fn good_release_is_confirmed(session: Session) {
    let world = World::new(true, true);
    assert_eq!(live(&world, session), 2);
    assert_eq!(world.reports().last().map(|report| report.stage), Some(Stage::Confirmed));
    assert!(world.now.get() < world::RETRY, "the server was asked when somebody rang");
    let answered = world.events.borrow().iter().filter(|event| matches!(event, Event::Fresh { .. })).count();
    assert!(answered >= 2, "the first firmware asked by itself, the second for its self-test");
}

fn release_that_misses_its_sensor_is_rolled_back_and_the_server_told_which_probe_failed(session: Session) {
    let world = World::new(false, true);
    assert_eq!(live(&world, session), 1);
    let stage = world.reports().last().map(|report| report.stage);
    let Some(Stage::RolledBack { reason: RollbackReason::SelfTest, boots: 1, failed, .. }) = stage else {
        panic!("{stage:?}");
    };
    let FailedProbes { probes, code } = failed;
    assert_eq!(probes, 0b01, "the sensor, and not the server");
    assert_ne!(code, 0);
}

/// Its questions feed the watchdog, and the end of its window is no verdict.
fn release_that_hears_no_word_of_the_freshness_key_uses_up_its_attempts(session: Session) {
    let world = World::new(true, false);
    assert_eq!(live(&world, session), 1);
    let stage = world.reports().last().map(|report| report.stage);
    let exhausted = RollbackReason::AttemptsExhausted;
    assert!(
        matches!(stage, Some(Stage::RolledBack { reason, boots: 3, failed: FailedProbes::NONE, .. }) if reason == exhausted),
        "{stage:?}"
    );
}

fn good_release_is_confirmed_where_no_freshness_key_is_trusted(session: Session) {
    let world = World::new(true, false);
    assert_eq!(live_trusting(&world, session, &[]), 2);
    assert_eq!(world.reports().last().map(|report| report.stage), Some(Stage::Confirmed));
}

#[test]
fn blocking_loop_confirms_a_good_release_where_no_freshness_key_is_trusted() {
    good_release_is_confirmed_where_no_freshness_key_is_trusted(blocking);
}

#[test]
fn blocking_loop_confirms_a_good_release() {
    good_release_is_confirmed(blocking);
}

#[test]
fn blocking_loop_rolls_back_a_release_that_misses_its_sensor() {
    release_that_misses_its_sensor_is_rolled_back_and_the_server_told_which_probe_failed(blocking);
}

#[test]
fn blocking_loop_gives_a_release_that_hears_no_server_its_attempts_and_no_more() {
    release_that_hears_no_word_of_the_freshness_key_uses_up_its_attempts(blocking);
}

/// One test, for embassy's clock and the channel of news are the program's.
#[test]
fn embassy_task_does_what_the_blocking_loop_does() {
    good_release_is_confirmed(embassy);
    MockDriver::get().reset();
    release_that_misses_its_sensor_is_rolled_back_and_the_server_told_which_probe_failed(embassy);
    MockDriver::get().reset();
    release_that_hears_no_word_of_the_freshness_key_uses_up_its_attempts(embassy);
    MockDriver::get().reset();
    good_release_is_confirmed_where_no_freshness_key_is_trusted(embassy);
}
