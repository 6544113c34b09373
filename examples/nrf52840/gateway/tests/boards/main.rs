//! Simulated boards on real ptys, carried to a real server.
#![cfg(unix)]

mod desk;
#[path = "../../../../linux-server/tests/devices/site.rs"]
#[expect(dead_code, reason = "some of it serves the server's own tests alone")]
mod site;
mod socket;

use std::fs::{self, Permissions};
use std::io::{BufRead, ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use desk::{Desk, token};
use device_sim::firmware::Behaviour;
use device_sim::{LAYOUT, WINDOW_BYTES};
use gateway::{Board, Event, Gateway, OpenError, SerialLine, Trouble};
use ota_manifest::wire::stream::{Decoder, encode_frame, frame};
use ota_manifest::wire::{Down, PROTOCOL, Poll, Refusal, Up, decode};
use ota_manifest::{ManifestId, Order, SecurityVersion, Version};
use serde_json::{Value, json};
use site::{Device, Site, SwitchedOn, wait};
use socket::{Quality, Socket};
use tempfile::TempDir;

/// Ports, each in a folder that is one board's `/dev`.
struct Ports(TempDir);

impl Ports {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn socket(&self, name: &str) -> Socket {
        Socket::new(&self.0.path().join(name))
    }
}

/// Switches a board on whose only way to anybody is the socket.
fn switch_on(device: &Device, socket: &Socket, line: Quality) -> SwitchedOn {
    let socket = socket.clone();
    device.switch_on_with(move |device| {
        device.wire(move || Box::new(socket.link(WINDOW_BYTES, LAYOUT.envelope_limit(), line)));
    })
}

fn is_idle(event: &Event) -> bool {
    matches!(event, Event::Answered { answer, .. } if answer == "nothing to do")
}

fn confirms(site: &Site, device: &Device, number: u16) {
    let campaign = site.roll_out(number, Behaviour::Healthy);
    site.wait_for_job(campaign, device, "confirmed");
}

#[test]
fn board_on_a_pty_is_updated_and_the_log_tells_how() {
    let (site, ports) = (Site::open(|_| ()), Ports::new());
    let (device, socket) = (site.make("board", |_| ()), ports.socket("ttyACM0"));
    let _on = switch_on(&device, &socket, Quality::Good);
    let desk = Desk::open(&site, &socket.port, &token(&device));
    confirms(&site, &device, 2);
    assert_eq!(device.boots(), ["1.0.0 Confirmed 1", "2.0.0 Trial 1"]);
    desk.wait_for(|event| matches!(event, Event::Answered { asked, .. } if asked == "reports: confirmed"));
    let lines = desk.lines().join("\n");
    for told in [
        "ttyACM0 is open, 115200 baud",
        "runs 1.0.0 and asks for work -> offer of 2.0.0, job ",
        "wants chunks 0 to 3 -> 16384 bytes of it (16",
        " 81 %",
        "wants chunks 4 to 4 -> 3648 bytes of it",
        " 100 %",
        "reports: runs it on trial -> stored",
    ] {
        assert!(lines.contains(told), "{told} is not in\n{lines}");
    }
    assert_eq!(desk.troubles(), []);
}

#[test]
fn boards_are_served_side_by_side_and_one_that_fails_disturbs_nobody() {
    let (site, ports) = (Site::open(|_| ()), Ports::new());
    let boards = ["left", "right"].map(|name| (site.make(name, |_| ()), ports.socket(name)));
    let _on = boards.each_ref().map(|(device, socket)| switch_on(device, socket, Quality::Good));
    let _desks = boards.each_ref().map(|(device, socket)| Desk::open(&site, &socket.port, &token(device)));
    let (noisy, absent) = (ports.socket("noisy"), ports.0.path().join("absent"));
    let garbage = Desk::impatient(&site, &noisy.port, "whatever");
    let nothing = Desk::open(&site, &absent, "whatever");
    noisy.say(&[0xF0; 200]);
    let campaign = site.roll_out(2, Behaviour::Healthy);
    for (device, _) in &boards {
        site.wait_for_job(campaign, device, "confirmed");
    }
    garbage.wait_for(|event| matches!(event, Event::Trouble(Trouble::Garbage { .. })));
    nothing.wait_for(|event| matches!(event, Event::NotOpened { .. }));
}

#[test]
fn noise_and_cut_frames_lose_nothing() {
    let (site, ports) = (Site::open(|_| ()), Ports::new());
    let (device, socket) = (site.make("board", |_| ()), ports.socket("board"));
    let _on = switch_on(&device, &socket, Quality::Bad);
    let desk = Desk::open(&site, &socket.port, &token(&device));
    confirms(&site, &device, 2);
    desk.wait_for(|event| matches!(event, Event::Text { text } if text == "boot: slot B on trial"));
    assert_eq!(desk.troubles(), []);
}

#[test]
fn port_that_goes_away_and_comes_back_is_opened_again() {
    let (site, ports) = (Site::open(|_| ()), Ports::new());
    let (device, socket) = (site.make("board", |_| ()), ports.socket("board"));
    let _on = switch_on(&device, &socket, Quality::Good);
    let desk = Desk::open(&site, &socket.port, &token(&device));
    desk.wait_for(is_idle);
    socket.unplug();
    desk.wait_for(|event| matches!(event, Event::Lost { .. }));
    desk.wait_for(|event| matches!(event, Event::NotOpened { why } if why.contains("is not there")));
    std::thread::sleep(Duration::from_millis(500));
    socket.plug();
    confirms(&site, &device, 2);
    let events = desk.events();
    let absent = events.iter().filter(|event| matches!(event, Event::NotOpened { .. }));
    assert_eq!(absent.count(), 1, "said once, however long it takes");
    assert_eq!(events.iter().filter(|event| matches!(event, Event::Opened { .. })).count(), 2);
}

#[test]
fn server_that_goes_away_and_comes_back_is_found_again() {
    let (mut site, ports) = (Site::open(|_| ()), Ports::new());
    let (device, socket) = (site.make("board", |_| ()), ports.socket("board"));
    let _on = switch_on(&device, &socket, Quality::Good);
    let desk = Desk::open(&site, &socket.port, &token(&device));
    desk.wait_for(is_idle);
    site.restart(|_| {
        desk.wait_for(|event| matches!(event, Event::Unanswered { why, .. } if why.contains("refused")));
    });
    confirms(&site, &device, 2);
}

#[test]
fn gateway_that_starts_in_the_middle_of_a_download_lets_it_go_on() {
    let (site, ports) = (Site::open(|_| ()), Ports::new());
    let (device, socket) = (site.make("board", |_| ()), ports.socket("board"));
    let _on = switch_on(&device, &socket, Quality::Good);
    let in_the_middle =
        |event: &Event| matches!(event, Event::Answered { progress: Some(p), .. } if p.done < p.total);
    let first = Desk::until(&site, &socket.port, &token(&device), move |line| in_the_middle(&line.event));
    let campaign = site.roll_out(2, Behaviour::Healthy);
    let seen = first.ended();
    assert!(in_the_middle(seen.last().unwrap()), "{seen:?}");
    let second = Desk::open(&site, &socket.port, &token(&device));
    site.wait_for_job(campaign, &device, "confirmed");
    let started_over = second
        .events()
        .iter()
        .any(|event| matches!(event, Event::Answered { asked, .. } if asked.starts_with("wants chunks 0")));
    assert!(!started_over, "what was in flash is not fetched again: {:#?}", second.lines());
    let sent_back =
        |event: &Event| matches!(event, Event::Answered { answer, .. } if answer == "refused: Gone");
    assert!(second.events().iter().any(sent_back), "{:#?}", second.lines());
}

#[test]
fn token_that_the_server_refuses_is_named_once_with_what_to_do() {
    let (site, ports) = (Site::open(|_| ()), Ports::new());
    let (device, socket) = (site.make("board", |_| ()), ports.socket("board"));
    let _on = switch_on(&device, &socket, Quality::Good);
    let desk = Desk::open(&site, &socket.port, "another");
    let refused =
        |event: &Event| matches!(event, Event::Answered { answer, .. } if answer == "refused: Unauthentic");
    wait(|| {
        let times = desk.events().iter().filter(|event| refused(event)).count();
        if times > 2 { Ok(()) } else { Err(format!("{:#?}", desk.lines())) }
    });
    assert_eq!(desk.troubles(), [Trouble::TokenRefused]);
    assert!(desk.lines().iter().any(|line| line.contains("otactl device enrol")), "{:#?}", desk.lines());
}

#[test]
fn silence_garbage_and_text_are_told_apart() {
    let (site, ports) = (Site::open(|_| ()), Ports::new());
    let sockets = ["silent", "fast", "console"].map(|name| ports.socket(name));
    let desks = sockets.each_ref().map(|socket| Desk::impatient(&site, &socket.port, "token"));
    let [_, fast, console] = &sockets;
    // What 115,200 baud look like to a port that is set to another rate.
    fast.say(&[0xFE, 0x00, 0x80, 0xF8].repeat(40));
    console.say(b"Debian GNU/Linux 12 console\r\n\r\nlogin: ");
    let told = desks.each_ref().map(|desk| {
        desk.wait_for(|event| matches!(event, Event::Trouble(_)));
        desk.troubles()
    });
    let [silent, fast, console] = &told;
    assert!(matches!(silent[..], [Trouble::Silent { .. }]), "{silent:?}");
    assert!(matches!(fast[..], [Trouble::Garbage { bytes: 160, broken: 40, baud: 115_200 }]), "{fast:?}");
    assert!(matches!(console[..], [Trouble::Text { bytes: 38 }]), "{console:?}");
    assert!(fast[0].to_string().contains("--baud"));
}

#[test]
fn program_carries_boards_of_a_file_and_of_its_command_line_and_writes_json() {
    let (site, ports) = (Site::open(|_| ()), Ports::new());
    let boards = ["left", "right"].map(|name| (site.make(name, |_| ()), ports.socket(name)));
    let _on = boards.each_ref().map(|(device, socket)| switch_on(device, socket, Quality::Good));
    let [(left, left_port), (right, right_port)] = &boards;
    let file = ports.0.path().join("boards.json");
    let entry = json!({ "name": "on the left", "port": left_port.port, "token": token(left) });
    fs::write(&file, json!({ "boards": [entry] }).to_string()).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_gateway"))
        .args(["--json", "--server", &site.server().url(), "--boards"])
        .arg(&file)
        .arg("--board")
        .arg(format!("{}={}", right_port.port.display(), token(right)))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let campaign = site.roll_out(2, Behaviour::Healthy);
    for (device, _) in &boards {
        site.wait_for_job(campaign, device, "confirmed");
    }
    program.kill().unwrap();
    let said = program.wait_with_output().unwrap().stdout;
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    for board in ["on the left", "right"] {
        let of = |event: &str| lines.iter().find(|line| line["board"] == board && line["event"] == event);
        assert_eq!(of("opened").unwrap()["baud"], layout::BAUD);
        assert!(of("answered").unwrap()["text"].as_str().unwrap().contains(" -> "));
        let done = json!({ "done": 20_032, "total": 20_032 });
        assert!(lines.iter().any(|line| line["board"] == board && line["progress"] == done), "{lines:#?}");
    }
    assert!(!String::from_utf8(said).unwrap().contains(&token(right)), "a token is nobody's to read");
}

/// A port that has one question in it, and never room for an answer.
struct Stuck<'s> {
    question: &'s [u8],
    stop: &'s AtomicBool,
    reads: usize,
}

impl Read for Stuck<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.reads += 1;
        self.stop.store(self.reads > 3, Ordering::Relaxed);
        if self.question.is_empty() { Err(ErrorKind::TimedOut.into()) } else { self.question.read(into) }
    }
}

impl Write for Stuck<'_> {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn answer_that_nobody_takes_is_given_up_and_the_board_stays_served() {
    let site = Site::open(|_| ());
    let gateway = Gateway::new(&site.server().url(), None).unwrap();
    let board = Board::new("board", &token(&site.make("board", |_| ())));
    let (mut memory, stop, mut events) = ([0; 64], AtomicBool::new(false), Vec::new());
    let question = encode_frame(&Up::Trust { version: 2 }, &mut memory).unwrap();
    let port = Stuck { question, stop: &stop, reads: 0 };
    gateway.serve(port, &board, &stop, |line| events.push(line.event)).unwrap();
    assert!(matches!(events[..], [Event::Answered { .. }, Event::NotTaken { bytes: 10 }]), "{events:?}");
}

/// A board at a socket pair, by hand.
fn conversation(site: &Site, asked: &[&[u8]], answers: usize) -> (Vec<Vec<u8>>, Vec<Event>) {
    let token = token(&site.make("by hand", |_| ()));
    let gateway = Gateway::new(&site.server().url(), None).unwrap();
    let (mut board, port) = UnixStream::pair().unwrap();
    for end in [&board, &port] {
        end.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    }
    let (stop, mut events, mut got) = (AtomicBool::new(false), Vec::new(), Vec::new());
    std::thread::scope(|scope| {
        let gone = scope.spawn(|| {
            gateway.serve(port, &Board::new("board", &token), &stop, |line| events.push(line.event))
        });
        asked.iter().for_each(|bytes| board.write_all(bytes).unwrap());
        let (mut memory, mut buffer) = ([0; 4096], [0; 64]);
        let mut decoder = Decoder::new(&mut memory);
        while got.len() < answers {
            let read = match board.read(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                read => read.unwrap(),
            };
            let mut bytes = &buffer[..read];
            while let Some(message) = decoder.feed(&mut bytes) {
                got.push(message.to_vec());
            }
        }
        // Anything beyond what is expected would be here now.
        std::thread::sleep(Duration::from_millis(50));
        stop.store(true, Ordering::Relaxed);
        gone.join().unwrap().unwrap();
        if let Ok(more @ 1..) = board.read(&mut buffer) {
            got.push(buffer[..more].to_vec());
        }
    });
    (got, events)
}

fn troubles(events: &[Event]) -> Vec<&Event> {
    events.iter().filter(|event| matches!(event, Event::Trouble(_))).collect()
}

#[test]
fn each_question_has_its_answer_also_when_several_arrive_at_once_or_byte_by_byte() {
    let site = Site::open(|_| ());
    let mut memory = [0; 64];
    let asked = encode_frame(&Up::Trust { version: 2 }, &mut memory).unwrap().to_vec();
    let twice = asked.repeat(2);
    let pieces: Vec<&[u8]> = asked.chunks(1).chain([&twice[..]]).collect();
    let (got, events) = conversation(&site, &pieces, 3);
    assert_eq!(got.len(), 3);
    for message in &got {
        let gone = Down::Refused { refusal: Refusal::Gone, retry_after_ms: 0 };
        assert_eq!(decode::<Down<'_>>(message).unwrap(), gone, "the server has no such document");
    }
    assert_eq!(events.len(), 3, "{events:?}");
}

#[test]
fn newer_board_is_answered_as_a_server_would_and_named_as_newer() {
    let site = Site::open(|_| ());
    let mut memory = [0; 128];
    let unknown = frame(&[99, 1, 2, 3], &mut memory).unwrap().to_vec();
    let poll = Poll {
        protocol: PROTOCOL + 1,
        version: Version::new(9, 0, 0),
        order: Order { epoch: 0, sequence: 9 },
        floor: SecurityVersion(0),
        running: ManifestId::new([1; 8]),
        bootloader: 1,
        hardware: 1,
    };
    let newer = encode_frame(&Up::Poll(poll), &mut memory).unwrap().to_vec();
    let (got, events) = conversation(&site, &[&unknown, &newer], 2);
    let refusals = got.iter().map(|message| match decode(message).unwrap() {
        Down::Refused { refusal, .. } => refusal,
        other => panic!("{other:?}"),
    });
    assert_eq!(refusals.collect::<Vec<_>>(), [Refusal::Malformed, Refusal::Unsupported]);
    let expected = [
        &Event::Trouble(Trouble::UnknownMessage),
        &Event::Trouble(Trouble::UnknownProtocol { protocol: PROTOCOL + 1, ours: PROTOCOL }),
    ];
    assert_eq!(troubles(&events), expected);
}

#[test]
fn line_that_echoes_is_not_answered_for_ever() {
    let site = Site::open(|_| ());
    let mut memory = [0; 64];
    let echo = Down::Refused { refusal: Refusal::Malformed, retry_after_ms: 0 };
    let echo = encode_frame(&echo, &mut memory).unwrap().to_vec();
    let mut memory = [0; 64];
    let asked = encode_frame(&Up::Trust { version: 2 }, &mut memory).unwrap();
    let (got, events) = conversation(&site, &[&echo, asked], 1);
    assert_eq!(got.len(), 1, "the question's");
    assert_eq!(troubles(&events), [&Event::Trouble(Trouble::Echo)]);
}

#[test]
fn port_is_one_programs_alone_and_each_reason_against_it_has_its_sentence() {
    let ports = Ports::new();
    let socket = ports.socket("ttyACM0");
    let open = || SerialLine::open(&socket.port, layout::BAUD);
    let first = open().unwrap();
    let busy = open().unwrap_err();
    assert!(matches!(busy, OpenError::Busy(_)) && busy.to_string().contains("fuser -v"), "{busy}");
    drop(first);
    open().unwrap();
    let absent = SerialLine::open(&ports.0.path().join("ttyACM9"), layout::BAUD).unwrap_err().to_string();
    assert!(absent.contains("ttyACM9 is not there: the board is not plugged in"), "{absent}");
    let file = ports.0.path().join("file");
    fs::write(&file, "text").unwrap();
    for path in [&file, ports.0.path()] {
        let no_port = SerialLine::open(path, layout::BAUD).unwrap_err();
        assert!(matches!(no_port, OpenError::NoPort(_)), "{no_port}");
    }
}
