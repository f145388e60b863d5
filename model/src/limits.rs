//! Every limit of a run and of a request: one line each, with default, ceiling and unit in the name.
//!
//! To add a limit: a line in `limits!` below. `GET /limits`, `picloud limits`, `[limits]` of an app and
//! the error that names it all read this table.

use crate::problem::{Code, Problem};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

macro_rules! limits {
    ($($(#[doc = $doc:literal])* $name:ident: $default:literal, $ceiling:tt;)*) => {
        /// What holds for one app: its own values where it set them, else the defaults.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub struct Limits {
            $($(#[doc = $doc])* pub $name: u64,)*
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        /// The limits an app sets in `[limits]`; only those that differ from the defaults.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(deny_unknown_fields, default)]
        pub struct AppLimits {
            $($(#[doc = $doc])* #[schema(minimum = 1, maximum = $ceiling)] #[serde(skip_serializing_if = "Option::is_none")] pub $name: Option<u64>,)*
        }

        /// The table: one row a limit.
        pub const LIMITS: &[LimitRow] = &[
            $(LimitRow { name: stringify!($name), default: $default, ceiling: $ceiling, doc: concat!($($doc),*).trim_ascii() },)*
        ];

        impl AppLimits {
            /// The limits that hold: these over the defaults.
            pub fn resolve(&self) -> Limits {
                let defaults = Limits::default();
                Limits { $($name: self.$name.unwrap_or(defaults.$name),)* }
            }

            /// Refuses a value of 0 or above its ceiling, naming limit, value and ceiling.
            pub fn check(&self) -> Result<(), Problem> {
                $(check_one(stringify!($name), self.$name, $ceiling)?;)*
                Ok(())
            }
        }

        impl Limits {
            /// The value of the limit called `name`.
            pub fn get(&self, name: &str) -> Option<u64> {
                match name {
                    $(stringify!($name) => Some(self.$name),)*
                    _ => None,
                }
            }
        }
    };
}

/// One limit as `GET /limits` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct LimitRow {
    /// Its name, with the unit.
    pub name: &'static str,
    /// What holds where an app sets nothing.
    pub default: u64,
    /// The most an app may set; equal to the default where it is fixed.
    pub ceiling: u64,
    /// What it bounds.
    pub doc: &'static str,
}

limits! {
    /// Wall time of a run that answers a request.
    timeout_ms: 10_000, 300_000;
    /// Wall time of a run that an event started.
    triggered_timeout_ms: 60_000, 3_600_000;
    /// Rhai operations of a run.
    max_operations: 50_000_000, 50_000_000;
    /// Memory a run holds at one moment, over all its values.
    memory_bytes: 16_777_216, 134_217_728;
    /// Length of one string.
    string_bytes: 1_048_576, 1_048_576;
    /// Elements of one array.
    array_items: 100_000, 100_000;
    /// Entries of one object map.
    map_entries: 100_000, 100_000;
    /// Calls within calls.
    call_levels: 64, 64;
    /// Nesting of an expression in a source.
    expression_depth: 64, 64;
    /// Nesting of a value that is compared or printed; as JSON it is 100.
    value_depth: 128, 128;
    /// Body of a request.
    request_body_bytes: 1_048_576, 67_108_864;
    /// Body of an answer.
    response_body_bytes: 16_777_216, 67_108_864;
    /// Size of one source.
    source_bytes: 262_144, 1_048_576;
    /// Modules that import modules.
    module_depth: 8, 8;
    /// Runs that start runs, and `scripts::call` within `scripts::call`.
    trigger_depth: 8, 32;
    /// KV calls of a run.
    kv_calls: 1_000, 1_000;
    /// HTTP calls of a run.
    http_calls: 50, 50;
    /// Secrets a run asks for.
    secret_calls: 100, 100;
    /// Publishes and timers of a run.
    publish_calls: 1_000, 1_000;
    /// File calls of a run.
    file_calls: 1_000, 1_000;
    /// Size of one file.
    file_bytes: 104_857_600, 17_179_869_184_u64;
    /// All files of an app.
    files_app_bytes: 10_737_418_240, 1_099_511_627_776_u64;
    /// Deliveries of an app that wait; above it, what would make more is refused.
    queued_deliveries: 200_000, 1_000_000;
    /// Body of an answer to an HTTP call.
    http_body_bytes: 4_194_304, 67_108_864;
    /// Length of a KV key.
    kv_key_bytes: 512, 512;
    /// Size of a KV value as JSON.
    kv_value_bytes: 262_144, 1_048_576;
    /// Items of a page of a list.
    list_page: 100, 1_000;
    /// Size of an event's value.
    event_value_bytes: 262_144, 262_144;
    /// One log line.
    log_line_bytes: 8_192, 8_192;
    /// All log lines of a run.
    log_run_bytes: 262_144, 262_144;
}

fn check_one(name: &str, value: Option<u64>, ceiling: u64) -> Result<(), Problem> {
    match value {
        Some(0) => Err(Problem::new(Code::Malformed, format!("limit `{name}` is 0"))
            .hint(format!("set it between 1 and {ceiling}"))),
        Some(value) if value > ceiling => {
            Err(Problem::new(Code::Malformed, format!("limit `{name}` is {value}, above its ceiling of {ceiling}"))
                .hint(format!("set it between 1 and {ceiling}")))
        }
        _ => Ok(()),
    }
}

/// How many runs one machine of `cores` works on at once; past it requests get 503.
pub fn default_concurrency(cores: usize) -> usize {
    4 * cores.max(1)
}

/// Largest static file of an app.
pub const STATIC_FILE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// All static files of an app together.
pub const STATIC_APP_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Scripts, modules and routes of one app, each.
pub const APP_ITEMS_MAX: usize = 10_000;
/// Env values of one app.
pub const ENV_ENTRIES_MAX: usize = 128;
/// The name of an env value.
pub const ENV_NAME_BYTES_MAX: usize = 128;
/// One env value.
pub const ENV_VALUE_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a request's line and of each header; more is 431.
pub const REQUEST_HEAD_BYTES_MAX: usize = 32 * 1024;
/// Headers of a request; more is 431.
pub const REQUEST_HEADERS_MAX: usize = 100;

/// The table as a map, for answers that show it by name.
pub fn by_name() -> BTreeMap<&'static str, LimitRow> {
    LIMITS.iter().map(|row| (row.name, *row)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_may_set_a_limit_up_to_its_ceiling() {
        let limits = AppLimits { timeout_ms: Some(300_000), ..AppLimits::default() };
        assert!(limits.check().is_ok());
        assert_eq!(limits.resolve().timeout_ms, 300_000);
        assert_eq!(limits.resolve().memory_bytes, 16 << 20);
        let refused = AppLimits { timeout_ms: Some(300_001), ..AppLimits::default() }.check().unwrap_err();
        assert!(refused.detail.contains("timeout_ms"), "{refused:?}");
        assert!(AppLimits { kv_calls: Some(0), ..AppLimits::default() }.check().is_err());
    }

    #[test]
    fn no_default_is_above_its_ceiling() {
        for row in LIMITS {
            assert!(row.default <= row.ceiling && row.default > 0, "{}", row.name);
        }
    }
}
