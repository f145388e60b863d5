//! Bytes as each format holds them best: as they are between processes, as base64 in JSON, where a list of numbers
//! would be four times as large.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

/// Writes `bytes`.
pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        serializer.serialize_str(&STANDARD.encode(bytes))
    } else {
        serde_bytes::serialize(bytes, serializer)
    }
}

/// Reads what [`serialize`] wrote.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    if deserializer.is_human_readable() {
        STANDARD.decode(String::deserialize(deserializer)?).map_err(D::Error::custom)
    } else {
        serde_bytes::deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use crate::protocol::RunHttp;

    #[test]
    fn a_body_is_base64_in_json_and_comes_back() {
        let request = RunHttp { body: vec![0, 255, 10], ..RunHttp::default() };
        let json = serde_json::to_value(&request).unwrap();
        assert_eq!(json["body"], "AP8K");
        assert_eq!(serde_json::from_value::<RunHttp>(json).unwrap(), request);
    }
}
