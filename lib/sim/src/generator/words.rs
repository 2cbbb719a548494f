//! Plain words, names and hashes for generated events.

use fastrand::Rng;

const WORDS: [&str; 64] = [
    "apple", "river", "stone", "cloud", "maple", "tiger", "orbit", "pixel", "queen", "radar",
    "sunny", "tempo", "ultra", "vivid", "waltz", "yacht", "zebra", "amber", "brisk", "cedar",
    "delta", "ember", "fable", "grove", "haven", "ivory", "jolly", "karma", "lunar", "mango",
    "noble", "ocean", "piano", "quiet", "rapid", "solar", "toast", "umbra", "vapor", "wheat",
    "the", "a", "is", "on", "with", "of", "and", "to", "in", "for", "not", "you", "we", "they",
    "lol", "ok", "yes", "café", "naïve", "日本", "🎉", "GG", "brb", "hm",
];

/// Appends so many words with blanks between them.
pub(crate) fn write(random: &mut Rng, count: u8, out: &mut Vec<u8>) {
    for index in 0..count {
        if index > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(WORDS[random.usize(..WORDS.len())].as_bytes());
    }
}

/// Appends the user's name, always the same for the same user.
pub(crate) fn name(user: u64, out: &mut Vec<u8>) {
    let mixed = mix(user);
    let word = usize::try_from(mixed % 40).unwrap_or_default();
    out.extend_from_slice(WORDS[word].as_bytes());
    out.push(b'_');
    hex(mixed >> 48, 4, out);
}

/// Appends 32 hexadecimal digits, always the same for the same key.
pub(crate) fn hash(key: u64, out: &mut Vec<u8>) {
    let first = mix(key);
    hex(first, 16, out);
    hex(mix(first), 16, out);
}

/// Spreads a number over all 64 bits (the finalizer of splitmix64).
pub(crate) fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn hex(number: u64, digits: u32, out: &mut Vec<u8>) {
    for shift in (0..digits).rev() {
        let digit = usize::try_from((number >> (shift * 4)) & 15).unwrap_or_default();
        out.push(b"0123456789abcdef"[digit]);
    }
}
