//! HTTP servers that lie, and HTTPS servers that are others: a request ends in time and in bounded memory, what is not an
//! answer is not taken for one, and the device's token goes to its own server alone.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use ota_agent::Exchange;
use ota_agent::linux::{AddressError, HttpLink, LinkError};
use ota_manifest::JobId;
use ota_manifest::wire::{Down, Fetch, Object, Poll, Question, Refusal, Up, encode};
use ota_manifest::{ManifestId, Nonce, Order, SecurityVersion, Version};
use ota_slots::sim::Lab;

const TIMEOUT: Duration = Duration::from_secs(2);
const JOB: JobId = JobId::new([7; 16]);

/// Serves every connection by `answer`, after it has read the request's head, which it shows.
fn listen(answer: impl Fn(&mut TcpStream) + Send + 'static) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, heads) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = tell.send(head(&mut stream));
            answer(&mut stream);
        }
    });
    (address, heads)
}

/// A request's head and what of its body came along.
fn head(stream: &mut impl Read) -> String {
    let (mut head, mut bytes) = (String::new(), [0; 4096]);
    while !head.contains("\r\n\r\n") {
        match stream.read(&mut bytes) {
            Ok(0) | Err(_) => break,
            Ok(read) => head.push_str(&String::from_utf8_lossy(&bytes[..read])),
        }
    }
    head
}

/// A link to a server that answers so. It has been offered a job with chunks of 1024 bytes.
fn server(answer: impl Fn(&mut TcpStream) + Send + 'static) -> HttpLink {
    link_to(listen(answer).0)
}

fn link_to(address: SocketAddr) -> HttpLink {
    let mut link = HttpLink::new(&format!("http://{address}"), "token", TIMEOUT).unwrap();
    link.hear(&Down::Offer { job: JOB, attempt: 1, envelope: &Lab::new().release(2, 300_000).envelope });
    link
}

/// A server that says these bytes and closes.
fn saying(head: &str, body: Vec<u8>) -> HttpLink {
    let head = head.to_owned();
    server(move |stream| {
        let _ = stream.write_all(head.as_bytes());
        let _ = stream.write_all(&body);
    })
}

/// Chunks 2 and 3: bytes 2048 to 4095.
const FETCH: Up = Up::Fetch(Fetch { job: JOB, image: 0, object: Object::Payload, first: 2, count: 2 });
const PART: &str = "HTTP/1.1 206 OK\r\ncontent-range: bytes 2048-4095/300000\r\n";

const ASK: Up = Up::Ask(Question { nonce: Nonce::new([3; 16]), trust: 1 });

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

/// The same answer with its length.
fn message(status: &str, down: &Down<'_>) -> Vec<u8> {
    let mut buffer = vec![0; 10_000];
    let body = encode(down, &mut buffer).unwrap();
    [format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

#[test]
fn each_message_takes_the_path_and_the_method_that_are_documented() {
    let answer = message("200 OK", &Down::Ack { seq: 7 });
    let (address, heads) = listen(move |stream| stream.write_all(&answer).unwrap());
    let mut link = link_to(address);
    let leaves = Up::Fetch(Fetch { job: JOB, image: 0, object: Object::Leaves, first: 1, count: 4 });
    let path = format!("/device/v1/jobs/{JOB}/images/0");
    for (up, line, range) in [
        (poll(), "POST /device/v1/poll HTTP/1.1".into(), None),
        (ASK, "POST /device/v1/ask HTTP/1.1".into(), None),
        (Up::Trust { version: 3 }, "GET /device/v1/trust/3 HTTP/1.1".into(), None),
        (FETCH, format!("GET {path}/payload HTTP/1.1"), Some("range: bytes=2048-4095")),
        (leaves, format!("GET {path}/leaves HTTP/1.1"), Some("range: bytes=32-159")),
    ] {
        let _ = link.exchange(&up);
        let head = heads.recv_timeout(TIMEOUT).unwrap();
        assert!(head.starts_with(&line), "{head}");
        let lines: Vec<_> = head.lines().map(str::to_lowercase).collect();
        assert!(lines.iter().any(|line| line == "authorization: bearer token"), "{head}");
        assert!(lines.iter().any(|line| line == "accept-encoding: identity"), "{head}");
        assert_eq!(lines.iter().find(|line| line.starts_with("range")).map(String::as_str), range, "{head}");
    }
}

#[test]
fn connection_that_the_server_has_closed_meanwhile_is_made_anew() {
    let answer = message("200 OK", &Down::Ack { seq: 7 });
    let (address, heads) = listen(move |stream| stream.write_all(&answer).unwrap());
    let mut link = link_to(address);
    for _ in 0..5 {
        assert_eq!(link.exchange(&poll()).unwrap(), Down::Ack { seq: 7 });
        // Without a word about it, as a server does whose patience for idle connections has ended.
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(heads.try_iter().count(), 5);
}

#[test]
fn range_that_is_honoured_is_the_control() {
    let mut link = saying(&format!("{PART}content-length: 2048\r\n\r\n"), vec![7; 2048]);
    let Ok(Down::Chunk { first: 2, bytes, .. }) = link.exchange(&FETCH) else { panic!("no chunk") };
    assert_eq!(bytes, [7; 2048]);
}

#[test]
fn window_of_more_than_64_kib_arrives_in_one_piece() {
    let fetch = Up::Fetch(Fetch { job: JOB, image: 0, object: Object::Payload, first: 0, count: 256 });
    let head = "HTTP/1.1 206 OK\r\ncontent-range: bytes 0-262143/300000\r\ncontent-length: 262144\r\n\r\n";
    let mut link = saying(head, vec![7; 262_144]);
    assert!(matches!(link.exchange(&fetch), Ok(Down::Chunk { bytes, .. }) if bytes.len() == 262_144));
}

#[test]
fn offer_with_the_longest_post_quantum_envelope_arrives() {
    let envelope = vec![9; 4096];
    let answer = message("200 OK", &Down::Offer { job: JOB, attempt: 1, envelope: &envelope });
    let mut link = server(move |stream| stream.write_all(&answer).unwrap());
    let answered = link.exchange(&poll());
    assert!(matches!(answered, Ok(Down::Offer { envelope: sent, .. }) if sent == envelope));
}

#[test]
fn trust_document_arrives_whole_or_not_at_all() {
    let ask = |head: &str, len: usize| {
        let mut link = saying(&format!("{head}content-length: {len}\r\n\r\n"), vec![7; len]);
        match link.exchange(&Up::Trust { version: 2 }) {
            Ok(Down::Trust { envelope }) => Some(envelope.to_vec()),
            Ok(other) => panic!("{other:?}"),
            Err(_) => None,
        }
    };
    assert_eq!(ask("HTTP/1.1 200 OK\r\n", 8192), Some(vec![7; 8192]));
    assert_eq!(ask("HTTP/1.1 200 OK\r\n", 100_000), None, "longer than any");
    assert_eq!(ask(PART, 2048), None, "a part");
}

#[test]
fn chunks_of_a_job_that_was_not_offered_are_not_asked_for() {
    let (address, heads) = listen(|_| ());
    let mut link = HttpLink::new(&format!("http://{address}"), "token", TIMEOUT).unwrap();
    assert!(matches!(link.exchange(&FETCH), Err(LinkError::NotOffered)));
    let mut link = link_to(address);
    let Up::Fetch(fetch) = FETCH else { panic!() };
    for other in [
        Fetch { job: JobId::new([8; 16]), ..fetch },
        Fetch { image: 2, ..fetch },
        Fetch { image: 255, ..fetch },
        Fetch { count: 0, ..fetch },
    ] {
        assert!(matches!(link.exchange(&Up::Fetch(other)), Err(LinkError::NotOffered)), "{other:?}");
    }
    assert!(heads.try_recv().is_err(), "nobody was asked");
}

#[test]
fn whole_object_in_answer_to_a_range_is_not_taken_for_the_range() {
    let mut link = saying("HTTP/1.1 200 OK\r\ncontent-length: 2048\r\n\r\n", vec![7; 2048]);
    assert!(matches!(link.exchange(&FETCH), Err(LinkError::Status(200))));
}

#[test]
fn another_range_than_was_asked_for_is_refused() {
    for range in
        ["bytes 0-2047/300000", "bytes 4096-6143/300000", "items 2048-4095/300000", "2048", "bytes */300000"]
    {
        let head = format!("HTTP/1.1 206 OK\r\ncontent-range: {range}\r\ncontent-length: 2048\r\n\r\n");
        assert!(matches!(saying(&head, vec![7; 2048]).exchange(&FETCH), Err(LinkError::Range)), "{range}");
    }
    let mut without = saying("HTTP/1.1 206 OK\r\ncontent-length: 2048\r\n\r\n", vec![7; 2048]);
    assert!(matches!(without.exchange(&FETCH), Err(LinkError::Range)));
}

#[test]
fn body_that_ends_early_is_an_error_and_no_answer() {
    let mut link = saying(&format!("{PART}content-length: 2048\r\n\r\n"), vec![7; 100]);
    assert!(matches!(link.exchange(&FETCH), Err(LinkError::Http(_))));
    // Without a length, only the range tells.
    let mut link = saying(&format!("{PART}connection: close\r\n\r\n"), vec![7; 2047]);
    assert!(matches!(link.exchange(&FETCH), Err(LinkError::Range)));
}

#[test]
fn body_that_is_longer_than_its_range_is_an_error_and_no_answer() {
    for framing in ["content-length: 2049", "connection: close"] {
        let mut link = saying(&format!("{PART}{framing}\r\n\r\n"), vec![7; 2049]);
        assert!(matches!(link.exchange(&FETCH), Err(LinkError::Http(_))), "{framing}");
    }
}

#[test]
fn endless_body_ends_where_the_range_or_the_longest_message_does() {
    for (up, head) in [(FETCH, PART), (poll(), "HTTP/1.1 200 OK\r\n")] {
        let mut link = server(move |stream| {
            let _ = stream.write_all(format!("{head}connection: close\r\n\r\n").as_bytes());
            while stream.write_all(&[7; 4096]).is_ok() {}
        });
        let started = Instant::now();
        assert!(matches!(link.exchange(&up), Err(LinkError::Http(_))));
        assert!(started.elapsed() < TIMEOUT * 2);
    }
}

#[test]
fn answer_that_drips_and_a_server_that_says_nothing_end_with_the_timeout() {
    let (head, dripping_head) =
        ("HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n", "HTTP/1.1 200 OK\r\nx: ");
    for (start, drop) in [(head, &[7][..]), (dripping_head, b"y"), ("", b"")] {
        let mut link = server(move |stream| {
            let _ = stream.write_all(start.as_bytes());
            let until = Instant::now() + TIMEOUT * 4;
            while Instant::now() < until && stream.write_all(drop).is_ok() {
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let started = Instant::now();
        assert!(matches!(link.exchange(&poll()), Err(LinkError::Http(_))), "{start}");
        assert!(started.elapsed() < TIMEOUT * 2, "{:?}", started.elapsed());
    }
}

#[test]
fn head_without_an_end_is_an_error_long_before_the_timeout() {
    for endless in [vec![b'x'; 4096], b"x: y\r\n".repeat(700)] {
        let (address, _) = listen(move |stream| {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ny: ");
            while stream.write_all(&endless).is_ok() {}
        });
        let mut patient = HttpLink::new(&format!("http://{address}"), "token", TIMEOUT * 30).unwrap();
        let started = Instant::now();
        assert!(matches!(patient.exchange(&poll()), Err(LinkError::Http(_))));
        assert!(started.elapsed() < TIMEOUT * 10, "{:?}", started.elapsed());
    }
}

#[test]
fn redirection_is_not_followed_so_that_the_token_stays_with_its_server() {
    let (elsewhere, heads) = listen(|_| ());
    for status in [301, 302, 303, 307, 308] {
        let head = format!(
            "HTTP/1.1 {status} Moved\r\nlocation: http://{elsewhere}/device/v1/poll\r\ncontent-length: 0\r\n\r\n"
        );
        for up in [poll(), FETCH, Up::Trust { version: 2 }] {
            let mut link = saying(&head, vec![]);
            assert!(matches!(link.exchange(&up), Err(LinkError::Status(found)) if found == status));
        }
    }
    assert!(heads.try_recv().is_err(), "nobody came here");
}

#[test]
fn body_that_is_compressed_though_nobody_asked_is_refused() {
    for encoding in ["gzip", "deflate", "br", "identity, gzip"] {
        let coded = format!("content-encoding: {encoding}\r\ncontent-length: 2048\r\n\r\n");
        let mut link = saying(&format!("{PART}{coded}"), vec![7; 2048]);
        assert!(matches!(link.exchange(&FETCH), Err(LinkError::Encoded)), "{encoding}");
        let mut link = saying(&format!("HTTP/1.1 200 OK\r\n{coded}"), vec![7; 2048]);
        assert!(matches!(link.exchange(&poll()), Err(LinkError::Encoded)), "{encoding}");
    }
    let mut link =
        saying(&format!("{PART}content-encoding: identity\r\ncontent-length: 2048\r\n\r\n"), vec![7; 2048]);
    assert!(link.exchange(&FETCH).is_ok());
}

#[test]
fn page_of_a_proxy_is_no_message_of_the_protocol() {
    let page = b"<html>Please log in</html>".to_vec();
    let mut link = saying("HTTP/1.1 200 OK\r\ncontent-length: 26\r\n\r\n", page.clone());
    assert!(matches!(link.exchange(&poll()), Err(LinkError::Malformed)));
    for status in [400, 401, 403, 404, 500, 502] {
        let head = format!("HTTP/1.1 {status} No\r\ncontent-length: 26\r\n\r\n");
        let answer = saying(&head, page.clone()).exchange(&poll()).map(|_| ());
        assert!(matches!(answer, Err(LinkError::Status(found)) if found == status), "{answer:?}");
    }
}

#[test]
fn busy_server_is_left_alone_as_long_as_it_says_and_at_most_for_a_day() {
    let busy = |status: u16, headers: &str, up: &Up| {
        let head = format!("HTTP/1.1 {status} Busy\r\n{headers}content-length: 4\r\n\r\n");
        match saying(&head, b"busy".to_vec()).exchange(up) {
            Ok(Down::Refused { refusal: Refusal::Busy, retry_after_ms }) => retry_after_ms,
            other => panic!("{other:?}"),
        }
    };
    let date = "date: Sun, 06 Nov 1994 08:49:37 GMT\r\nretry-after: Sun, 06 Nov 1994 08:50:37 GMT\r\n";
    for status in [429, 503] {
        for up in [poll(), FETCH, Up::Trust { version: 2 }] {
            assert_eq!(busy(status, "retry-after: 120\r\n", &up), 120_000);
            assert_eq!(busy(status, date, &up), 60_000);
            assert_eq!(busy(status, "retry-after: 999999999999999999999\r\n", &up), 86_400_000);
            assert_eq!(busy(status, "", &up), 0, "as the device is configured");
        }
    }
}

#[test]
fn refusal_says_more_than_its_status() {
    let refused = Down::Refused { refusal: Refusal::Busy, retry_after_ms: u32::MAX };
    for up in [poll(), FETCH] {
        let answer = message("503 Busy\r\nretry-after: 5", &refused);
        // How long that is waited for, the agent bounds.
        assert_eq!(server(move |stream| stream.write_all(&answer).unwrap()).exchange(&up).unwrap(), refused);
    }
    let answer =
        message("503 Busy\r\nretry-after: 5", &Down::Refused { refusal: Refusal::Busy, retry_after_ms: 0 });
    let answered = Down::Refused { refusal: Refusal::Busy, retry_after_ms: 5000 };
    assert_eq!(server(move |stream| stream.write_all(&answer).unwrap()).exchange(&poll()).unwrap(), answered);
    let gone = Down::Refused { refusal: Refusal::Gone, retry_after_ms: 0 };
    for status in [404, 410] {
        let head = format!("HTTP/1.1 {status} Gone\r\ncontent-length: 0\r\n\r\n");
        for up in [FETCH, Up::Trust { version: 2 }] {
            assert_eq!(saying(&head, vec![]).exchange(&up).unwrap(), gone);
        }
    }
}

#[test]
fn addresses_and_tokens_that_can_be_none_are_refused_and_tokens_are_not_shown() {
    let open = |server: &str, token: &str| HttpLink::new(server, token, TIMEOUT);
    let link = open("http://127.0.0.1:8080/ota/", "se.cret").unwrap();
    assert!(!format!("{link:?}").contains("cret"), "{link:?}");
    for bad in [
        "",
        "127.0.0.1:8080",
        "ftp://server",
        "mqtts://server",
        "http://",
        "http://user:pass@server",
        "http://a b",
        "http://server?x",
        "http://server/#x",
    ] {
        assert!(matches!(open(bad, "token"), Err(AddressError::Server(_))), "{bad}");
    }
    for bad in ["", "to ken", "token\r\nx: y", "tök"] {
        assert!(matches!(open("http://server", bad), Err(AddressError::Token)), "{bad}");
    }
    for secure in ["https://server", "HTTPS://server"] {
        assert!(matches!(open(secure, "token"), Err(AddressError::NoTls(_))), "{secure}");
    }
}

/// HTTPS: who is believed, and who is not.
mod tls {
    use std::sync::Arc;

    use ota_agent::linux::{Tls, TlsError};
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    };
    use rustls::pki_types::PrivateKeyDer;
    use rustls::server::{ServerConfig, WebPkiClientVerifier};
    use rustls::{RootCertStore, ServerConnection, StreamOwned};

    use super::*;

    type Authority = CertifiedIssuer<'static, KeyPair>;

    fn authority() -> Authority {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    fn issue(by: &Authority, name: &str, usage: ExtendedKeyUsagePurpose) -> (rcgen::Certificate, KeyPair) {
        let mut params = CertificateParams::new(vec![name.into()]).unwrap();
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, by).unwrap(), key)
    }

    /// A server with a certificate for `name` that acknowledges everything, to clients of `clients` alone if there is one.
    fn serve(by: &Authority, name: &str, clients: Option<&Authority>) -> u16 {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(clients) => {
                let mut roots = RootCertStore::empty();
                roots.add(clients.der().clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let (certificate, key) = issue(by, name, ExtendedKeyUsagePurpose::ServerAuth);
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let config = Arc::new(builder.with_single_cert(vec![certificate.der().clone()], key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut stream = StreamOwned::new(connection, stream.unwrap());
                if !head(&mut stream).is_empty() {
                    let _ = stream.write_all(&message("200 OK", &Down::Ack { seq: 7 }));
                    stream.conn.send_close_notify();
                    let _ = stream.flush();
                }
            }
        });
        port
    }

    fn ask(port: u16, tls: &Tls) -> Result<(), LinkError> {
        let server = format!("https://localhost:{port}");
        let mut link = HttpLink::with_tls(&server, "token", TIMEOUT, tls).unwrap();
        let answer = link.exchange(&poll())?;
        assert_eq!(answer, Down::Ack { seq: 7 });
        Ok(())
    }

    #[test]
    fn server_of_the_own_authority_is_believed_and_no_other() {
        let (ours, other) = (authority(), authority());
        let tls = Tls::new(ours.pem().as_bytes()).unwrap();
        ask(serve(&ours, "localhost", None), &tls).unwrap();
        let refused = |port| matches!(ask(port, &tls), Err(LinkError::Http(_)));
        assert!(refused(serve(&other, "localhost", None)), "of another authority");
        assert!(refused(serve(&ours, "elsewhere", None)), "of another name");
        let bundle = other.pem() + &ours.pem();
        ask(serve(&ours, "localhost", None), &Tls::new(bundle.as_bytes()).unwrap()).unwrap();
    }

    #[test]
    fn device_shows_its_certificate_to_a_server_that_asks_for_one() {
        let ours = authority();
        let port = serve(&ours, "localhost", Some(&ours));
        let (certificate, key) = issue(&ours, "device", ExtendedKeyUsagePurpose::ClientAuth);
        let (ca, certificate, key) = (ours.pem(), certificate.pem(), key.serialize_pem());
        let with = |certificate: &str, key: &str| {
            Tls::with_certificate(ca.as_bytes(), certificate.as_bytes(), key.as_bytes())
        };
        ask(port, &with(&certificate, &key).unwrap()).unwrap();
        assert!(ask(port, &Tls::new(ca.as_bytes()).unwrap()).is_err(), "without one");
        let strange = authority();
        let (unknown, its_key) = issue(&strange, "device", ExtendedKeyUsagePurpose::ClientAuth);
        assert!(ask(port, &with(&unknown.pem(), &its_key.serialize_pem()).unwrap()).is_err(), "a stranger's");
        assert!(matches!(with(&certificate, &its_key.serialize_pem()), Err(TlsError::NotAPair)));
        assert!(matches!(with("", &key), Err(TlsError::Certificate)));
        assert!(matches!(with(&certificate, ""), Err(TlsError::Key)));
        assert!(matches!(Tls::new(b""), Err(TlsError::Authority)));
        assert!(!format!("{:?}", with(&certificate, &key).unwrap()).contains("MII"));
    }

    #[test]
    fn server_without_tls_gets_no_token_from_a_device_that_wants_it() {
        let (address, heads) = listen(|stream| stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap());
        let tls = Tls::new(authority().pem().as_bytes()).unwrap();
        assert!(ask(address.port(), &tls).is_err());
        assert!(!heads.recv_timeout(TIMEOUT * 2).unwrap_or_default().contains("token"));
    }
}
