//! The same with a bell on a real broker.

use device_sim::firmware::Behaviour;
use device_sim::{Certificate, FactoryMqtt, Happening};
use linux_server::BellOptions;
use linux_server::pki::{self, PkiPlan, broker};
use ota_server_core::http::api::NewDevice;

use crate::ceremony::Ceremony;
use crate::site::Site;

#[test]
fn device_with_a_bell_learns_the_time_adopts_a_document_and_confirms() {
    let (pki, port) = (tempfile::tempdir().unwrap(), Some(broker::free_port().unwrap()));
    pki::init(pki.path(), &PkiPlan { devices: 1, port, ..PkiPlan::default() }).unwrap();
    let broker = broker::Mosquitto::start(pki.path()).unwrap();
    let ceremony = Ceremony::new();
    let site = Site::open(|config| {
        ceremony.trusts_root(config);
        let (mqtt, mqtt_pki) = (Some(broker.url().parse().unwrap()), Some(pki.path().to_owned()));
        config.bell = BellOptions { mqtt, mqtt_pki, ..config.bell };
    });
    let id = pki::devices(pki.path()).unwrap()[0].to_string();
    let certificate = Certificate::issued(pki.path(), &id).unwrap();
    let device = site.enrol(NewDevice { device: Some(id), name: "device".to_owned() }, |factory| {
        factory.mqtt = Some(FactoryMqtt::at(&broker.url()).unwrap());
        factory.root_keys = vec![ceremony.root.clone()];
    });
    certificate.install(&device.dir).unwrap();
    let _on = device.switch_on();
    site.wait_for_trust(&device, 1);
    ceremony.add(&site, 2, &[&site.server().release_key().to_string()]);
    site.wait_for_trust(&device, 2);
    let campaign = site.roll_out(2, Behaviour::Healthy);
    site.wait_for_job(campaign, &device, "confirmed");
    assert!(device.log().iter().any(|what| matches!(what, Happening::Fresh { .. })));
    assert_eq!(device.boots().last().unwrap(), "2.0.0 Trial 2");
}
