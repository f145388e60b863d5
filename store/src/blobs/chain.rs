//! One pass of SHA-256 over a blob that also gives each piece a checksum.
//!
//! SHA-256 goes through its input in blocks, and keeps 32 bytes of state between two of them. The checksum of a piece is
//! the state behind it; of the last piece it is the SHA-256 of the whole. So a piece is checked alone, from the state
//! before it, with one pass over its own bytes, and writing costs one pass, not two: on a Pi without instructions for
//! SHA-256 that is what a large file waits for.

use super::PIECE_BYTES;
use picloud_model::hash::ContentHash;
use sha2::compress256;
use sha2::digest::block_buffer::EagerBuffer;
use sha2::digest::consts::U64;

/// The state that SHA-256 begins with.
const BEGIN: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// SHA-256 under way.
#[derive(Clone)]
pub(super) struct Chain {
    state: [u32; 8],
    block: EagerBuffer<U64>,
    bytes: u64,
    pieces: Vec<ContentHash>,
}

impl Chain {
    /// At the beginning of a blob.
    pub(super) fn new() -> Self {
        Self { state: BEGIN, block: EagerBuffer::default(), bytes: 0, pieces: Vec::new() }
    }

    /// The blob goes on so.
    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let into = usize::try_from(self.bytes % PIECE_BYTES as u64).expect("a piece is small");
            // A piece that is full is done only once there is more: the last one ends otherwise.
            if into == 0 && self.bytes > 0 {
                self.pieces.push(hash_of(self.state));
            }
            let (now, later) = bytes.split_at(bytes.len().min(PIECE_BYTES - into));
            let state = &mut self.state;
            self.block.digest_blocks(now, |blocks| compress256(state, blocks));
            self.bytes += now.len() as u64;
            bytes = later;
        }
    }

    /// How much there was.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// SHA-256 of all of it, and the checksum of each piece.
    pub(super) fn finish(mut self) -> (ContentHash, Vec<ContentHash>) {
        let whole = end(self.state, &mut self.block, self.bytes);
        if self.bytes > 0 {
            self.pieces.push(whole);
        }
        (whole, self.pieces)
    }
}

/// Whether `piece`, the one with this number of a blob of `size_bytes`, is what the checksums say.
pub(super) fn piece_is_whole(piece: &[u8], number: usize, size_bytes: u64, checksums: &[ContentHash]) -> bool {
    let Some(expected) = checksums.get(number) else { return false };
    let mut state = match number.checked_sub(1) {
        None => BEGIN,
        Some(before) => state_of(checksums[before]),
    };
    let mut block = EagerBuffer::<U64>::default();
    block.digest_blocks(piece, |blocks| compress256(&mut state, blocks));
    let last = number + 1 == checksums.len();
    *expected == if last { end(state, &mut block, size_bytes) } else { hash_of(state) }
}

/// What SHA-256 does behind the last byte.
fn end(mut state: [u32; 8], block: &mut EagerBuffer<U64>, bytes: u64) -> ContentHash {
    block.len64_padding_be(bytes.wrapping_mul(8), |block| compress256(&mut state, std::slice::from_ref(block)));
    hash_of(state)
}

fn hash_of(state: [u32; 8]) -> ContentHash {
    let mut hash = [0; 32];
    for (bytes, word) in hash.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    ContentHash(hash)
}

fn state_of(ContentHash(hash): ContentHash) -> [u32; 8] {
    let mut state = [0; 8];
    for (word, bytes) in state.iter_mut().zip(hash.chunks_exact(4)) {
        *word = u32::from_be_bytes(bytes.try_into().expect("four bytes are four bytes"));
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(count: usize) -> Vec<u8> {
        (0..count).map(|at| u8::try_from((at * 31 + at / 251) % 256).unwrap()).collect()
    }

    #[test]
    fn it_is_sha_256_of_the_whole_however_the_bytes_come() {
        for count in [0, 1, 63, 64, 65, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES] {
            let bytes = bytes(count);
            let mut chains = Vec::new();
            for step in [1_000, 65_537, usize::MAX] {
                let mut chain = Chain::new();
                bytes.chunks(step).for_each(|part| chain.update(part));
                assert_eq!(chain.bytes(), count as u64);
                chains.push(chain.finish());
            }
            assert_eq!(chains[0].0, ContentHash::of(&bytes), "of {count}");
            assert_eq!(chains[0].1.len(), count.div_ceil(PIECE_BYTES), "of {count}");
            assert!(chains.windows(2).all(|pair| pair[0] == pair[1]), "of {count}");
        }
    }

    #[test]
    fn each_piece_is_checked_alone_and_no_other_bytes_pass_for_it() {
        let bytes = bytes(2 * PIECE_BYTES + 100);
        let mut chain = Chain::new();
        chain.update(&bytes);
        let (_whole, checksums) = chain.finish();
        let size = bytes.len() as u64;
        for (number, piece) in bytes.chunks(PIECE_BYTES).enumerate() {
            assert!(piece_is_whole(piece, number, size, &checksums), "{number}");
            let mut other = piece.to_vec();
            *other.last_mut().unwrap() ^= 1;
            assert!(!piece_is_whole(&other, number, size, &checksums), "{number}");
            assert!(!piece_is_whole(&piece[1..], number, size, &checksums), "{number}");
            assert!(!piece_is_whole(piece, (number + 1) % 3, size, &checksums), "{number}");
        }
        assert!(!piece_is_whole(&[], 3, size, &checksums), "there is no fourth piece");
    }
}
