//! Files that are read as RFC 3533 says.

use bytes::Bytes;

use super::*;

/// A page: its flags, its position, and its packets.
fn pages(mut file: &[u8]) -> Vec<(u8, u64, Vec<Vec<u8>>)> {
    let mut pages = Vec::new();
    while let Some(rest) = file.strip_prefix(b"OggS") {
        let position = u64::from_le_bytes(rest[2..10].try_into().unwrap());
        let (table, mut body) = rest[23..].split_at(rest[22].into());
        let mut packets = vec![Vec::new()];
        for length in table {
            let (segment, rest) = body.split_at((*length).into());
            packets.last_mut().unwrap().extend_from_slice(segment);
            body = rest;
            if *length < 255 {
                packets.push(Vec::new());
            }
        }
        packets.pop();
        pages.push((rest[1], position, packets));
        file = body;
    }
    assert_eq!(file, b"");
    pages
}

fn frame(place: u64) -> Frame {
    Frame {
        sequence: 0,
        timestamp: 0,
        // 20 ms for which nothing stands.
        data: Bytes::from_static(&[0xfc]),
        place,
    }
}

fn create() -> (tempfile::TempDir, std::path::PathBuf, File) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("1.ogg");
    let file = File::create(&path).unwrap();
    (folder, path, file)
}

#[test]
fn the_time_of_the_file_is_the_time_of_the_call() {
    let (_folder, path, mut file) = create();
    for place in [100, 101, 170] {
        file.add(&frame(place)).unwrap();
    }
    assert_eq!(file.finish().unwrap(), FRAME * 171);
    let content = fs::read(path).unwrap();
    let pages = pages(&content);
    assert_eq!((pages[0].0, &pages[0].2[0][..8]), (2, &b"OpusHead"[..]));
    assert_eq!(&pages[1].2[0][..8], b"OpusTags");
    let packets: Vec<&Vec<u8>> = pages[2..].iter().flat_map(|page| &page.2).collect();
    assert_eq!(packets.len(), 171);
    for (place, packet) in packets.into_iter().enumerate() {
        let is_sound = [100, 101, 170].contains(&place);
        assert_eq!(packet[..] == [0xfc], is_sound, "{place}");
    }
    let (flags, position, _) = pages.last().unwrap();
    assert_eq!((*flags, *position), (4, 171 * 960 + 312));
    let positions: Vec<u64> = pages[2..].iter().map(|page| page.1).collect();
    assert_eq!(positions[..2], [50 * 960 + 312, 100 * 960 + 312]);
}

#[test]
fn what_was_written_stands_when_nobody_ends_it() {
    let (_folder, path, mut file) = create();
    for place in 0..130 {
        file.add(&frame(place)).unwrap();
    }
    let content = fs::read(path).unwrap();
    let packets = pages(&content)
        .iter()
        .map(|page| page.2.len())
        .sum::<usize>();
    assert_eq!(packets, 2 + 100);
    drop(file);
}

#[test]
fn what_is_no_opus_is_left_out() {
    let (_folder, _path, mut file) = create();
    let mut broken = frame(0);
    broken.data = Bytes::new();
    file.add(&broken).unwrap();
    file.add(&frame(1)).unwrap();
    assert_eq!(file.finish().unwrap(), FRAME * 2);
}
