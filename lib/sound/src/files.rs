//! Files below the operator's directory of sounds.

use std::{
    fs::File,
    io,
    path::{Component, Path},
};

use symphonia::core::io::MediaSource;

use crate::{Config, Error};

/// Opens the file at a path below the directory. Blocks.
pub(crate) fn open(config: &Config, path: &str) -> Result<Box<dyn MediaSource>, Error> {
    let directory = config.sounds.as_deref().ok_or(Error::FilesOff)?;
    let relative = Path::new(path);
    let mut parts = relative.components();
    let is_below = parts.clone().next().is_some()
        && parts.all(|part| matches!(part, Component::Normal(_)))
        && !path.contains('\0');
    if !is_below {
        return Err(Error::Path);
    }
    let directory = directory.canonicalize().map_err(|error| failed(&error))?;
    // Also where links lead.
    let found = directory.join(relative).canonicalize();
    let found = found.map_err(|error| failed(&error))?;
    if !found.starts_with(&directory) {
        return Err(Error::Path);
    }
    let metadata = found.metadata().map_err(|error| failed(&error))?;
    if !metadata.is_file() {
        return Err(Error::NotAFile);
    }
    let most = config.source_size.0;
    if metadata.len() > most {
        return Err(Error::Long(most));
    }
    let file = File::open(found).map_err(|error| failed(&error))?;
    Ok(Box::new(file))
}

fn failed(error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Error::NoFile,
        kind => Error::File(kind),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use boot::Size;
    use tempfile::TempDir;

    use super::*;
    use crate::config::tests::config;

    fn refused(config: &Config, path: &str) -> Error {
        open(config, path).err().unwrap()
    }

    fn sounds() -> (TempDir, Config) {
        let folder = tempfile::tempdir().unwrap();
        let sounds = folder.path().join("sounds");
        fs::create_dir_all(sounds.join("deep")).unwrap();
        fs::write(folder.path().join("secret"), "secret").unwrap();
        fs::write(sounds.join("deep/a.wav"), "content").unwrap();
        let config = Config {
            sounds: Some(sounds),
            source_size: Size(7),
            ..config()
        };
        (folder, config)
    }

    #[test]
    fn a_file_is_found_at_any_depth_and_through_links_that_stay_below() {
        let (_folder, config) = sounds();
        let sounds = config.sounds.clone().unwrap();
        symlink("deep", sounds.join("link")).unwrap();
        for path in ["deep/a.wav", "link/a.wav", "deep//a.wav"] {
            assert!(open(&config, path).is_ok(), "{path}");
        }
    }

    #[test]
    fn nothing_outside_is_reached() {
        let (folder, config) = sounds();
        let sounds = config.sounds.clone().unwrap();
        symlink("../secret", sounds.join("file")).unwrap();
        symlink("..", sounds.join("up")).unwrap();
        symlink(folder.path().join("secret"), sounds.join("far")).unwrap();
        let secret = folder.path().join("secret");
        for path in [
            "",
            ".",
            "..",
            "../secret",
            "deep/../../secret",
            "file",
            "up/secret",
            "far",
            secret.to_str().unwrap(),
            "/etc/passwd",
            "deep/a.wav\0",
        ] {
            assert_eq!(refused(&config, path), Error::Path, "{path}");
        }
    }

    #[test]
    fn what_is_no_file_says_so() {
        let (_folder, config) = sounds();
        assert_eq!(refused(&config, "deep"), Error::NotAFile);
        assert_eq!(refused(&config, "deep/b.wav"), Error::NoFile);
        assert_eq!(refused(&config, "deep/a.wav/b"), Error::NoFile);
        let small = Config {
            source_size: Size(6),
            ..config.clone()
        };
        assert_eq!(refused(&small, "deep/a.wav"), Error::Long(6));
        let off = Config {
            sounds: None,
            ..config
        };
        assert_eq!(refused(&off, "deep/a.wav"), Error::FilesOff);
    }
}
