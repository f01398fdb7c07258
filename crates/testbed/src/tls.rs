//! Certificates for one test.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

/// Names under which clients find a server here.
const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

/// An authority of its own, and the certificates it gave: to the servers, and to the clients where servers ask for one.
pub struct Tls {
    directory: TempDir,
    clients: Clients,
}

/// Whether clients have to show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clients {
    Anonymous,
    Certified,
}

/// What a client needs to connect, as PEM files.
#[derive(Clone, Debug)]
pub struct ClientFiles {
    /// The authority that it has to trust.
    pub authority: PathBuf,
    /// Its certificate.
    pub certificate: PathBuf,
    /// The certificate's key.
    pub key: PathBuf,
}

impl Tls {
    /// Certificates for servers.
    ///
    /// # Errors
    /// When files cannot be written.
    pub fn new() -> Result<Tls> {
        Tls::with(Clients::Anonymous)
    }

    /// The same; clients have to show a certificate too.
    ///
    /// # Errors
    /// When files cannot be written.
    pub fn mutual() -> Result<Tls> {
        Tls::with(Clients::Certified)
    }

    fn with(clients: Clients) -> Result<Tls> {
        let directory = TempDir::new()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "testbed authority");
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        fs::write(directory.path().join("ca.pem"), authority.pem())?;
        for holder in ["server", "client"] {
            let names = NAMES.map(str::to_owned);
            let mut params = CertificateParams::new(names)?;
            params.distinguished_name.push(DnType::CommonName, holder);
            let key = KeyPair::generate()?;
            let certificate = params.signed_by(&key, &authority)?;
            fs::write(directory.path().join(format!("{holder}.pem")), certificate.pem())?;
            fs::write(directory.path().join(format!("{holder}.key")), key.serialize_pem())?;
        }
        Ok(Tls { directory, clients })
    }

    /// What clients need.
    #[must_use]
    pub fn client_files(&self) -> ClientFiles {
        ClientFiles {
            authority: self.path("ca.pem"),
            certificate: self.path("client.pem"),
            key: self.path("client.key"),
        }
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Lines of a server's configuration.
    pub(crate) fn lines(&self) -> Vec<String> {
        let line = |key: &str, name: &str| format!("{key}: \"{}\"", self.path(name).display());
        let mut lines = vec![line("cert_file", "server.pem"), line("key_file", "server.key")];
        if self.clients == Clients::Certified {
            lines.extend([line("ca_file", "ca.pem"), "verify: true".to_owned()]);
        }
        lines
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("clients", &self.clients).finish_non_exhaustive()
    }
}
