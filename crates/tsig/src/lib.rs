//! tsig
