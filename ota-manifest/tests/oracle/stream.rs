//! A second reader of byte streams, as slow and as plain as `docs/wire.md` draws them.

/// Messages, damaged frames and overlong ones of a line, for a reader with room for `room` bytes of message and checksum.
pub(crate) fn read(line: &[u8], room: usize) -> (Vec<Vec<u8>>, u32, u32) {
    let (mut messages, mut damaged, mut overlong) = (Vec::new(), 0, 0);
    let mut frames: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
    let unfinished = frames.pop().unwrap_or_default();
    for frame in frames.into_iter().filter(|frame| !frame.is_empty()) {
        let (body, whole) = unstuff(frame);
        if body.len() > room {
            overlong += 1;
        } else if let Some(message) = checked(&body).filter(|_| whole) {
            messages.push(message);
        } else {
            damaged += 1;
        }
    }
    // What is too long is known before its end.
    overlong += u32::from(unstuff(unfinished).0.len() > room);
    (messages, damaged, overlong)
}

/// COBS taken back, and whether the last run was all there.
fn unstuff(frame: &[u8]) -> (Vec<u8>, bool) {
    let (mut body, mut rest) = (Vec::new(), frame);
    while let [code, behind @ ..] = rest {
        let run = usize::from(*code) - 1;
        if behind.len() < run {
            body.extend_from_slice(behind);
            return (body, false);
        }
        body.extend_from_slice(&behind[..run]);
        rest = &behind[run..];
        if *code != 255 && !rest.is_empty() {
            body.push(0);
        }
    }
    (body, true)
}

fn checked(body: &[u8]) -> Option<Vec<u8>> {
    let (message, sum) = body.split_last_chunk::<4>()?;
    (crc32(message).to_le_bytes() == *sum).then(|| message.to_vec())
}

/// Bit by bit, as the polynomial is divided by hand.
fn crc32(bytes: &[u8]) -> u32 {
    let mut register = u32::MAX;
    for byte in bytes {
        register ^= u32::from(*byte);
        for _ in 0..8 {
            register = if register & 1 == 1 { register >> 1 ^ 0xEDB8_8320 } else { register >> 1 };
        }
    }
    !register
}
