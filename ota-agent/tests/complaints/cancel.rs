//! Taking a job back, at any time.

use std::cell::RefCell;
use std::rc::Rc;

use ota_manifest::wire::{Down, Stage, Up};

use crate::common::{Firmware, JOB, bytes};
use crate::device;

/// OpenMobileAlliance/OMA_LwM2M_for_Developers#219: whether an update can be cancelled at any time, or only once it is
/// downloaded.
#[test]
fn cancel_is_obeyed_in_answer_to_whatever_is_said_until_the_image_is_pending() {
    let mut obeyed = Vec::new();
    for answered in 0.. {
        let mut device = device(Firmware::Fit);
        let said = Rc::new(RefCell::new(None));
        let (noted, mut number) = (Rc::clone(&said), 0);
        device.by(move |up, server| {
            let about_the_job = matches!(up, Up::Fetch(_) | Up::Report(_));
            let answer = bytes(&server.answer(up));
            number += usize::from(about_the_job);
            if about_the_job && number == answered + 1 {
                *noted.borrow_mut() = Some(up);
                return vec![bytes(&Down::Cancel { job: JOB })];
            }
            vec![answer]
        });
        device.live();
        let Some(up) = said.take() else { break };
        let too_late = matches!(
            up,
            Up::Report(report) if report.stage.is_terminal()
                || matches!(report.stage, Stage::PendingBoot | Stage::Testing)
        );
        let expected = if too_late { (Stage::Confirmed, 2) } else { (Stage::Cancelled, 1) };
        assert_eq!((device.terminals(), device.running), (vec![expected.0], expected.1), "{up:?}");
        obeyed.extend((!too_late).then_some(up));
    }
    let fetched = |up: &Up| matches!(up, Up::Fetch(_));
    assert!(obeyed.iter().any(fetched) && obeyed.len() > 5, "{obeyed:?}");
}
