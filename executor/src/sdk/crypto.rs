//! `crypto`: hashes, keyed hashes, random bytes, and comparing secrets.

use super::Namespace;
use super::options::arg;
use crate::error::{KIND_SERVICE, RhaiError, catchable};
use crate::run_state::RunState;
use hmac::{Hmac, Mac};
use picloud_model::problem::Code;
use rhai::{Dynamic, NativeCallContext};
use sha2::{Digest, Sha256};

/// Most random bytes of one call.
const RANDOM_BYTES_MAX: i64 = 1024;

const EXAMPLE: &str = r#"
// Is this webhook really from the sender that knows our secret?
let body = "{\"action\":\"opened\"}";
let expected = "sha256=" + crypto::hmac_sha256("our secret", body);
crypto::constant_time_eq(expected, "sha256=" + crypto::hmac_sha256("our secret", body))
"#;

/// The table's row.
pub(super) fn namespace() -> Namespace {
    Namespace::new("crypto", "Hashes as lower-case hexadecimal text. A string counts as its bytes in UTF-8.")
        .example(EXAMPLE)
        .function("sha256(data: string|blob) -> string", "SHA-256.", sha256)
        .function("hmac_sha256(key: string|blob, data: string|blob) -> string", "HMAC-SHA-256.", hmac_sha256)
        .function(
            "random_hex(bytes: int) -> string",
            "So many random bytes (at most 1024) of the system's generator, as twice as many digits.",
            random_hex,
        )
        .function(
            "constant_time_eq(a: string|blob, b: string|blob) -> bool",
            "Whether both are the same, in a time that does not tell where they differ: for comparing secrets.",
            constant_time_eq,
        )
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

fn sha256(context: NativeCallContext, data: Dynamic) -> Result<String, RhaiError> {
    let run = RunState::of(&context);
    arg("crypto::sha256", "data").with_bytes(&data, |bytes| {
        super::options::long_native(&run, bytes.len());
        hex(&Sha256::digest(bytes))
    })
}

fn hmac_sha256(context: NativeCallContext, key: Dynamic, data: Dynamic) -> Result<String, RhaiError> {
    let run = RunState::of(&context);
    let mut mac = arg("crypto::hmac_sha256", "key")
        .with_bytes(&key, |key| Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length"))?;
    arg("crypto::hmac_sha256", "data").with_bytes(&data, |bytes| {
        super::options::long_native(&run, bytes.len());
        mac.update(bytes);
    })?;
    Ok(hex(&mac.finalize().into_bytes()))
}

fn random_hex(bytes: Dynamic) -> Result<String, RhaiError> {
    let bytes_arg = arg("crypto::random_hex", "bytes");
    let count = bytes_arg.int(&bytes)?;
    let room = usize::try_from(count).ok().filter(|_| (1..=RANDOM_BYTES_MAX).contains(&count));
    let Some(room) = room else {
        return Err(bytes_arg.fault(format_args!("must be 1 to {RANDOM_BYTES_MAX}, not {count}")));
    };
    let mut random = vec![0; room];
    getrandom::fill(&mut random).map_err(|_no_source| {
        catchable(KIND_SERVICE, Code::Internal, "crypto::random_hex: the system gave no random bytes")
    })?;
    Ok(hex(&random))
}

fn constant_time_eq(a: Dynamic, b: Dynamic) -> Result<bool, RhaiError> {
    arg("crypto::constant_time_eq", "a").with_bytes(&a, |a| {
        arg("crypto::constant_time_eq", "b").with_bytes(&b, |b| {
            // The length is no secret; where equally long texts differ is.
            a.len() == b.len() && std::hint::black_box(a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b))) == 0
        })
    })?
}
