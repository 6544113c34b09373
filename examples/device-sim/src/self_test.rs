//! What the firmware asks of itself and of its server before it confirms an update.

use anyhow::{Result, anyhow};
use ota_agent::self_test::{Check, Connectivity, Fault, March, Outcome, Probe, SelfTest, Step};
use ota_manifest::Nonce;

use crate::firmware::Behaviour;

/// Words of memory that are tested.
const MEMORY: usize = 256;
/// How often the server is asked until it answers, ms.
const ASK_EVERY_MS: u32 = 5_000;

/// Stands for the hardware that a release may get wrong: the image says whether it does.
struct Conduct(Behaviour);

impl Probe for Conduct {
    fn name(&self) -> &'static str {
        "conduct"
    }

    fn timeout_ms(&self) -> u32 {
        1_000
    }

    fn poll(&mut self, _: u64) -> Step {
        Step::Done(match self.0 {
            Behaviour::Healthy => Outcome::Passed,
            Behaviour::FailsSelfTest | Behaviour::Hangs => Outcome::Failed(Fault::Own(1)),
        })
    }
}

/// Lends the self-test of an image to `work`. `asks`: a freshness key is trusted, so the server has to be heard as well.
///
/// # Errors
/// If there is no random number to ask about.
pub(crate) fn with<T>(
    behaviour: Behaviour,
    asks: bool,
    work: impl FnOnce(SelfTest<'_, '_>) -> T,
) -> Result<T> {
    let (mut memory, mut nonce) = ([0_u32; MEMORY], [0; Nonce::LEN]);
    getrandom::fill(&mut nonce).map_err(|error| anyhow!("no random number: {error}"))?;
    let mut conduct = Conduct(behaviour);
    let mut march = March::new(&mut memory, MEMORY)?;
    // Without end: it is the trial's window that ends a trial whose server is silent.
    let mut server = Connectivity::new(|| Nonce::new(nonce), ASK_EVERY_MS, u32::MAX);
    let mut checks = vec![Check::required(&mut conduct), Check::required(&mut march)];
    if asks {
        checks.push(Check::required(&mut server));
    }
    Ok(work(SelfTest::new(&mut checks)?))
}

#[cfg(test)]
mod tests {
    use ota_agent::self_test::{Turn, Verdict};
    use ota_manifest::wire::FailedProbes;

    use super::*;

    /// Where it ends, or waits for the server.
    fn end_of(behaviour: Behaviour, asks: bool) -> Turn {
        let run = |mut test: SelfTest<'_, '_>| {
            std::iter::repeat_with(|| test.poll(1))
                .find(|turn| !matches!(turn, Turn::Progress | Turn::Ended { .. }))
                .unwrap()
        };
        with(behaviour, asks, run).unwrap()
    }

    #[test]
    fn image_that_says_so_fails_with_its_own_code_and_another_passes() {
        assert_eq!(end_of(Behaviour::Healthy, false), Turn::Done(Verdict::Passed));
        let failed = FailedProbes { probes: 0b1, code: 0x0C01 };
        let expected = Verdict::Failed { probe: 0, name: "conduct", failed };
        assert_eq!(end_of(Behaviour::FailsSelfTest, false), Turn::Done(expected));
    }

    #[test]
    fn device_with_a_freshness_key_asks_its_server_about_another_number_each_time() {
        let [one, two] = [(); 2].map(|()| end_of(Behaviour::Healthy, true));
        assert!(matches!((one, two), (Turn::Ask(one), Turn::Ask(two)) if one != two), "{one:?} {two:?}");
    }
}
