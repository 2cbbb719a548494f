//! Writes the inputs to begin with to a folder, one folder in it for each target.

use std::io::{Error, Result};
use std::path::Path;

use fuzz::corpus::seeds;
use fuzz::targets;

fn main() -> Result<()> {
    let folder = std::env::args_os().nth(1);
    let folder = folder.ok_or_else(|| Error::other("give the folder to write to"))?;
    for target in targets::ALL {
        let folder = Path::new(&folder).join(target.name);
        std::fs::create_dir_all(&folder)?;
        for seed in seeds(&target)? {
            std::fs::write(folder.join(seed.name), seed.input)?;
        }
    }
    Ok(())
}
