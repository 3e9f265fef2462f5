//! Makes sure that there is a Vulkan driver. Windows and macOS come with a graphics API; a bare Linux does not, and gets Mesa's
//! software driver (lavapipe).

use std::process::{Command, Stdio};

use crate::Step;
use crate::process::{code_of, run, succeeds};

/// Exit code of a program that finds no device.
const NO_ADAPTER: u8 = 3;

const BY_HAND: &str = "\
error: no Vulkan driver found. Install one (this is the software driver, which works everywhere), then try again:
  Debian, Ubuntu   sudo apt-get install mesa-vulkan-drivers
  Fedora           sudo dnf install mesa-vulkan-drivers vulkan-loader
  Arch             sudo pacman -S vulkan-swrast vulkan-icd-loader";

/// Looks for a device with a program of this workspace, and installs a software driver if there is none. `question` is the
/// command that looks: it exits with [`NO_ADAPTER`] if it finds no device.
pub fn ensure(question: &mut Command) -> Step {
    if !cfg!(target_os = "linux") {
        return Ok(());
    }
    match devices(question) {
        0 => return Ok(()),
        NO_ADAPTER => {}
        code => return report(question, code),
    }
    if !install() {
        eprintln!("{BY_HAND}");
        return Err(NO_ADAPTER);
    }
    match devices(question) {
        0 => Ok(()),
        code => report(question, code),
    }
}

fn devices(question: &mut Command) -> u8 {
    code_of(question.stdout(Stdio::null()).stderr(Stdio::null()))
}

/// Runs the program again with its output shown, so that the user sees why it finds no device.
fn report(question: &mut Command, code: u8) -> Step {
    run(question.stdout(Stdio::inherit()).stderr(Stdio::inherit()))?;
    Err(code)
}

/// Installs the driver through apt-get, as root or through a sudo that asks for no password.
fn install() -> bool {
    if !succeeds("apt-get", &["--version"]) {
        return false;
    }
    let as_root: &[&str] = match (is_root(), succeeds("sudo", &["-n", "true"])) {
        (true, _) => &["env"],
        (false, true) => &["sudo", "-n", "env"],
        (false, false) => return false,
    };
    eprintln!("no Vulkan driver found: installing Mesa's software driver (mesa-vulkan-drivers)");
    // Package lists that cannot be refreshed may still be good enough.
    apt_get(as_root, &["update", "-qq"]);
    apt_get(as_root, &["install", "-y", "-qq", "--no-install-recommends", "libvulkan1", "mesa-vulkan-drivers"])
}

/// Runs apt-get. Its output goes to stderr, so that stdout has the result alone.
fn apt_get(as_root: &[&str], arguments: &[&str]) -> bool {
    let apt = ["DEBIAN_FRONTEND=noninteractive", "apt-get"];
    code_of(Command::new(as_root[0]).args(&as_root[1..]).args(apt).args(arguments).stdout(std::io::stderr())) == 0
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
