//! Two devices lose power during the rollout of 1.1.0: one in the middle of its download, one when the new image runs and
//! has not confirmed itself yet. Both end confirmed; the first goes on with what its flash holds.

use crate::cast::Cast;

/// The chunk whose writing the power fails in: far enough into the image for something to be held.
const CHUNK: u32 = 29;

pub(crate) fn prepare(cast: &mut Cast) {
    let (downloading, testing) = (cast.role(0), cast.role(1));
    if !cast.plan_power(downloading, |plan| plan.in_download_at_chunk = Some(CHUNK)) {
        cast.show.note(&format!("passed over: device {downloading} has lost its power in a download"));
    }
    if !cast.plan_power(testing, |plan| plan.before_confirm = true) {
        cast.show.note(&format!("passed over: device {testing} has lost its power in a trial"));
    }
}
