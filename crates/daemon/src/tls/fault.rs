//! What an error of TLS means.

use std::io;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, OtherError, PeerIncompatible};
use secondo_transfer::Fault;
use secondo_wire::Reason;

use super::trust::Unpinned;
use crate::calendar::utc;

/// The fault that an error of a stream is, when it is one of TLS; its end without `close_notify` is one (RFC 8446 §6.1).
pub(crate) fn fault(error: &io::Error) -> Option<Fault> {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        let detail = "closed without the notice of TLS: cut off, or the primary does not want us";
        return Some(Fault::new(Reason::ConnectionReset, detail));
    }
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    let detail = match error {
        // What the library shows of these is meant for programmers.
        Error::InvalidCertificate(CertificateError::Other(other)) => other.0.to_string(),
        Error::InvalidCertificate(CertificateError::ExpiredContext { time, not_after }) => format!(
            "the primary's certificate ended {}; here it is {}",
            utc(not_after.as_secs()),
            utc(time.as_secs())
        ),
        Error::InvalidCertificate(CertificateError::NotValidYetContext { time, not_before }) => format!(
            "the primary's certificate begins {}; here it is {}",
            utc(not_before.as_secs()),
            utc(time.as_secs())
        ),
        Error::InvalidCertificate(error) => error.to_string(),
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        )
        | Error::AlertReceived(AlertDescription::ProtocolVersion) => {
            format!("the primary offers TLS 1.2 or less, and TLS 1.3 is required (RFC 9103 §7.2): {error}")
        }
        error => error.to_string(),
    };
    Some(Fault::new(reason(error), detail))
}

fn reason(error: &Error) -> Reason {
    use AlertDescription as Alert;
    match error {
        Error::InvalidCertificate(error) => of_certificate(error),
        // The records of another protocol; what is broken inside of a record is a broken handshake.
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::MessageTooLarge
            | InvalidMessage::InvalidEmptyPayload,
        ) => Reason::TlsNotSpoken,
        Error::NoApplicationProtocol | Error::AlertReceived(Alert::NoApplicationProtocol) => Reason::TlsAlpn,
        Error::PeerIncompatible(_) | Error::AlertReceived(Alert::ProtocolVersion) => Reason::TlsVersion,
        Error::AlertReceived(
            Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied,
        ) => Reason::TlsClientRefused,
        _ => Reason::TlsHandshake,
    }
}

fn of_certificate(error: &CertificateError) -> Reason {
    match error {
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => Reason::TlsExpired,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Reason::TlsWrongName
        }
        CertificateError::Other(OtherError(other)) if other.is::<Unpinned>() => Reason::TlsPinMismatch,
        _ => Reason::TlsUntrusted,
    }
}
