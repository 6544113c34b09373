//! A man in the middle can make an authentic envelope longer: signature entries are not part of what is signed, and one by a
//! foreign key does no harm to the others. Written as it came, such an envelope once ran out of the staging slot into the
//! running one.

mod common;

use common::{Device, Firmware};
use ota_manifest::{Frame, ResetCause, Role};
use ota_slots::sim::Lab;
use ota_slots::{Boot, Opened, SlotId, WORK_BUFFER, run_blocking};

#[test]
fn envelope_longer_than_its_area_is_refused_and_nothing_is_written_beyond_the_slot() {
    let lab = Lab::new();
    let (layout, policy) = (lab.layout(), lab.policy());
    let mut device = Device::new(Firmware::Healthy, 1);
    device.live(); // now B runs, and A is the next target
    let mut flash = device.flash.clone();
    let good = lab.release(3, 3000).envelope;
    let count_at = 8 + usize::from(u16::from_le_bytes([good[6], good[7]]));
    let mut envelope = good[..count_at].to_vec();
    envelope.extend_from_slice(&[2, 1]);
    envelope.extend_from_slice(&[0; 8]);
    envelope.extend_from_slice(&3000u16.to_le_bytes());
    envelope.extend_from_slice(&[0; 3000]);
    envelope.extend_from_slice(&good[count_at + 1..]);

    let mut buffer = [0; WORK_BUFFER];
    let boot = Boot::new(&layout, &policy, ResetCause::PowerOn);
    let handover = run_blocking(boot, &mut flash, &layout, &mut buffer, || ()).unwrap();
    let open = Opened::open(&layout, &policy, handover.slot());
    let Ok(Opened::Confirmed(mut app)) = run_blocking(open, &mut flash, &layout, &mut buffer, || ()) else {
        panic!()
    };
    let authentic = policy.trust.authenticate(Frame::parse(&envelope).unwrap(), Role::Release).unwrap();
    let update = authentic.admit(&app.device_state()).unwrap();
    let running = layout.slot(SlotId::B).region.start as usize..;
    let before = flash.bytes()[running.clone()].to_vec();
    if let Ok(begin) = app.begin(&update, &envelope) {
        let _ = run_blocking(begin, &mut flash, &layout, &mut buffer, || ());
    }
    assert!(flash.bytes()[running] == before[..], "the running slot was written");
    assert_eq!(flash.violations(), 0);
}
