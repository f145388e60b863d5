//! The boards that QEMU plays: one of its own, on which all stories run, and a Raspberry Pi 3 with its device tree, its
//! SD card's host and its serial port. The firmware of neither is there: QEMU starts the kernel itself.

use std::path::Path;
use std::process::Command;

/// What a board is made of, as QEMU is told.
pub(crate) struct Board {
    /// The board, its processor and its memory.
    machine: &'static [&'static str],
    /// Its device tree, a file of the boot partition; where there is none, QEMU makes one.
    pub(crate) device_tree: Option<&'static str>,
    /// How it has the card.
    disk: &'static str,
    /// What is plugged in: the cable's end, and what the disk needs.
    devices: &'static [&'static str],
    /// Serial ports that nothing is said to, before the one of the console.
    silent_ports: usize,
    /// What the kernel is told beside the card's own words.
    kernel: &'static str,
    /// The name that Linux gives the cable.
    pub(crate) cable: &'static str,
}

/// QEMU's own board, the fastest: a card on a virtual disk.
pub(crate) const VIRT: Board = Board {
    machine: &["-M", "virt", "-cpu", "cortex-a72", "-accel", "tcg,thread=multi", "-smp", "2", "-m", "1024"],
    device_tree: None,
    disk: "if=none,id=d0",
    devices: &[
        "virtio-blk-pci,drive=d0",
        // It starts from the card: no ROM to start from the network, which is a package of its own.
        "virtio-net-pci,netdev=n0,romfile=",
        "virtio-rng-pci",
    ],
    silent_ports: 0,
    // The last console is the one that the machine's own words go to.
    kernel: "console=ttyAMA0",
    cable: "eth0",
};

/// A Raspberry Pi 3: its four cores, its GiB, and the card where a card is. The console is the one of the image.
pub(crate) const PI_3: Board = Board {
    machine: &["-M", "raspi3b", "-accel", "tcg,thread=multi"],
    device_tree: Some("bcm2837-rpi-3-b.dtb"),
    disk: "if=sd",
    devices: &["usb-net,netdev=n0"],
    silent_ports: 1,
    kernel: "",
    cable: "usb0",
};

impl Board {
    /// QEMU as this board, with a card whose files are in `folder`, and a console that goes to `log`.
    pub(super) fn qemu(&self, folder: &Path, log: &Path, command_line: &str, forwards: &str) -> Command {
        // It must not outlive whoever looks at it, however that ends.
        let mut qemu = Command::new("setpriv");
        qemu.args(["--pdeathsig", "KILL", "qemu-system-aarch64", "-display", "none", "-no-reboot", "-monitor", "none"]);
        qemu.args(self.machine);
        for _ in 0..self.silent_ports {
            qemu.args(["-serial", "null"]);
        }
        qemu.arg("-serial").arg(format!("file:{}", log.display()));
        qemu.arg("-kernel").arg(folder.join("vmlinuz")).arg("-initrd").arg(folder.join("initrd.img"));
        if let Some(file) = self.device_tree {
            qemu.arg("-dtb").arg(folder.join(file));
        }
        qemu.args(["-append", &format!("{command_line} {} panic=1", self.kernel)]);
        let disk = folder.join("disk.img");
        qemu.arg("-drive").arg(format!("file={},format=raw,cache=unsafe,{}", disk.display(), self.disk));
        qemu.args(self.devices.iter().flat_map(|device| ["-device", device]));
        qemu.arg("-netdev").arg(format!("user,id=n0,{forwards}"));
        qemu
    }
}
