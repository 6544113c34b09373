//! Blocking and asynchronous execution are the same operations, because they are the same machine.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use ota_manifest::ResetCause;
use ota_slots::sim::Lab;
use ota_slots::{Boot, WORK_BUFFER, run_async, run_blocking};

/// The simulated flash never waits, so one poll finishes.
fn finish<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("simulated flash does not wait"),
    }
}

#[test]
fn blocking_and_async_boot_do_the_same_flash_operations() {
    let lab = Lab::new();
    let (layout, policy) = (lab.layout(), lab.policy());
    let mut blocking = lab.provisioned(&lab.release(1, 3000));
    let mut awaited = blocking.clone();
    let mut buffer = [0; WORK_BUFFER];

    let boot = Boot::new(&layout, &policy, ResetCause::PowerOn);
    let first = run_blocking(boot, &mut blocking, &layout, &mut buffer, || ()).unwrap();
    let boot = Boot::new(&layout, &policy, ResetCause::PowerOn);
    let second = finish(run_async(boot, &mut awaited, &layout, &mut buffer, || ())).unwrap();

    assert_eq!((first.slot(), first.state()), (second.slot(), second.state()));
    assert_eq!(blocking.log(), awaited.log());
    assert_eq!(blocking.bytes(), awaited.bytes());
}

#[test]
fn watchdog_is_fed_before_every_operation() {
    let lab = Lab::new();
    let (layout, policy) = (lab.layout(), lab.policy());
    let mut flash = lab.provisioned(&lab.release(1, 3000));
    let mut fed = 0;
    let boot = Boot::new(&layout, &policy, ResetCause::PowerOn);
    assert!(run_blocking(boot, &mut flash, &layout, &mut [0; WORK_BUFFER], || fed += 1).is_ok());
    // 16 journal cells, an envelope, three pieces of image, one record written and read back.
    assert!(fed > 16 + 1 + 3 + 2, "{fed}");
}
