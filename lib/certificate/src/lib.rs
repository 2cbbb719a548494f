//! Certificates for tests, which have signed themselves.

use std::{io, path::Path, process::Command};

/// Makes `name.pem` with its key `name.key` in this folder, for an address or a name such as `IP:127.0.0.1` or
/// `DNS:localhost`. Those that were there are replaced.
///
/// # Errors
/// When `openssl` cannot be run, or says why it makes none.
pub fn make(folder: &Path, name: &str, alternative: &str) -> io::Result<()> {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec"])
        .args(["-pkeyopt", "ec_paramgen_curve:P-256"])
        .args(["-subj", &format!("/CN={name}")])
        .args(["-addext", &format!("subjectAltName={alternative}")])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", &format!("{name}.key")])
        .args(["-out", &format!("{name}.pem")])
        .current_dir(folder)
        .output()?;
    if made.status.success() {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&made.stderr)))
}
