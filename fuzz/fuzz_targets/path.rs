//! Any request path is refused or normal, and a normal one stays what it is; any authority has a host.
#![no_main]

use libfuzzer_sys::fuzz_target;
use picloud_orchestrator::path::{NormalPath, host_name};

fuzz_target!(|raw: &str| {
    if let Ok(path) = NormalPath::parse(raw) {
        let text = path.as_str();
        assert!(text.starts_with('/') && !text.contains("//"), "{text:?}");
        assert!(!text.contains(['\0', '\\']), "{text:?}");
        assert!(text.split('/').all(|segment| segment != "." && segment != ".."), "{text:?}");
        let encoded = path.encoded();
        let again = NormalPath::parse(&encoded).expect("a normal path written as a URL is a path");
        assert_eq!(again.as_str(), text);
        assert_eq!(again.encoded(), encoded);
    }
    let host = host_name(raw);
    assert!(!host.bytes().any(|byte| byte.is_ascii_uppercase()), "{host:?}");
});
