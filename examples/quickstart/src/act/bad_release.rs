//! v1.2.0 fails its self-test. The first device to get it rolls back and says why; the campaign stops by itself; the
//! others keep asking and are offered nothing.

use std::time::Duration;

use device_sim::firmware::Behaviour;
use ota_manifest::Version;

use crate::PlayError;
use crate::cast::Cast;
use crate::judge::{logs, polls_after};

const LIMIT: Duration = Duration::from_secs(120);
/// How often every other device must have asked in vain; one more than promised, as clocks have whole milliseconds.
const ASKED: u32 = 3;

pub(crate) fn play(cast: &Cast) -> Result<(), PlayError> {
    cast.show.act("1.2.0 fails its self-test");
    let (release, _) = cast.publish(Version::new(1, 2, 0), 3, Behaviour::FailsSelfTest)?;
    let found = cast.roll_out("1.2.0 to everybody", release)?;
    let campaign = found.campaign;
    if found.state == "halted" {
        cast.show.note(&format!("passed over: campaign {campaign} halted by itself before"));
    }
    cast.wait_until("campaign 1.2.0 halted", LIMIT, |cast| Ok(cast.campaign(campaign)?.state == "halted"))?;
    let info = cast.campaign(campaign)?;
    if found.state != "halted" {
        cast.show.note(&format!("campaign HALTED by itself: {}", info.halt_reason.unwrap_or_default()));
    }
    cast.wait_until("every other device asked twice more", LIMIT, |cast| {
        let jobs = cast.author.jobs(campaign)?;
        let silent: Vec<_> =
            jobs.iter().filter(|job| job.state != "rolled_back" && job.turned_away < ASKED).collect();
        silent.iter().try_for_each(|job| cast.ring(&job.device))?;
        let asked = silent.is_empty();
        // A play that is killed between an answer and its line in the device's log loses the line, and lines are what the
        // judge counts as well.
        Ok(asked
            && polls_after(info.halted_ms, &logs(&cast.dir, cast.size())?) >= 2 * (cast.size() as u64 - 1))
    })?;
    cast.show.note("every other device has asked at least twice since, and was offered nothing");
    Ok(())
}
