//! Any bytes in the streams between a node and an appliance, in whatever pieces they come, are frames or an error; what
//! is a frame reads back as what was written. So are certificate requests and certificates, join tokens and protocols.
//!
//! The first byte of an input chooses what it is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use picloud_cluster::frames::{Decoder, encode};
use picloud_cluster::identity::{csr_key, peer_of};
use picloud_model::join_token::TokenParts;
use picloud_model::protocol::node::{Enrol, FromNode, NodeCall, NodeReply, ToNode, agree};
use rustls_pki_types::CertificateDer;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// Largest frame that is taken here.
const FRAME_BYTES_MAX: usize = 64 * 1024;

/// All frames of a stream that comes in pieces, as text, until it makes no sense.
fn read<T: Serialize + DeserializeOwned + Debug>(stream: &[u8], piece: usize) -> Vec<String> {
    let mut decoder = Decoder::with_limit(FRAME_BYTES_MAX);
    let mut frames = Vec::new();
    for piece in stream.chunks(piece) {
        decoder.push(piece);
        loop {
            match decoder.take::<T>() {
                Ok(Some(frame)) => {
                    let written = encode(&frame).expect("what was decoded can be encoded");
                    let mut again = Decoder::default();
                    again.push(&written);
                    let again: T = again.take().expect("it is a frame").expect("it is whole");
                    assert_eq!(format!("{frame:?}"), format!("{again:?}"));
                    frames.push(format!("{frame:?}"));
                }
                Ok(None) => break,
                Err(_refused) => return frames,
            }
        }
    }
    frames
}

fn in_pieces<T: Serialize + DeserializeOwned + Debug>(stream: &[u8]) {
    assert_eq!(read::<T>(stream, 1), read::<T>(stream, stream.len().max(1)), "pieces make no difference");
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, bytes)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(bytes);
    match choice % 8 {
        0 => in_pieces::<FromNode>(bytes),
        1 => in_pieces::<ToNode>(bytes),
        2 => in_pieces::<NodeCall>(bytes),
        3 => in_pieces::<NodeReply>(bytes),
        4 => drop(csr_key(&text)),
        5 => drop(peer_of(&CertificateDer::from_slice(bytes))),
        6 => {
            if let Ok(token) = text.parse::<TokenParts>() {
                assert!(token.text().parse::<TokenParts>().is_ok_and(|again| again == token));
            }
            drop(agree((1, 2), &text));
        }
        _enrol => drop(serde_json::from_slice::<Enrol>(bytes)),
    }
});
