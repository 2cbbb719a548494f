//! The checked-in generated code is what the `.proto` files say.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{fs, io};

use prost_reflect::DescriptorPool;
use prost_types::field_descriptor_proto::Label;
use prost_types::{FieldDescriptorProto, FileDescriptorSet};
use protox::Compiler;

/// Objects that would make those large in which they stand, though most of these lack them. A field
/// that holds one holds a box.
const LARGE: [&str; 11] = [
    "Application",
    "Channel",
    "Guild",
    "GuildScheduledEvent",
    "GuildScheduledEventUser",
    "Message",
    "MessageInteraction",
    "MessageInteractionMetadata",
    "MessageParams",
    "Poll",
    "ThreadMember",
];

/// The service `rest`, below the contract's folder.
const REST: &str = "discord/v1/rest.proto";

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
    let files = packed(compile(&contract(proto)?, proto, true)?.file_descriptor_set());
    let mut config = prost_build::Config::new();
    config
        .out_dir(out)
        .enable_type_names()
        // The largest event would otherwise set the size of every event.
        .boxed(".gateway.v1.Event.data");
    for field in large(&files) {
        config.boxed(field);
    }
    config.compile_fds(files)?;
    let descriptors = compile(&contract(proto)?, proto, false)?.encode_file_descriptor_set();
    let rest = compile(&[proto.join(REST)], proto, false)?.encode_file_descriptor_set();
    let known = DescriptorPool::decode(&*descriptors)?;
    let all = DescriptorPool::decode(&*rest)?;
    let rest = without(&all, &known)?;
    fs::write(out.join("operations.txt"), operations(&all)?)?;
    fs::write(out.join("descriptors.bin"), descriptors)?;
    fs::write(out.join("rest.bin"), rest)?;
    Ok(())
}

/// The files of the contract but for those of the service `rest`, which has no generated code: its
/// messages are twice as many as all others, and are carried out by their descriptors.
fn contract(proto: &Path) -> Result<Vec<PathBuf>, io::Error> {
    let mut files = Vec::new();
    for package in ["discord/v1", "gateway/v1"] {
        files.extend(list(&proto.join(package))?);
    }
    let name = |file: &Path| file.file_name().map(|it| it.to_string_lossy().into_owned());
    files.retain(|file| {
        let name = name(file).unwrap_or_default();
        name.ends_with(".proto") && !name.starts_with("rest")
    });
    Ok(files)
}

/// The files of `all` that `known` does not have: an encoded `FileDescriptorSet`.
fn without(all: &DescriptorPool, known: &DescriptorPool) -> Result<Vec<u8>, prost::EncodeError> {
    let files = all
        .files()
        .filter(|file| known.get_file_by_name(file.name()).is_none());
    let mut set = Vec::new();
    for file in files.map(|file| file.encode_to_vec()) {
        // The tag of `FileDescriptorSet.file`.
        set.push(0x0a);
        prost::encode_length_delimiter(file.len(), &mut set)?;
        set.extend(file);
    }
    Ok(set)
}

/// Method, path and name of each operation of the service `rest`, one a line.
fn operations(all: &DescriptorPool) -> Result<String, Box<dyn Error>> {
    let service = all
        .get_service_by_name("discord.v1.Rest")
        .ok_or("no service")?;
    let http = all
        .get_extension_by_name("google.api.http")
        .ok_or("no option")?;
    let mut lines = String::new();
    for method in service.methods() {
        let options = method.options();
        let rule = options.get_extension(&http);
        let rule = rule.as_message().ok_or("no rule")?;
        for verb in ["delete", "get", "patch", "post", "put"] {
            let path = rule.get_field_by_name(verb);
            let path = path
                .as_ref()
                .and_then(|path| path.as_str())
                .unwrap_or_default();
            if !path.is_empty() {
                let (verb, name) = (verb.to_ascii_uppercase(), method.name());
                lines += &format!("{verb} {path} {name}\n");
            }
        }
    }
    Ok(lines)
}

/// The paths of the fields that hold one of the [`LARGE`] objects.
fn large(files: &FileDescriptorSet) -> Vec<String> {
    let mut paths = Vec::new();
    for file in &files.file {
        for message in &file.message_type {
            for field in message.field.iter().filter(|field| is_large(field)) {
                let mut path = format!(".{}.{}", file.package(), message.name());
                let index = field.oneof_index.filter(|_| !field.proto3_optional());
                let oneof = index.and_then(|index| usize::try_from(index).ok());
                if let Some(oneof) = oneof.and_then(|index| message.oneof_decl.get(index)) {
                    path = format!("{path}.{}", oneof.name());
                }
                paths.push(format!("{path}.{}", field.name()));
            }
        }
    }
    paths
}

/// Whether a field holds one of the [`LARGE`] objects; a list of them holds none itself.
fn is_large(field: &FieldDescriptorProto) -> bool {
    let object = field.type_name().strip_prefix(".discord.v1.");
    field.label() != Label::Repeated && object.is_some_and(|name| LARGE.contains(&name))
}

/// Files with all that they import; with comments for code, and without for descriptors.
fn compile(files: &[PathBuf], proto: &Path, comments: bool) -> Result<Compiler, Box<dyn Error>> {
    let mut compiler = Compiler::new([proto])?;
    compiler.include_imports(true).include_source_info(comments);
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
