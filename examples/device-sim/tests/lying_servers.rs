//! HTTP servers that lie: a request ends in time and in bounded memory, and what is not an answer is not taken for one.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use device_sim::{HttpLink, LinkError};
use ota_manifest::JobId;
use ota_manifest::wire::{Down, Fetch, Object, Poll, Refusal, Up, encode};
use ota_manifest::{ManifestId, Order, SecurityVersion, Version};

const TIMEOUT: Duration = Duration::from_secs(2);

/// A server that answers every connection by `answer`, after it has read the request's head.
fn server(answer: impl Fn(&mut TcpStream) + Send + 'static) -> HttpLink {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 4096];
            let _ = stream.read(&mut head);
            answer(&mut stream);
        }
    });
    HttpLink::new(&format!("http://{address}"), "token", TIMEOUT)
}

/// A server that says these bytes and closes.
fn saying(head: &'static str, body: Vec<u8>) -> HttpLink {
    server(move |stream| {
        let _ = stream.write_all(head.as_bytes());
        let _ = stream.write_all(&body);
    })
}

/// Chunks 2 and 3.
fn fetch() -> Up {
    Up::Fetch(Fetch { job: JobId::new([7; 16]), image: 0, object: Object::Payload, first: 2, count: 2 })
}

fn poll() -> Up {
    Up::Poll(Poll {
        protocol: 1,
        version: Version::new(1, 0, 0),
        order: Order::default(),
        floor: SecurityVersion(0),
        running: ManifestId::NONE,
        bootloader: 1,
        hardware: 0,
    })
}

#[test]
fn range_that_is_honoured_is_the_control() {
    let head = "HTTP/1.1 206 OK\r\ncontent-range: bytes 8192-16383/100000\r\ncontent-length: 8192\r\n\r\n";
    let mut link = saying(head, vec![7; 8192]);
    let Ok(Down::Chunk { first: 2, bytes, .. }) = link.send(fetch()) else { panic!("no chunk") };
    assert_eq!(bytes, [7; 8192]);
}

#[test]
fn whole_object_in_answer_to_a_range_is_not_taken_for_the_range() {
    let mut link = saying("HTTP/1.1 200 OK\r\ncontent-length: 8192\r\n\r\n", vec![7; 8192]);
    assert!(matches!(link.send(fetch()), Err(LinkError::Status(200))));
}

#[test]
fn another_range_than_was_asked_for_is_refused() {
    for range in ["bytes 0-8191/100000", "bytes 81920-90111/100000", "items 8192-16383/100000", "8192"] {
        let head = format!("HTTP/1.1 206 OK\r\ncontent-range: {range}\r\ncontent-length: 8192\r\n\r\n");
        let mut link = saying(head.leak(), vec![7; 8192]);
        assert!(matches!(link.send(fetch()), Err(LinkError::Status(206))), "{range}");
    }
}

#[test]
fn body_that_ends_early_is_an_error_and_no_answer() {
    let head = "HTTP/1.1 206 OK\r\ncontent-range: bytes 8192-16383/100000\r\ncontent-length: 8192\r\n\r\n";
    let mut link = saying(head, vec![7; 100]);
    assert!(matches!(link.send(fetch()), Err(LinkError::Http(_))));
}

#[test]
fn endless_body_ends_after_64_kib() {
    let mut link = server(|stream| {
        let head = "HTTP/1.1 206 OK\r\ncontent-range: bytes 8192-16383/100000\r\nconnection: close\r\n\r\n";
        let _ = stream.write_all(head.as_bytes());
        while stream.write_all(&[7; 4096]).is_ok() {}
    });
    let started = Instant::now();
    assert!(matches!(link.send(fetch()), Err(LinkError::Http(_))));
    assert!(started.elapsed() < TIMEOUT * 2);
}

#[test]
fn body_that_drips_and_a_server_that_says_nothing_end_with_the_timeout() {
    for drips in [true, false] {
        let mut link = server(move |stream| {
            let head = "HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n";
            let _ = stream.write_all(if drips { head.as_bytes() } else { b"" });
            while stream.write_all(if drips { &[7] } else { &[] }).is_ok() {
                std::thread::sleep(Duration::from_millis(50));
                if !drips {
                    std::thread::sleep(TIMEOUT * 4);
                }
            }
        });
        let started = Instant::now();
        assert!(matches!(link.send(poll()), Err(LinkError::Http(_))));
        assert!(started.elapsed() < TIMEOUT * 2, "{:?}", started.elapsed());
    }
}

#[test]
fn page_of_a_proxy_is_no_message_of_the_protocol() {
    let page = b"<html>Please log in</html>".to_vec();
    let mut link = saying("HTTP/1.1 200 OK\r\ncontent-length: 26\r\n\r\n", page.clone());
    assert!(matches!(link.send(poll()), Err(LinkError::Malformed)));
    let mut link = saying("HTTP/1.1 503 Busy\r\nretry-after: 999999999\r\ncontent-length: 26\r\n\r\n", page);
    assert!(matches!(link.send(poll()), Err(LinkError::Status(503))));
}

#[test]
fn refusal_says_more_than_its_status() {
    let mut buffer = [0; 64];
    let refused = Down::Refused { refusal: Refusal::Busy, retry_after_ms: u32::MAX };
    let body = encode(&refused, &mut buffer).unwrap().to_vec();
    let head = format!("HTTP/1.1 503 Busy\r\ncontent-length: {}\r\n\r\n", body.len());
    let mut link = saying(head.leak(), body);
    // How long that is waited for, the agent bounds.
    assert!(matches!(link.send(poll()), Ok(Down::Refused { refusal: Refusal::Busy, .. })));
}
