//! v1.1.0 goes to one device, then to a quarter, then to everybody; every device confirms it.

use std::time::Duration;

use device_sim::firmware::Behaviour;
use ota_manifest::Version;

use crate::PlayError;
use crate::cast::Cast;

const LIMIT: Duration = Duration::from_secs(600);

pub(crate) fn play(cast: &Cast) -> Result<(), PlayError> {
    cast.show.act("1.1.0 is rolled out in waves");
    let (release, _) = cast.publish(Version::new(1, 1, 0), 2, Behaviour::Healthy)?;
    let found = cast.roll_out("1.1.0 to everybody", release)?;
    let (campaign, mut wave) = (found.campaign, found.wave);
    if found.state == "completed" {
        cast.show.note(&format!("passed over: campaign {campaign} was completed before"));
        return Ok(());
    }
    for device in 0..cast.size() {
        cast.past(device).iter().for_each(|line| cast.show.count(device, line));
    }
    cast.wait_until("campaign 1.1.0 completed", LIMIT, |cast| {
        let info = cast.campaign(campaign)?;
        if info.wave != wave {
            wave = info.wave;
            if let Some(wave) = wave {
                cast.show.note(&format!("wave {} begins", wave + 1));
            }
        }
        if info.state == "halted" {
            anyhow::bail!("the good release halted: {}", info.halt_reason.unwrap_or_default());
        }
        Ok(info.state == "completed")
    })?;
    cast.show.note("campaign completed: every device runs 1.1.0 and has confirmed it");
    Ok(())
}
