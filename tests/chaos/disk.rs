//! A disk that fills and is freed, on any machine: the bucket has to leave half of what is free, and a file of more
//! than the other half comes and goes. So uploads find no room, and nothing else on the machine does without.

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use wharfinger::adapters::embedded::FreeSpace;

use crate::nodes::FOLDER;
use crate::servers;

/// What was free at the start.
static FREE_BYTES: OnceLock<u64> = OnceLock::new();

fn free_bytes() -> u64 {
    *FREE_BYTES.get_or_init(|| FreeSpace::of(PathBuf::from(FOLDER)).bytes().expect("the disk answers"))
}

fn filler() -> PathBuf {
    PathBuf::from(FOLDER).join("filler")
}

/// The bytes that the bucket has to leave free.
pub(crate) fn reserve_bytes() -> u64 {
    free_bytes() / 2
}

/// Fills the disk into the reserve. The file is given its blocks and no bytes, so this takes no time.
pub(crate) async fn fill() {
    let size = (free_bytes() / 10 * 6).to_string();
    let mut command = std::process::Command::new("fallocate");
    command.args(["--length", &size]).arg(filler());
    let output = servers::output_of(command).await;
    if !output.status.success() {
        println!("chaos: the disk cannot be filled: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Frees it again.
pub(crate) fn free() {
    fs::remove_file(filler()).ok();
}
