//! ECDSA signatures as others write them, turned into r and s of 32 bytes each.
//!
//! For test vectors alone: nothing in this family reads DER.

/// Why a signature in DER has no form of 64 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoForm {
    /// It is not DER for a sequence of two integers: BER, another type, cut short, bytes left over.
    Encoding,
    /// It is, and one of the integers is negative or has more than 32 bytes.
    Range,
}

/// Reads `SEQUENCE { r INTEGER, s INTEGER }` (RFC 3279, section 2.2.3).
pub(super) fn to_raw(der: &[u8]) -> Result<[u8; 64], NoForm> {
    let (body, []) = element(0x30, der)? else { return Err(NoForm::Encoding) };
    let (r, rest) = element(0x02, body)?;
    let (s, []) = element(0x02, rest)? else { return Err(NoForm::Encoding) };
    // Both are DER before either is measured: of two faults the encoding is named.
    let (r, s) = (magnitude(r)?, magnitude(s)?);
    let mut raw = [0; 64];
    for (half, integer) in raw.chunks_mut(32).zip([r?, s?]) {
        half[32 - integer.len()..].copy_from_slice(integer);
    }
    Ok(raw)
}

/// The contents of the element of type `tag` at the start, and what follows. Its length in the short form: a longer
/// element is no signature for a curve of 256 bits, or not DER.
fn element(tag: u8, bytes: &[u8]) -> Result<(&[u8], &[u8]), NoForm> {
    match bytes {
        [found, len @ 0..0x80, rest @ ..] if *found == tag => {
            rest.split_at_checked(usize::from(*len)).ok_or(NoForm::Encoding)
        }
        _ => Err(NoForm::Encoding),
    }
}

/// The integer's bytes without the zero that makes it positive; the inner error is for one that does not fit.
fn magnitude(contents: &[u8]) -> Result<Result<&[u8], NoForm>, NoForm> {
    let magnitude = match contents {
        [] | [0x00, 0..0x80, ..] | [0xFF, 0x80..=0xFF, ..] => return Err(NoForm::Encoding),
        [0x80..=0xFF, ..] => return Ok(Err(NoForm::Range)),
        [0x00, rest @ ..] => rest,
        all => all,
    };
    Ok(if magnitude.len() > 32 { Err(NoForm::Range) } else { Ok(magnitude) })
}

#[test]
fn only_the_shortest_encoding_of_two_fitting_integers_has_a_raw_form() {
    let raw = to_raw(&[0x30, 7, 2, 1, 5, 2, 2, 0, 0x80]).unwrap();
    assert_eq!((raw[31], raw[63]), (5, 0x80));
    assert_eq!(raw.iter().filter(|byte| **byte != 0).count(), 2);
    assert_eq!(to_raw(&[0x30, 6, 2, 1, 5, 2, 1, 0]).map(|raw| raw[31]), Ok(5), "zero is a number");
    for encoding in [
        &[][..],
        &[0x30, 6, 2, 1, 5, 2, 1],
        &[0x30, 6, 2, 1, 5, 2, 1, 7, 0],
        &[0x30, 7, 2, 1, 5, 2, 1, 7, 0],
        &[0x30, 7, 2, 2, 0, 5, 2, 1, 7],
        &[0x30, 7, 2, 2, 0xFF, 0x80, 2, 1, 7],
        &[0x30, 5, 2, 0, 2, 1, 7],
        &[0x30, 0x81, 6, 2, 1, 5, 2, 1, 7],
        &[0x31, 6, 2, 1, 5, 2, 1, 7],
        &[0x30, 6, 3, 1, 5, 2, 1, 7],
    ] {
        assert_eq!(to_raw(encoding), Err(NoForm::Encoding), "{encoding:02x?}");
    }
    assert_eq!(to_raw(&[0x30, 6, 2, 1, 0x85, 2, 1, 7]), Err(NoForm::Range), "negative");
    let long = [&[0x30, 38, 2, 33][..], &[1; 33], &[2, 1, 7]].concat();
    assert_eq!(to_raw(&long), Err(NoForm::Range));
}
