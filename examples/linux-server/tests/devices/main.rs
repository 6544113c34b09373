//! Simulated devices, with real bootloader, agent and self-test, against a real server over HTTP.

#[cfg(feature = "real-parts")]
mod bell;
mod ceremony;
mod otactl;
mod site;

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ceremony::Ceremony;

use device_sim::Happening;
use device_sim::firmware::Behaviour;
use serde_json::Value;
use site::{Site, wait};

fn passed(probe: &str) -> Happening {
    Happening::Probed { probe: probe.to_owned(), outcome: "Passed".to_owned() }
}

fn confirmed() -> Happening {
    Happening::Reached { stage: "Confirmed".to_owned(), progress: None }
}

fn probes(log: &[Happening]) -> Vec<&Happening> {
    log.iter().filter(|what| matches!(what, Happening::Probed { .. })).collect()
}

#[test]
fn device_with_the_freshness_key_learns_the_time_and_confirms_only_what_hears_its_server() {
    let site = Site::open(|_| ());
    let asks = site.make("asks", |_| ());
    let does_not = site.make("does not", |factory| factory.freshness_key = None);
    let _on = [&asks, &does_not].map(site::Device::switch_on);
    let campaign = site.roll_out(2, Behaviour::Healthy);
    for device in [&asks, &does_not] {
        site.wait_for_job(campaign, device, "confirmed");
    }
    let log = asks.log();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let is_told =
        |what: &Happening| matches!(what, Happening::Fresh { time_s, .. } if now.abs_diff(*time_s) < 60);
    assert!(log.iter().any(is_told), "{log:?}");
    let place = |wanted: &Happening| log.iter().position(|what| what == wanted).unwrap();
    assert!(place(&passed("connectivity")) < place(&confirmed()));
    assert_eq!(probes(&log), [&passed("conduct"), &passed("memory"), &passed("connectivity")]);
    let log = does_not.log();
    assert_eq!(probes(&log), [&passed("conduct"), &passed("memory")]);
    assert!(!log.iter().any(|what| matches!(what, Happening::Fresh { .. })), "{log:?}");
}

#[test]
fn device_that_hears_another_freshness_key_than_its_own_stays_on_trial() {
    let site = Site::open(|_| ());
    let device = site.make("device", |factory| factory.freshness_key = Some("d7".repeat(32)));
    let _on = device.switch_on();
    let campaign = site.roll_out(2, Behaviour::Healthy);
    site.wait_for_job(campaign, &device, "testing");
    let not_believed =
        |what: &Happening| matches!(what, Happening::Note { text } if text.starts_with("NotBelieved"));
    wait(|| {
        let log = device.log();
        let on_trial = log.iter().skip_while(|what| **what != passed("memory"));
        if on_trial.filter(|what| not_believed(what)).count() > 0 { Ok(()) } else { Err(format!("{log:?}")) }
    });
    std::thread::sleep(Duration::from_millis(500));
    let job = site.job(campaign, &device).unwrap();
    assert_eq!(job.state, "testing");
    assert!(!device.log().contains(&confirmed()));
}

#[test]
fn unfit_release_is_rolled_back_and_the_operator_sees_the_probe_that_failed() {
    let site = Site::open(|_| ());
    let device = site.make("device", |_| ());
    let _on = device.switch_on();
    let campaign = site.roll_out(2, Behaviour::FailsSelfTest);
    let job = site.wait_for_job(campaign, &device, "rolled_back");
    let shown: Value = serde_json::from_str(&site.otactl(&["--json", "job", "show", &job.job])).unwrap();
    let rolled_back = shown["events"].as_array().unwrap().last().unwrap();
    for told in [&shown["job"], rolled_back] {
        assert_eq!((&told["probes"], &told["code"]), (&0b1.into(), &0x0C01.into()), "{shown}");
    }
}

#[test]
fn release_key_of_a_fleet_is_replaced_and_a_device_that_was_off_follows() {
    let ceremony = Ceremony::new();
    let mut site = Site::open(|config| ceremony.trusts_root(config));
    let old = site.server().release_key().to_string();
    let [device, late] = ["device", "late"]
        .map(|name| site.make(name, |factory| factory.root_keys = vec![ceremony.root.clone()]));
    let _on = device.switch_on();
    site.wait_for_trust(&device, 1);

    let next = ceremony.make_key("next.key");
    ceremony.add(&site, 2, &[&old, &next]);
    site.wait_for_trust(&device, 2);
    assert_eq!(device.boots(), ["1.0.0 Confirmed 1", "1.0.0 Confirmed 2"]);

    site.restart(|data| {
        fs::rename(data.join("release.key"), data.join("release.key.old")).unwrap();
        fs::copy(ceremony.file("next.key"), data.join("release.key")).unwrap();
    });
    assert_eq!(site.server().release_key().to_string(), next);
    let campaign = site.roll_out(2, Behaviour::Healthy);
    site.wait_for_job(campaign, &device, "confirmed");
    ceremony.add(&site, 3, &[&next]);
    site.wait_for_trust(&device, 3);
    assert_eq!(device.boots()[2..], ["2.0.0 Trial 2", "2.0.0 Confirmed 3"]);

    let _on = late.switch_on();
    site.wait_for_job(campaign, &late, "confirmed");
    site.wait_for_trust(&late, 3);
    let waits = Happening::TrustOffered { version: 3, held_before: true };
    assert!(late.log().contains(&waits), "what ran before the update is signed by the old key alone");
    let boots =
        ["1.0.0 Confirmed 1", "1.0.0 Confirmed 2", "1.0.0 Confirmed 2", "2.0.0 Trial 2", "2.0.0 Confirmed 3"];
    assert_eq!(late.boots(), boots);
    wait(|| {
        let chain = site.author.trust().unwrap();
        if chain.devices.get(&3) == Some(&2) { Ok(()) } else { Err(format!("{chain:?}")) }
    });
}
