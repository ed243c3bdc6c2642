//! Takes the records out of a stream and leaves every other byte as it was.

use super::Nonce;
use super::record::{LEN, MAGIC, Record};

/// One part of a stream, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// Output of the command.
    Bytes(&'a [u8]),
    Record(Record),
}

/// Reads one stream in chunks of any size. It keeps back at most what could still become a record, fewer than
/// [`LEN`] bytes.
#[derive(Clone, Debug)]
pub struct Splitter {
    nonce: Nonce,
    held: [u8; LEN],
    len: usize,
}

impl Splitter {
    /// Knows the records with this nonce; all others are output like any other. A test of the park may well print
    /// the records of another one.
    pub const fn new(nonce: Nonce) -> Self {
        Self { nonce, held: [0; LEN], len: 0 }
    }

    /// From here on, the records with this nonce.
    pub const fn expect(&mut self, nonce: Nonce) {
        self.nonce = nonce;
    }

    /// Reads the next `chunk` and calls `each` with what became certain by it.
    pub fn feed(&mut self, chunk: &[u8], mut each: impl FnMut(Part<'_>)) {
        let mut rest = chunk;
        loop {
            // Bytes of earlier chunks come first: they are filled up until it is known what they are.
            while self.len > 0 {
                rest = self.hold(rest);
                let held = self.held;
                let held = held.get(..self.len).unwrap_or_default();
                match self.find(held) {
                    Some((0, Some(record))) => {
                        each(Part::Record(record));
                        self.len = 0;
                    }
                    Some((0, None)) => return,
                    found => {
                        let (plain, keep) = held.split_at(found.map_or(held.len(), |(at, _)| at));
                        each(Part::Bytes(plain));
                        self.len = 0;
                        self.hold(keep);
                    }
                }
            }
            let found = self.find(rest);
            let (plain, tail) = rest.split_at(found.map_or(rest.len(), |(at, _)| at));
            if !plain.is_empty() {
                each(Part::Bytes(plain));
            }
            match found {
                None => return,
                Some((_, None)) => {
                    self.hold(tail);
                    return;
                }
                Some((_, Some(record))) => {
                    each(Part::Record(record));
                    rest = tail.get(LEN..).unwrap_or_default();
                }
            }
        }
    }

    /// The stream has ended: what was kept back is output after all.
    pub fn finish(&mut self, mut each: impl FnMut(Part<'_>)) {
        let held = self.held.get(..self.len).unwrap_or_default();
        if !held.is_empty() {
            each(Part::Bytes(held));
        }
        self.len = 0;
    }

    /// Fills up what is held and returns the rest of `bytes`.
    fn hold<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let room = self.held.get_mut(self.len..).unwrap_or_default();
        let (now, rest) = bytes.split_at(room.len().min(bytes.len()));
        room.iter_mut().zip(now).for_each(|(to, from)| *to = *from);
        self.len += now.len();
        rest
    }

    /// The first place where a record is, or where one may be once more bytes have come.
    fn find(&self, bytes: &[u8]) -> Option<(usize, Option<Record>)> {
        let mut from = 0;
        loop {
            let tail = bytes.get(from..)?;
            let at = from + tail.iter().position(|byte| Some(byte) == MAGIC.first())?;
            let tail = bytes.get(at..)?;
            if tail.starts_with(&MAGIC) || MAGIC.starts_with(tail) {
                match tail.first_chunk().map(Record::decode) {
                    None => return Some((at, None)),
                    Some(Some(record)) if record.nonce() == self.nonce => return Some((at, Some(record))),
                    Some(_) => {}
                }
            }
            from = at + 1;
        }
    }
}
