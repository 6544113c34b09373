//! A folder of certificates: made, interrupted, repeated, damaged, and what its certificates say.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use linux_server::pki::{self, PkiError, PkiPlan, device_files};
use ota_manifest::DeviceId;
use x509_parser::certificate::X509Certificate;
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::FromDer;

fn plan(devices: usize) -> PkiPlan {
    PkiPlan { devices, ..PkiPlan::default() }
}

/// Every file with its bytes.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for folder in [dir.to_owned(), dir.join("devices")] {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file())
        {
            let name = entry.path().strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
            found.insert(name, fs::read(entry.path()).unwrap());
        }
    }
    found
}

fn read<T>(file: &Path, with: impl FnOnce(&X509Certificate<'_>) -> T) -> T {
    let text = fs::read(file).unwrap();
    let (_, pem) = parse_x509_pem(&text).unwrap();
    with(&X509Certificate::from_der(&pem.contents).unwrap().1)
}

fn serial(dir: &Path, device: DeviceId) -> String {
    pki::list(dir).unwrap().into_iter().find(|row| row.device == device).unwrap().serial
}

#[test]
fn init_again_keeps_everything_and_adds_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let two = pki::init(folder.path(), &plan(2)).unwrap();
    let before = files(folder.path());
    assert_eq!(pki::init(folder.path(), &plan(2)).unwrap(), two);
    assert_eq!(files(folder.path()), before, "not a byte changed");

    let mine = DeviceId::new([0xAB; 16]);
    let more = PkiPlan { device_ids: vec![mine], ..plan(5) };
    let five = pki::init(folder.path(), &more).unwrap();
    assert_eq!(five.len(), 5);
    assert!(five.contains(&mine) && two.iter().all(|device| five.contains(device)));
    let after = files(folder.path());
    assert!(before.iter().all(|(name, bytes)| after[name] == *bytes));
    assert_eq!(pki::init(folder.path(), &plan(1)).unwrap(), five, "fewer takes nobody out");
}

#[test]
fn init_killed_after_any_file_goes_on_where_it_was() {
    let whole = tempfile::tempdir().unwrap();
    let device = pki::init(whole.path(), &plan(1)).unwrap()[0];
    let (device_pem, device_key) = (format!("devices/{device}.pem"), format!("devices/{device}.key"));
    let in_order = [
        "ca.key",
        "crl.pem",
        "ca.pem",
        "broker.key",
        "broker.pem",
        "server.key",
        "server.pem",
        &device_key,
        &device_pem,
        "acl",
        "mosquitto.conf",
    ];
    for made in 0..=in_order.len() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("devices")).unwrap();
        for name in &in_order[..made] {
            fs::copy(whole.path().join(name), folder.path().join(name)).unwrap();
        }
        // What a kill in the middle of the next file leaves.
        for draft in ["ca.new", "devices/x.new"] {
            fs::write(folder.path().join(draft), "half").unwrap();
        }
        let devices = pki::init(folder.path(), &plan(1)).unwrap();
        assert_eq!(devices.len(), 1, "after {made} files");
        let after = files(folder.path());
        assert!(after.keys().all(|name| !name.ends_with(".new")), "drafts with keys in them are gone");
        // With `ca.pem` the authority is there, and what it signed stays; before, nobody has seen it.
        let kept = if made > 2 { made } else { 0 };
        for name in in_order[..kept].iter().filter(|name| name.contains('.') && !name.ends_with("conf")) {
            assert_eq!(after[*name], fs::read(whole.path().join(name)).unwrap(), "{name} after {made} files");
        }
    }
}

#[test]
fn every_damaged_or_missing_file_is_named_and_nothing_is_replaced() {
    let whole = tempfile::tempdir().unwrap();
    let device = pki::init(whole.path(), &plan(1)).unwrap()[0];
    let (device_pem, device_key) = (format!("devices/{device}.pem"), format!("devices/{device}.key"));
    let other = tempfile::tempdir().unwrap();
    pki::init(other.path(), &PkiPlan { device_ids: vec![device], ..plan(1) }).unwrap();
    let all = [
        "ca.key",
        "ca.pem",
        "crl.pem",
        "broker.key",
        "broker.pem",
        "server.key",
        "server.pem",
        &device_pem,
        &device_key,
    ];
    let refused = |name: &str, how: &str, damage: &dyn Fn(&Path)| {
        let path = whole.path().join(name);
        let good = fs::read(&path).unwrap();
        damage(&path);
        let before = files(whole.path());
        let error = pki::init(whole.path(), &plan(2)).unwrap_err();
        let PkiError::File { file, why } = &error else { panic!("{name}, {how}: {error}") };
        assert!(why.len() > 20, "{name}, {how}: {error}");
        let pair = file.with_extension("") == path.with_extension("");
        assert!(pair || name == "ca.pem", "{name}, {how}: {error}");
        assert_eq!(files(whole.path()), before, "{name}, {how}");
        fs::write(&path, good).unwrap();
        restrict(&path);
    };
    for name in all {
        refused(name, "garbage", &|path| fs::write(path, "garbage").unwrap());
        refused(name, "of another folder", &|path| {
            fs::copy(other.path().join(name), path).unwrap();
        });
        if name != device_pem && name != device_key && name != "broker.pem" && name != "server.pem" {
            refused(name, "missing", &|path| fs::remove_file(path).unwrap());
        }
    }
    pki::init(whole.path(), &plan(1)).unwrap();
}

#[cfg(unix)]
fn restrict(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[cfg(not(unix))]
fn restrict(_: &Path) {}

#[cfg(unix)]
#[test]
fn every_file_is_its_owners_alone_and_an_exposed_key_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("new/pki");
    let device = pki::init(&dir, &plan(1)).unwrap()[0];
    for name in files(&dir).keys().filter(|name| *name != "lock") {
        let mode = fs::metadata(dir.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name}");
    }
    let key = device_files(&dir, device).1;
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let error = pki::init(&dir, &plan(1)).unwrap_err().to_string();
    assert!(error.contains("can be read by others"), "{error}");
    fs::set_permissions(dir.join("ca.pem"), fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(pki::devices(&dir).unwrap(), [device], "a certificate is for everybody");
}

#[cfg(unix)]
#[test]
fn root_does_not_write_what_the_owner_of_the_folder_cannot_read() {
    let folder = tempfile::tempdir().unwrap();
    let device = pki::init(folder.path(), &plan(1)).unwrap()[0];
    if std::os::unix::fs::chown(folder.path(), Some(65_534), None).is_err() {
        return; // Only root can give a folder away, and only root could write into it then.
    }
    let before = files(folder.path());
    let error = pki::revoke(folder.path(), device).unwrap_err().to_string();
    assert!(error.contains("sudo -u '#65534'"), "{error}");
    assert!(pki::init(folder.path(), &plan(2)).is_err());
    assert_eq!(files(folder.path()), before);
}

#[test]
fn certificates_say_who_may_do_what_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let hosts = vec!["Broker.example".into(), "10.0.0.7".into()];
    let device = pki::init(folder.path(), &PkiPlan { hosts, ..plan(1) }).unwrap()[0];
    let at = |name: &str| folder.path().join(name);
    read(&at("ca.pem"), |ca| {
        let basic = ca.basic_constraints().unwrap().unwrap().value;
        assert_eq!((basic.ca, basic.path_len_constraint), (true, Some(0)));
        let usage = ca.key_usage().unwrap().unwrap().value;
        assert_eq!(usage.flags, 0b110_0000, "certificates and lists, nothing else");
    });
    let expected = [
        (at("broker.pem"), "ota-broker".to_owned(), (false, true), 5),
        (at("server.pem"), "ota-server".to_owned(), (true, true), 5),
        (device_files(folder.path(), device).0, device.to_string(), (true, false), 0),
    ];
    for (file, name, (client, server), names) in expected {
        read(&file, |leaf| {
            assert_eq!(leaf.subject().iter_common_name().next().unwrap().as_str().unwrap(), name);
            assert!(!leaf.basic_constraints().unwrap().unwrap().value.ca);
            assert_eq!(leaf.key_usage().unwrap().unwrap().value.flags, 1, "signatures alone");
            let uses = leaf.extended_key_usage().unwrap().unwrap().value;
            assert_eq!((uses.client_auth, uses.server_auth, uses.any), (client, server, false), "{name}");
            let found = leaf.subject_alternative_name().unwrap();
            assert_eq!(found.map_or(0, |found| found.value.general_names.len()), names, "{name}");
            assert_eq!(leaf.raw_serial().len(), 16);
            let hour_ago = leaf.validity().not_before.timestamp() + 86_400 - 3600;
            assert!(leaf.validity().not_after.timestamp() - hour_ago > 10 * 365 * 86_400);
            assert!(leaf.validity().is_valid());
        });
    }
}

#[test]
fn a_new_host_gets_into_the_certificates_beside_the_old_ones_under_the_same_keys() {
    let folder = tempfile::tempdir().unwrap();
    let with = |host: &str| PkiPlan { hosts: vec![host.into()], ..plan(0) };
    pki::init(folder.path(), &with("one.example")).unwrap();
    let before = files(folder.path());
    pki::init(folder.path(), &with("two.example")).unwrap();
    let after = files(folder.path());
    assert_eq!(before["broker.key"], after["broker.key"]);
    assert_ne!(before["broker.pem"], after["broker.pem"]);
    read(&folder.path().join("broker.pem"), |broker| {
        let names = format!("{:?}", broker.subject_alternative_name().unwrap().unwrap().value.general_names);
        assert!(names.contains("one.example") && names.contains("two.example"), "{names}");
    });
    pki::init(folder.path(), &with("one.example")).unwrap();
    assert_eq!(files(folder.path()), after, "both are there, so nothing is made");
    for bad in ["", "a b", "x/y", "*.example", "exa\nmple", "-."] {
        assert!(matches!(pki::init(folder.path(), &with(bad)), Err(PkiError::Host(_))), "{bad}");
    }
}

#[test]
fn a_revoked_device_stays_revoked_until_it_is_given_a_new_certificate_under_a_new_key() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let devices = pki::init(dir, &plan(3)).unwrap();
    assert!(pki::revoke(dir, devices[0]).unwrap());
    assert!(pki::revoke(dir, devices[1]).unwrap());
    assert!(!pki::revoke(dir, devices[0]).unwrap(), "it is on the list");
    assert_eq!(pki::devices(dir).unwrap(), devices[2..]);
    let (old, key) = (serial(dir, devices[0]), fs::read(device_files(dir, devices[0]).1).unwrap());

    let again = PkiPlan { device_ids: vec![devices[0]], ..plan(3) };
    let now = pki::init(dir, &again).unwrap();
    assert_eq!(now.len(), 3, "two new ones in the place of the revoked");
    assert!(!now.contains(&devices[0]) && !now.contains(&devices[1]));
    assert_eq!(serial(dir, devices[0]), old);

    assert!(pki::issue(dir, devices[0]).unwrap());
    assert!(!pki::issue(dir, devices[0]).unwrap(), "it has a good one now");
    assert_ne!(serial(dir, devices[0]), old);
    assert_ne!(fs::read(device_files(dir, devices[0]).1).unwrap(), key);
    let rows = pki::list(dir).unwrap();
    let revoked: Vec<_> = rows.iter().filter(|row| row.revoked).map(|row| row.device).collect();
    assert_eq!(revoked, [devices[1]]);
    assert!(matches!(pki::revoke(dir, DeviceId::new([1; 16])), Err(PkiError::Unknown(_))));
}

#[test]
fn a_device_whose_key_went_to_the_device_is_complete_and_can_be_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let device = pki::init(folder.path(), &plan(1)).unwrap()[0];
    let key = device_files(folder.path(), device).1;
    fs::remove_file(&key).unwrap();
    assert_eq!(pki::init(folder.path(), &plan(1)).unwrap(), [device]);
    assert!(!key.exists());
    assert!(pki::revoke(folder.path(), device).unwrap());
}

#[test]
fn two_revocations_at_a_time_are_both_on_the_list() {
    let folder = tempfile::tempdir().unwrap();
    let devices = pki::init(folder.path(), &plan(8)).unwrap();
    std::thread::scope(|scope| {
        for device in &devices {
            scope.spawn(|| pki::revoke(folder.path(), *device).unwrap());
        }
    });
    assert_eq!(pki::devices(folder.path()).unwrap(), []);
}

#[test]
fn port_and_address_of_the_broker_are_kept_unless_said_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let listener = |plan: &PkiPlan| {
        pki::init(folder.path(), plan).unwrap();
        let conf = fs::read_to_string(folder.path().join("mosquitto.conf")).unwrap();
        conf.lines().find(|line| line.starts_with("listener")).unwrap().to_owned()
    };
    assert_eq!(listener(&plan(0)), "listener 18883 127.0.0.1");
    let chosen = PkiPlan { bind: Some([0; 4].into()), port: Some(2883), ..plan(0) };
    assert_eq!(listener(&chosen), "listener 2883 0.0.0.0");
    assert_eq!(listener(&plan(0)), "listener 2883 0.0.0.0");
    assert_eq!(listener(&PkiPlan { port: Some(1), ..plan(0) }), "listener 1 0.0.0.0");
}

#[test]
fn a_folder_without_an_authority_and_a_senseless_plan_get_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = DeviceId::new([1; 16]);
    for result in [
        pki::issue(folder.path(), nobody).map(|_| ()),
        pki::revoke(folder.path(), nobody).map(|_| ()),
        pki::list(folder.path()).map(|_| ()),
    ] {
        let error = result.unwrap_err().to_string();
        assert!(error.contains("otactl pki init"), "{error}");
    }
    for years in [0, 101] {
        let error = pki::init(folder.path(), &PkiPlan { years, ..plan(0) }).unwrap_err();
        assert!(matches!(error, PkiError::Years(_)), "{error}");
    }
    assert!(!folder.path().join("ca.key").exists());
}
