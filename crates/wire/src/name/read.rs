//! Names inside messages: compression followed, or passed over (RFC 1035 §4.1.4).

use super::{MAX_NAME, NameBuf, NameError};

/// Reads a name at `at` of `message`, following compression pointers; returns where the reading goes on.
///
/// Pointers must point strictly backwards, each before the one that led to it, so the work is bounded
/// (RFC 1035 §4.1.4).
pub fn read_name(message: &[u8], at: usize, out: &mut NameBuf) -> Result<usize, NameError> {
    let (mut at, mut end, mut length, mut floor) = (at, None, 0, at);
    loop {
        let head = *message.get(at).ok_or(NameError::Short)?;
        match head {
            0 => {
                out.octets[length] = 0;
                out.length = (length + 1) as u8;
                return Ok(end.unwrap_or(at + 1));
            }
            1..=63 => {
                let n = head as usize + 1;
                let label = message.get(at..at + n).ok_or(NameError::Short)?;
                if length + n >= MAX_NAME {
                    return Err(NameError::TooLong);
                }
                out.octets[length..length + n].copy_from_slice(label);
                length += n;
                at += n;
            }
            192.. => {
                let low = *message.get(at + 1).ok_or(NameError::Short)?;
                end.get_or_insert(at + 2);
                let target = usize::from(u16::from_be_bytes([head & 0x3F, low]));
                if target >= floor {
                    return Err(NameError::Pointer);
                }
                (at, floor) = (target, target);
            }
            _ => return Err(NameError::Label),
        }
    }
}

/// Where the name at `at` ends, without looking behind a compression pointer.
pub fn skip_name(message: &[u8], at: usize) -> Result<usize, NameError> {
    let (start, mut at) = (at, at);
    loop {
        match *message.get(at).ok_or(NameError::Short)? {
            0 => return Ok(at + 1),
            n @ 1..=63 => at += n as usize + 1,
            192.. if at + 1 < message.len() => return Ok(at + 2),
            192.. => return Err(NameError::Short),
            _ => return Err(NameError::Label),
        }
        if at - start >= MAX_NAME {
            return Err(NameError::TooLong);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_go_backwards_only() {
        let mut buf = NameBuf::new();
        let message = b"\x03com\0\x07example\xC0\x00\x03www\xC0\x05";
        assert_eq!(read_name(message, 15, &mut buf), Ok(21));
        assert_eq!(buf.as_ref().to_string(), "www.example.com.");
        assert_eq!(read_name(b"\xC0\x00", 0, &mut buf), Err(NameError::Pointer));
        assert_eq!(read_name(b"\x01a\xC0\x00", 0, &mut buf), Err(NameError::Pointer));
        assert_eq!(read_name(b"\xC0\x02\xC0\x00", 2, &mut buf), Err(NameError::Pointer));
        assert_eq!(read_name(b"\x41a\0", 0, &mut buf), Err(NameError::Label));
        assert_eq!(read_name(b"\x05ab", 0, &mut buf), Err(NameError::Short));
    }
}
