//! The checked-in generated code is what the `.proto` files say.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{fs, io};

use prost_types::FileDescriptorSet;
use prost_types::field_descriptor_proto::Label;
use protox::Compiler;

#[test]
fn generated_code_is_current() {
    let stale = regenerate(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    assert!(
        stale.is_empty(),
        "{stale:?} did not match the .proto files and are rewritten now: commit them"
    );
}

/// Brings the generated files of the crate at `root` up to date. Returns those that were not.
fn regenerate(root: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let fresh = tempfile::tempdir()?;
    generate(&root.join("../../proto").canonicalize()?, fresh.path())?;
    Ok(replace(fresh.path(), &root.join("src/gen"))?)
}

/// Writes the code and the descriptors of the contract in `proto` to `out`.
fn generate(proto: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    prost_build::Config::new()
        .out_dir(out)
        .enable_type_names()
        // The largest event would otherwise set the size of every event.
        .boxed(".gateway.v1.Event.data")
        .compile_fds(packed(compile(proto, true)?.file_descriptor_set()))?;
    let descriptors = compile(proto, false)?.encode_file_descriptor_set();
    fs::write(out.join("descriptors.bin"), descriptors)?;
    Ok(())
}

/// The contract with all that it imports; with comments for code, and without for descriptors.
fn compile(proto: &Path, comments: bool) -> Result<Compiler, Box<dyn Error>> {
    let mut compiler = Compiler::new([proto])?;
    compiler.include_imports(true).include_source_info(comments);
    let mut files = Vec::new();
    for package in ["discord/v1", "gateway/v1"] {
        files.extend(list(&proto.join(package))?);
    }
    files.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "proto")
    });
    compiler.open_files(files)?;
    Ok(compiler)
}

/// Says of every repeated field that it is packed, as it is in proto3: prost-build takes a field that
/// has any options for one that is not.
fn packed(mut files: FileDescriptorSet) -> FileDescriptorSet {
    let messages = files
        .file
        .iter_mut()
        .flat_map(|file| &mut file.message_type);
    for field in messages.flat_map(|message| &mut message.field) {
        let repeated = field.label() == Label::Repeated;
        if let Some(options) = field.options.as_mut().filter(|_| repeated) {
            options.packed = Some(options.packed.unwrap_or(true));
        }
    }
    files
}

/// Makes the files of `to` those of `from`. Returns the paths of those that differed.
fn replace(from: &Path, to: &Path) -> Result<Vec<PathBuf>, io::Error> {
    let mut stale = Vec::new();
    for file in list(from)? {
        let target = to.join(file.file_name().unwrap_or_default());
        let content = fs::read(&file)?;
        if fs::read(&target).ok().as_ref() != Some(&content) {
            fs::write(&target, content)?;
            stale.push(target);
        }
    }
    for file in list(to)? {
        if !from.join(file.file_name().unwrap_or_default()).exists() {
            fs::remove_file(&file)?;
            stale.push(file);
        }
    }
    Ok(stale)
}

/// The paths in a folder, sorted.
fn list(folder: &Path) -> Result<Vec<PathBuf>, io::Error> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_, io::Error>>()?;
    paths.sort();
    Ok(paths)
}
