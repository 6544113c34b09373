//! A device whose release key is an LMS key: envelopes are longer than classical ones, and arrive all the same.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use device_sim::firmware::{Behaviour, build};
use device_sim::{Device, Factory, Happening, LAYOUT, Timing, class, provision, read_log, vendor};
use ota_agent::sim::ScriptedServer;
use ota_manifest::wire::{decode, encode};
use ota_manifest::{ChunkSize, JobId, MAX_ENVELOPE, ManifestDraft, Order, Role, SecurityVersion, Version};
use ota_slots::SlotId;
use ota_slots::sim::{Built, Release};
use ota_verify::sign::{
    LmsHeight, LmsSigner, LmsSigningKey, LmsState, LmsWidth, Signer, SignerError, describe_image,
    seal_manifest,
};

/// Counts leaves as long as it lives, which is good enough for a test.
struct Forgetful(AtomicU32);

impl LmsState for Forgetful {
    fn claim(&self) -> Result<u32, SignerError> {
        Ok(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

fn release(number: u16, signer: &dyn Signer) -> Release {
    let version = Version::new(number, 0, 0);
    let mut draft = ManifestDraft::new(vendor(), class(), version);
    draft.order = Order { epoch: 0, sequence: u32::from(number) };
    draft.security_version = SecurityVersion(1);
    let built = SlotId::BOTH.map(|slot| {
        let address = LAYOUT.slot(slot).link_address;
        let image = build(&vec![number.to_le_bytes()[0]; 50_000], address, version, Behaviour::Healthy);
        let described = describe_image(&image, address, ChunkSize::KIB4).unwrap();
        draft.images.push(described.image).unwrap();
        Built { image, leaves: described.leaves }
    });
    let envelope = seal_manifest(&draft, &[(signer, Role::Release)]).unwrap();
    assert!(envelope.len() > MAX_ENVELOPE, "{} bytes", envelope.len());
    Release { envelope, built }
}

/// Answers one request on behalf of `server`, as `docs/wire.md` has it.
fn answer(stream: &TcpStream, server: &mut ScriptedServer, release: &Release) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut lines = reader.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let request = lines.next()?;
    let headers: Vec<_> = lines.map(|line| line.to_lowercase()).collect();
    let header = |name: &str| headers.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let (head, body) = if request.starts_with("POST") {
        let mut up = vec![0; header("content-length")?.parse().ok()?];
        reader.read_exact(&mut up).ok()?;
        let down = server.answer(decode(&up).ok()?);
        ("200 OK".to_owned(), encode(&down, &mut [0; 8192]).ok()?.to_vec())
    } else {
        let (path, object) = request.split(' ').nth(1)?.rsplit_once('/')?;
        let built = &release.built[path.rsplit('/').next()?.parse::<usize>().ok()?];
        let object = if object == "leaves" { &built.leaves } else { &built.image };
        let (first, last) = header("range")?.strip_prefix("bytes=")?.split_once('-')?;
        let (first, last) = (first.parse().ok()?, last.parse::<usize>().ok()?.min(object.len() - 1));
        let head = format!("206 Part\r\ncontent-range: bytes {first}-{last}/{}", object.len());
        (head, object[first..=last].to_vec())
    };
    let mut stream = stream;
    write!(stream, "HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len()).ok()?;
    stream.write_all(&body).ok()
}

#[test]
fn release_with_an_lms_signature_is_offered_proven_and_confirmed() {
    let key = LmsSigningKey::generate(LmsHeight::H5, LmsWidth::W4, &[7; 32]);
    let signer = LmsSigner::new(key, Forgetful(AtomicU32::new(0)));
    let (first, second) = (release(1, &signer), release(2, &signer));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let factory = Factory {
        id: "cd".repeat(16),
        server: format!("http://{}", listener.local_addr().unwrap()),
        token: "token".into(),
        release_key: signer.public_key().to_string(),
        freshness_key: None,
        root_keys: Vec::new(),
        root_threshold: 1,
        mqtt: None,
    };
    let dir = tempfile::tempdir().unwrap();
    let built = first.for_slot(SlotId::A);
    provision(dir.path(), &factory, &built.image, &built.leaves, &first.envelope).unwrap();
    std::thread::spawn(move || {
        let mut server = ScriptedServer::new(second.clone(), JobId::new([0xAB; 16]), 4096);
        for stream in listener.incoming() {
            answer(&stream.unwrap(), &mut server, &second).expect("a request of the protocol");
        }
    });
    let stop = Arc::new(AtomicBool::new(false));
    let settled = Arc::clone(&stop);
    let observer = move |line: &device_sim::Line| {
        settled.fetch_or(matches!(line.what, Happening::Settled { .. }), Ordering::Relaxed);
    };
    let timing = Timing { poll_interval_ms: 200, backoff_ms: (10, 100), ..Timing::default() };
    let mut device = Device::open(dir.path(), timing, 7, Some(Box::new(observer))).unwrap();
    let watched = Arc::clone(&stop);
    let running = std::thread::spawn(move || device.run(&watched));
    for _ in 0..600 {
        if running.is_finished() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(stop.load(Ordering::Relaxed), "{:?}", read_log(dir.path()));
    running.join().unwrap().unwrap();
    let log = read_log(dir.path()).unwrap();
    let confirmed = Happening::Reached { stage: "Confirmed".into(), progress: None };
    assert!(log.iter().any(|line| line.what == confirmed), "{log:?}");
    let booted = |line: &device_sim::Line| matches!(&line.what, Happening::Boot { version, .. } if version.starts_with("2.0.0"));
    assert!(log.iter().any(booted), "{log:?}");
}
