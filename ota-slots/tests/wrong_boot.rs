//! A bootloader that was built for another strategy than its layout's.

mod common;

use common::{Device, Ended, Firmware};
use ota_manifest::ResetCause;
use ota_slots::{Boot, Recovery, Strategy, WORK_BUFFER, run_blocking};

#[test]
fn bootloader_of_the_other_kind_says_so_and_touches_nothing() {
    for strategy in [Strategy::DirectXip, Strategy::SwapOffset, Strategy::Overwrite] {
        // With an update pending: that is what the wrong one would give up.
        let mut device = Device::with(strategy, Firmware::Healthy, 1);
        assert_eq!(device.session(ResetCause::PowerOn), Ended::Reset(ResetCause::Software));
        let (layout, policy, before) = (device.layout, device.policy, device.flash.operations());
        let (flash, cause, mut buffer) = (&mut device.flash, ResetCause::Software, [0; WORK_BUFFER]);
        let booted = if strategy.moves() {
            run_blocking(Boot::new(&layout, &policy, cause), flash, &layout, &mut buffer, || ())
        } else {
            run_blocking(Boot::moving(&layout, &policy, cause), flash, &layout, &mut buffer, || ())
        };
        assert_eq!(booted.err(), Some(Recovery::WrongBoot), "{strategy:?}");
        assert_eq!(device.flash.operations(), before, "{strategy:?}");
    }
}
