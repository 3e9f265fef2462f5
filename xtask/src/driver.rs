//! Makes sure that there is a Vulkan driver. Windows and macOS bring a graphics API along; a bare Linux does not, and
//! gets Mesa's software driver (lavapipe).

use std::process::Command;

use crate::Step;
use crate::process::{cargo, code_of, run, succeeds};

/// Exit code of a program that finds no device.
const NO_ADAPTER: u8 = 3;

const BY_HAND: &str = "\
error: no Vulkan driver found. Install one (this is the software driver, which works everywhere), then try again:
  Debian, Ubuntu   sudo apt-get install mesa-vulkan-drivers
  Fedora           sudo dnf install mesa-vulkan-drivers vulkan-loader
  Arch             sudo pacman -S vulkan-swrast vulkan-icd-loader";

/// Looks for a device with a program of ours, a line for cargo, and installs a software driver where there is none.
pub fn ensure(question: &[&str]) -> Step {
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

fn devices(question: &[&str]) -> u8 {
    let mut command = cargo();
    command.args(question);
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    code_of(&mut command)
}

/// Lets the user see why it finds nothing.
fn report(question: &[&str], code: u8) -> Step {
    run(cargo().args(question))?;
    Err(code)
}

/// Through apt-get, as root or through a sudo that asks no password.
fn install() -> bool {
    if !succeeds("apt-get", &["--version"]) {
        return false;
    }
    let apt: &[&str] = if is_root() {
        &["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    } else if succeeds("sudo", &["-n", "true"]) {
        &["sudo", "-n", "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    } else {
        return false;
    };
    eprintln!("no Vulkan driver found: installing Mesa's software driver (mesa-vulkan-drivers)");
    // Package lists that cannot be refreshed may still be good enough.
    apt_get(apt, &["update", "-qq"]);
    apt_get(apt, &["install", "-y", "-qq", "--no-install-recommends", "libvulkan1", "mesa-vulkan-drivers"])
}

/// The output of apt-get goes to stderr, so that stdout holds the result alone.
fn apt_get(apt: &[&str], arguments: &[&str]) -> bool {
    let [program, before @ ..] = apt else {
        return false;
    };
    let mut command = Command::new(program);
    command.args(before).args(arguments).stdout(std::io::stderr());
    code_of(&mut command) == 0
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
