//! Authorities and certificates, in files as every server reads them.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

use crate::Folder;

/// Who vouches for servers and clients of one test.
#[derive(Debug)]
pub struct Authority {
    folder: Folder,
    issuer: Issuer<'static, KeyPair>,
    name: String,
}

/// A certificate, its key, and the file of the authority that vouches for it.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The authority's certificate.
    pub authority: PathBuf,
}

/// What a primary speaks TLS with.
#[derive(Debug)]
pub struct Listener {
    /// Who it is.
    pub identity: Identity,
    /// Where it listens.
    pub port: crate::Port,
    /// Whether it wants certificates of the same authority from its clients.
    pub mutual: bool,
}

impl Authority {
    /// With a name and a key of its own.
    pub fn fresh() -> Self {
        let folder = Folder::fresh();
        let key = KeyPair::generate().expect("keys can be made");
        let name = format!("authority {}", folder.path().display());
        let mut params = CertificateParams::new(Vec::new()).expect("no name is wrong");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name.clone());
        let certificate = params.self_signed(&key).expect("a key signs");
        let issuer = Issuer::new(params, key);
        let authority = Self { folder, issuer, name };
        authority.write("ca.pem", &certificate.pem());
        authority
    }

    /// A certificate for that name or address.
    pub fn issue(&self, name: &str) -> Identity {
        self.issue_until(name, 4096)
    }

    /// The same; it ends with the beginning of that year.
    pub fn issue_until(&self, name: &str, year: i32) -> Identity {
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name or an address");
        (params.not_before, params.not_after) = (date_time_ymd(1975, 1, 1), date_time_ymd(year, 1, 1));
        params.distinguished_name.push(DnType::CommonName, format!("{name} of {}", self.name));
        let key = KeyPair::generate().expect("keys can be made");
        let certificate = params.signed_by(&key, &self.issuer).expect("an authority signs");
        let count = std::fs::read_dir(self.folder.path()).map_or(0, Iterator::count);
        Identity {
            certificate: self.write(&format!("{count}.pem"), &certificate.pem()),
            key: self.write(&format!("{count}.key"), &key.serialize_pem()),
            authority: self.folder.path().join("ca.pem"),
        }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("our own folder is writable");
        let mode = std::fs::Permissions::from_mode(0o640);
        std::fs::set_permissions(&path, mode).expect("the file is ours");
        path
    }
}

impl Identity {
    /// `cert-file` and `key-file` of secondo.
    pub fn files(&self) -> String {
        format!("cert-file: {}, key-file: {}", self.certificate.display(), self.key.display())
    }

    /// Terms of a client that knows the server by its name.
    pub fn strict(&self, name: &str) -> String {
        format!("name: {name}, ca-file: {}", self.authority.display())
    }

    /// The pin as OpenSSL tells it.
    pub fn pin(&self) -> String {
        let script = "openssl x509 -in \"$0\" -noout -pubkey | openssl pkey -pubin -outform der | \
                      openssl dgst -sha256 -binary | openssl base64 -A";
        let path = self.certificate.to_string_lossy();
        let outcome = crate::process::outcome(std::path::Path::new("/bin/sh"), &["-c", script, &path]);
        outcome.output.trim().to_owned()
    }
}
