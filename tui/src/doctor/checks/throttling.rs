//! Whether the firmware of a Raspberry Pi slows the processor down, and the bits in which it says what it does.

use crate::doctor::{Case, Check, Finding};

pub(super) const CHECK: Check = Check { name: "throttling", title: "Full speed", look, ..Check::PLAIN };

/// Where the kernel of Raspberry Pi OS shows the firmware's word.
const FILE: &str = "/sys/devices/platform/soc/soc:firmware/get_throttled";
/// Bits of that word; the same 16 further up for "since the start".
const UNDER_VOLTAGE: u32 = 1;
const CAPPED: u32 = 1 << 1;
const THROTTLED: u32 = 1 << 2;
const SOFT_LIMIT: u32 = 1 << 3;
const SINCE_START_SHIFT: u32 = 16;

/// What the firmware says of itself, now and since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Firmware(u32);

impl Firmware {
    /// From the kernel, or from the firmware's own tool.
    pub(super) fn of(case: &Case) -> Option<Self> {
        let hex = |text: &str| u32::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok();
        let of_kernel = case.machine.read(FILE).and_then(|text| hex(&text));
        let of_tool =
            || hex(case.machine.run("vcgencmd", &["get_throttled"]).ok()?.trim().strip_prefix("throttled=")?);
        of_kernel.or_else(of_tool).map(Self)
    }

    pub(super) fn has(self, bit: u32) -> bool {
        self.0 & bit != 0
    }

    pub(super) fn has_had(self, bit: u32) -> bool {
        self.0 >> SINCE_START_SHIFT & bit != 0
    }

    pub(super) fn is_under_voltage(self) -> bool {
        self.has(UNDER_VOLTAGE)
    }

    pub(super) fn was_under_voltage(self) -> bool {
        self.has_had(UNDER_VOLTAGE)
    }

    /// As the firmware writes it.
    pub(super) fn word(self) -> String {
        format!("{:#x}", self.0)
    }
}

const COOL: &str = "cool it: a heat sink or a fan, air around the case, out of the sun; and see `power`";

fn look(case: &Case) -> Finding {
    let Some(firmware) = Firmware::of(case) else {
        return match case.pi_model() {
            Some(_) => Finding::unknown("this kernel does not tell what the firmware does, and `vcgencmd` is not here"),
            None => Finding::not_applicable("only the firmware of a Raspberry Pi tells"),
        };
    };
    let slow = |has: &dyn Fn(u32) -> bool| {
        let ways = [
            (THROTTLED, "throttled"),
            (SOFT_LIMIT, "held below its soft temperature limit"),
            (CAPPED, "capped in its frequency"),
        ];
        ways.iter().filter(|(bit, _)| has(*bit)).map(|(_, what)| *what).collect::<Vec<_>>().join(", ")
    };
    let (now, since) = (slow(&|bit| firmware.has(bit)), slow(&|bit| firmware.has_had(bit)));
    let finding = if !now.is_empty() {
        Finding::warning(format!("the processor is {now} at this moment"), COOL)
    } else if !since.is_empty() {
        Finding::warning(format!("since the start the processor has been {since}; not at this moment"), COOL)
    } else {
        Finding::ok("the processor has not been slowed down since the start")
    };
    finding.fact("throttled", firmware.word())
}
