//! Damages captures: flips, cuts, splices, and lies about lengths and numbers.

use fastrand::Rng;

/// Where signs, lengths and counts turn over.
const EDGES: [u32; 9] = [
    0,
    1,
    3,
    4,
    15,
    0xff,
    0xffff,
    i32::MAX.cast_unsigned(),
    u32::MAX,
];
/// What text parsers stumble over.
const WORDS: [&str; 24] = [
    "+",
    "-",
    "-1",
    "+1",
    "0",
    "00",
    "18446744073709551615",
    "18446744073709551616",
    "4294967295",
    "99999999999999999999999",
    "1e9",
    "0x10",
    "NaN",
    "inf",
    ".",
    ":",
    "::",
    "[",
    "]",
    "%",
    "/",
    " ",
    "\n",
    "\u{202e}\u{1b}\u{0}é",
];
/// More than any capture and its damage: longer ones only take time.
const LONGEST: usize = 16 * 1024;

pub(crate) struct Mutator<'a> {
    captures: &'a [&'a [u8]],
    random: Rng,
}

impl<'a> Mutator<'a> {
    pub(crate) fn new(captures: &'a [&'a [u8]], seed: u64) -> Self {
        let random = Rng::with_seed(seed);
        Self { captures, random }
    }

    /// One of the captures with one to four damages.
    pub(super) fn damaged(&mut self) -> Vec<u8> {
        let mut bytes = self.capture().to_vec();
        for _ in 0..self.random.u32(1..=4) {
            self.damage(&mut bytes);
        }
        bytes.truncate(LONGEST);
        bytes
    }

    fn capture(&mut self) -> &'a [u8] {
        self.random
            .choice(self.captures)
            .copied()
            .unwrap_or_default()
    }

    pub(crate) fn damage(&mut self, bytes: &mut Vec<u8>) {
        let at = self.random.usize(..=bytes.len());
        let part = at..self.random.usize(at..=bytes.len().min(at + 64));
        match self.random.u32(0..9) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(part)),
            2 => bytes.splice(at..at, bytes[part].to_vec()).for_each(drop),
            3 => {
                let other = self.capture();
                let from = self.random.usize(..=other.len());
                bytes
                    .splice(at.., other[from..].iter().copied())
                    .for_each(drop);
            }
            4 => {
                let word = self.random.choice(WORDS).unwrap_or_default();
                bytes.splice(part, word.bytes()).for_each(drop);
            }
            5 => self.lie(bytes, at & !3, 4),
            6 => self.lie(bytes, at & !1, 2),
            7 => self.renumber(bytes, at),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << self.random.u32(0..8);
                }
            }
        }
    }

    /// Another value in a field of a structure, at an edge or beside the true one.
    fn lie(&mut self, bytes: &mut [u8], at: usize, width: usize) {
        let Some(field) = bytes.get_mut(at..at + width) else {
            return;
        };
        let mut value = [0; 4];
        value[..width].copy_from_slice(field);
        let true_value = u32::from_ne_bytes(value);
        let lie = match self.random.u32(0..3) {
            0 => true_value.wrapping_add(self.random.u32(1..=8)),
            1 => true_value.wrapping_sub(self.random.u32(1..=8)),
            _ => self.random.choice(EDGES).unwrap_or_default(),
        };
        field.copy_from_slice(&lie.to_ne_bytes()[..width]);
    }

    /// Another number in text.
    fn renumber(&mut self, bytes: &mut Vec<u8>, from: usize) {
        let digit = |byte: &u8| byte.is_ascii_hexdigit();
        let Some(start) = bytes[from..].iter().position(digit).map(|skip| from + skip) else {
            return;
        };
        let length = bytes[start..].iter().take_while(|byte| digit(byte)).count();
        let word = self.random.choice(WORDS).unwrap_or_default();
        bytes
            .splice(start..start + length, word.bytes())
            .for_each(drop);
    }
}
