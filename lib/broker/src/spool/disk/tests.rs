//! The folder through crashes, damage and another process.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use tempfile::TempDir;

use super::{Disk, Found, MAGIC};
use crate::{Exchange, Message, Value, lane::Confirmed, queue::Item};

fn message(number: u64) -> Message {
    Message {
        exchange: Exchange::DeadLetter,
        routing_key: "1.TYPING_START.7.-".to_owned(),
        message_id: number.to_string(),
        type_name: "gateway.v1.Event",
        app_id: "81384788765712384".into(),
        timestamp: 1_700_000_000,
        headers: vec![
            ("event", Value::Text("ÄÖÜ".to_owned())),
            ("shard", Value::Number(-3)),
            ("end", Value::Flag(true)),
        ],
        body: Bytes::from(vec![7; usize::try_from(number % 40).unwrap()]),
        group: 7,
        batch: None,
        trace: None,
        wanted: None,
    }
}

fn items(numbers: std::ops::RangeInclusive<u64>) -> Vec<Item> {
    let lane = Arc::new(Confirmed::new(5));
    let items = numbers.map(|number| {
        let mut item = Item::new(&lane, number, message(number));
        item.origin.more = vec![number + 1, u64::MAX];
        item
    });
    items.collect()
}

fn open(folder: &TempDir) -> Disk {
    Disk::open(folder.path().join("spool")).unwrap()
}

/// Everything that is unread, in steps of a few bytes.
fn read_all(disk: &mut Disk) -> Vec<Found> {
    let mut found = Vec::new();
    while disk.has_unread() {
        found.extend(disk.read(50).found);
    }
    found
}

fn ids(found: &[Found]) -> Vec<u64> {
    let ids = found.iter().map(|found| found.message.message_id.parse());
    ids.collect::<Result<_, _>>().unwrap()
}

fn files(folder: &TempDir, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.path().join("spool")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn what_is_appended_is_read_back_as_it_was_and_then_deleted() {
    let folder = TempDir::new().unwrap();
    let mut disk = open(&folder);
    disk.append(&items(1..=3)).unwrap();
    disk.append(&items(4..=100)).unwrap();
    assert!(disk.has_unread() && disk.bytes() > 1_000);
    let paths = files(&folder, "spool");
    assert_eq!(paths.len(), 1);
    assert_eq!(
        (mode(&paths[0]), mode(paths[0].parent().unwrap())),
        (0o600, 0o700)
    );

    let found = read_all(&mut disk);
    assert_eq!(ids(&found), (1..=100).collect::<Vec<_>>());
    assert_eq!(
        format!("{:?}", found[38].message),
        format!("{:?}", message(39))
    );
    assert_eq!((found[38].lane, found[38].sequence), (5, 39));
    assert_eq!(found[38].more, [40, u64::MAX]);
    assert!(!disk.clean(), "the messages are not confirmed");
    drop(found);
    assert!(disk.clean());
    assert!(files(&folder, "spool").is_empty());
    assert_eq!(disk.bytes(), 0);
}

#[test]
fn what_is_read_and_written_in_turn_keeps_its_order() {
    let folder = TempDir::new().unwrap();
    let mut disk = open(&folder);
    let (mut next, mut read) = (1, Vec::new());
    let mut random = fastrand::Rng::with_seed(1);
    while next < 2_000 {
        let last = next + random.u64(0..50);
        disk.append(&items(next..=last)).unwrap();
        next = last + 1;
        while random.bool() {
            read.extend(ids(&disk.read(random.usize(1..20_000)).found));
            disk.clean();
        }
    }
    read.extend(ids(&read_all(&mut disk)));
    assert_eq!(read, (1..next).collect::<Vec<_>>());
}

#[test]
fn a_former_process_left_messages_and_they_come_first() {
    let folder = TempDir::new().unwrap();
    let mut disk = open(&folder);
    disk.append(&items(1..=10)).unwrap();
    drop(disk);
    let mut disk = open(&folder);
    disk.append(&items(11..=20)).unwrap();
    let found = read_all(&mut disk);
    assert_eq!(ids(&found), (1..=20).collect::<Vec<_>>());
    let old: Vec<_> = found.iter().map(|found| found.segment.is_old()).collect();
    assert_eq!(old, [[true; 10], [false; 10]].concat());
}

/// The bytes of a file with these messages.
fn segment(numbers: std::ops::RangeInclusive<u64>) -> Vec<u8> {
    let folder = TempDir::new().unwrap();
    open(&folder).append(&items(numbers)).unwrap();
    fs::read(&files(&folder, "spool")[0]).unwrap()
}

/// What a process reads that finds this file.
fn after(content: &[u8]) -> (Vec<u64>, TempDir) {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("spool")).unwrap();
    let path = folder.path().join("spool/0000000000000007.spool");
    fs::write(path, content).unwrap();
    let found = ids(&read_all(&mut open(&folder)));
    (found, folder)
}

#[test]
fn every_beginning_of_a_file_gives_the_messages_that_are_whole() {
    let content = segment(1..=4);
    let mut counts = Vec::new();
    for end in 0..=content.len() {
        let (found, folder) = after(&content[..end]);
        assert_eq!(found, (1..=found.len() as u64).collect::<Vec<_>>());
        assert!(files(&folder, "corrupt").is_empty(), "{end}");
        counts.push(found.len());
    }
    assert!(counts.is_sorted());
    assert_eq!((counts[0], counts[content.len()]), (0, 4));
}

#[test]
fn a_damaged_file_is_set_aside_and_costs_only_what_follows() {
    let content = segment(1..=4);
    for at in 0..content.len() {
        let mut damaged = content.clone();
        damaged[at] ^= 0x10;
        let (found, folder) = after(&damaged);
        assert!(found.len() < 4);
        assert_eq!(found, (1..=found.len() as u64).collect::<Vec<_>>());
        assert_eq!(files(&folder, "corrupt").len(), 1, "byte {at}");
        assert!(files(&folder, "spool").is_empty());
    }
}

#[test]
fn foreign_files_are_left_alone_or_set_aside() {
    let (found, folder) = after(b"something else");
    assert!(found.is_empty());
    assert_eq!(files(&folder, "corrupt").len(), 1);
    fs::write(folder.path().join("spool/notes.txt"), "mine").unwrap();
    let mut disk = open(&folder);
    disk.append(&items(1..=1)).unwrap();
    let name = files(&folder, "spool")[0].clone();
    assert!(name.ends_with("0000000000000008.spool"), "{name:?}");
    assert_eq!(files(&folder, "txt").len(), 1);
    let mut random = fastrand::Rng::with_seed(3);
    for _ in 0..500 {
        let mut noise = MAGIC.to_vec();
        noise.extend((0..random.usize(0..200)).map(|_| random.u8(..)));
        assert!(after(&noise).0.is_empty());
    }
}

#[test]
fn what_this_process_wrote_and_cannot_read_is_counted() {
    let folder = TempDir::new().unwrap();
    let mut disk = open(&folder);
    disk.append(&items(1..=4)).unwrap();
    let path = files(&folder, "spool")[0].clone();
    let mut content = fs::read(&path).unwrap();
    let last = content.len() - 1;
    content[last] ^= 1;
    fs::write(&path, content).unwrap();
    let reading = disk.read(usize::MAX);
    assert_eq!(ids(&reading.found), [1, 2, 3]);
    assert_eq!(reading.lost, 3, "the events of the fourth message");
    assert!(!disk.has_unread());
}

#[test]
fn a_folder_belongs_to_one_process() {
    let folder = TempDir::new().unwrap();
    let disk = open(&folder);
    let error = Disk::open(folder.path().join("spool")).unwrap_err();
    assert!(error.to_string().contains("WS_SPOOL_DIR"), "{error}");
    drop(disk);
    open(&folder);
}

#[test]
fn a_folder_that_is_away_takes_nothing_until_it_is_back() {
    let folder = TempDir::new().unwrap();
    let mut disk = open(&folder);
    fs::remove_dir_all(folder.path().join("spool")).unwrap();
    assert!(disk.append(&items(1..=2)).is_err());
    assert!(disk.probe().is_err());
    assert!(!disk.has_unread());
    fs::create_dir(folder.path().join("spool")).unwrap();
    disk.probe().unwrap();
    disk.append(&items(1..=2)).unwrap();
    assert_eq!(ids(&read_all(&mut disk)), [1, 2]);
}
