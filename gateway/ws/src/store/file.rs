//! Sessions in one JSON file, replaced as a whole, so that a crash leaves the old or the new one.

use super::Sessions;
use crate::Error;
use serde::{Deserialize, Serialize};
use std::{io::ErrorKind, path::PathBuf};
use tokio::{fs, io::AsyncWriteExt};

/// The file's content.
#[derive(Deserialize, Serialize)]
struct Content {
    /// Whose sessions these are: another application's are of no use.
    application_id: u64,
    /// The sessions by shard id.
    sessions: Sessions,
}

/// A file that holds sessions.
#[derive(Debug)]
pub(crate) struct File {
    /// Where it is.
    path: PathBuf,
    /// Whose sessions it holds.
    application_id: u64,
}

impl File {
    /// Names the file; it need not exist.
    pub(super) const fn new(path: PathBuf, application_id: u64) -> Self {
        Self {
            path,
            application_id,
        }
    }

    /// Reads the sessions: none when there is no file, or it is another application's.
    pub(super) async fn load(&self) -> Result<Sessions, Error> {
        let text = match fs::read(&self.path).await {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Sessions::new()),
            Err(source) => return Err(self.failed("read", source)),
        };
        let content: Content =
            serde_json::from_slice(&text).map_err(|source| Error::SessionFileContent {
                path: self.path.clone(),
                source,
            })?;
        if content.application_id != self.application_id {
            return Ok(Sessions::new());
        }
        Ok(content.sessions)
    }

    /// Writes the sessions beside the file, then puts them in its place.
    pub(super) async fn save(&self, sessions: &Sessions) -> Result<(), Error> {
        let content = Content {
            application_id: self.application_id,
            sessions: sessions.clone(),
        };
        let text = serde_json::to_vec_pretty(&content).expect("maps of strings and numbers");
        let beside = self.path.with_extension("new");
        let write = async {
            let mut options = fs::OpenOptions::new();
            options.create(true).truncate(true).write(true).mode(0o600);
            let mut file = options.open(&beside).await?;
            file.write_all(&text).await?;
            file.sync_all().await?;
            fs::rename(&beside, &self.path).await
        };
        write.await.map_err(|source| self.failed("write", source))
    }

    /// An I/O error with the file's name.
    fn failed(&self, what: &'static str, source: std::io::Error) -> Error {
        Error::SessionFile {
            what,
            path: self.path.clone(),
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::File;
    use crate::{session::Session, store::Sessions};

    fn sessions() -> Sessions {
        let session = Session {
            id: "abc".to_owned(),
            resume_url: "wss://resume.example".to_owned(),
            sequence: 7,
            shard_count: 2,
        };
        Sessions::from([(1, session)])
    }

    #[tokio::test]
    async fn what_is_saved_is_loaded_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sessions.json");
        let file = File::new(path.clone(), 42);
        assert!(
            file.load().await.unwrap().is_empty(),
            "no file, no sessions"
        );
        file.save(&sessions()).await.unwrap();
        assert_eq!(file.load().await.unwrap(), sessions());
        let other = File::new(path, 43);
        assert!(
            other.load().await.unwrap().is_empty(),
            "another application's"
        );
    }

    #[tokio::test]
    async fn a_broken_file_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sessions.json");
        std::fs::write(&path, "{").unwrap();
        let error = File::new(path, 42).load().await.unwrap_err();
        assert!(error.to_string().contains("sessions.json"), "{error}");
    }
}
