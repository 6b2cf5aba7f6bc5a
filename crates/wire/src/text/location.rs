//! Locations on the earth (RFC 1876).

use std::io::Write;

/// The equator, the prime meridian (RFC 1876 §2).
const MIDDLE: u32 = 1 << 31;
/// Thousandths of a second of arc in a degree.
const DEGREE: u32 = 3_600_000;
/// Centimetres below the reference spheroid from which altitude is counted.
const DEEPEST: i64 = 10_000_000;

/// RFC 1876 §3: latitude, longitude, altitude, size and the two precisions, all of them. `None` for another version,
/// for places outside of the earth and for lengths that are not written in the form of §2.
pub(super) fn put_location(out: &mut Vec<u8>, octets: [u8; 16]) -> Option<()> {
    let [0, sizes @ .., a, b, c, d, e, f, g, h, i, j, k, l] = octets else { return None };
    put_angle(out, u32::from_be_bytes([a, b, c, d]), 90, b"NS")?;
    put_angle(out, u32::from_be_bytes([e, f, g, h]), 180, b"EW")?;
    let altitude = i64::from(u32::from_be_bytes([i, j, k, l])) - DEEPEST;
    let sign = if altitude < 0 { "-" } else { "" };
    put_metres(out, sign, altitude.unsigned_abs());
    for size in sizes {
        out.push(b' ');
        put_metres(out, "", length(size)?);
    }
    Some(())
}

/// `DEGREES MINUTES SECONDS HEMISPHERE `.
fn put_angle(out: &mut Vec<u8>, angle: u32, most: u32, hemispheres: &[u8; 2]) -> Option<()> {
    let distance = angle.abs_diff(MIDDLE);
    if distance > most * DEGREE {
        return None;
    }
    let (degrees, minutes) = (distance / DEGREE, distance / 60_000 % 60);
    let (seconds, thousandths) = (distance / 1000 % 60, distance % 1000);
    let hemisphere = char::from(hemispheres[usize::from(angle < MIDDLE)]);
    write!(out, "{degrees} {minutes} {seconds}.{thousandths:03} {hemisphere} ")
        .expect("memory takes what is written");
    Some(())
}

fn put_metres(out: &mut Vec<u8>, sign: &str, centimetres: u64) {
    write!(out, "{sign}{}.{:02}m", centimetres / 100, centimetres % 100)
        .expect("memory takes what is written");
}

/// RFC 1876 §2: a digit and the power of ten it is multiplied with, in centimetres. Zero is written one way only.
fn length(octet: u8) -> Option<u64> {
    match (octet >> 4, octet & 15) {
        (0, 0) => Some(0),
        (digit @ 1..=9, power @ 0..=9) => Some(u64::from(digit) * 10u64.pow(u32::from(power))),
        _ => None,
    }
}
