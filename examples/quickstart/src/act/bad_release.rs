//! v1.2.0 fails its self-test. The first device to get it rolls back and says why; the campaign stops by itself; the
//! others keep asking and are offered nothing.

use std::time::Duration;

use device_sim::firmware::Behaviour;
use ota_manifest::Version;

use crate::PlayError;
use crate::cast::Cast;

const LIMIT: Duration = Duration::from_secs(120);
/// How often every other device must have asked in vain; one more than promised, as clocks have whole milliseconds.
const ASKED: u32 = 3;

pub(crate) fn play(cast: &Cast) -> Result<(), PlayError> {
    cast.show.act("1.2.0 fails its self-test");
    let (release, _) = cast.publish(Version::new(1, 2, 0), 3, Behaviour::FailsSelfTest)?;
    let campaign = cast.roll_out("1.2.0 to everybody", release)?;
    cast.wait_until("campaign 1.2.0 halted", LIMIT, |cast| Ok(cast.campaign(campaign)?.state == "halted"))?;
    let info = cast.campaign(campaign)?;
    cast.show.note(&format!("campaign HALTED by itself: {}", info.halt_reason.unwrap_or_default()));
    cast.wait_until("every other device asked twice more", LIMIT, |cast| {
        let jobs = cast.author.jobs(campaign)?;
        Ok(jobs.iter().filter(|job| job.state != "rolled_back").all(|job| job.turned_away >= ASKED))
    })?;
    cast.show.note("every other device has asked at least twice since, and was offered nothing");
    Ok(())
}
