//! Settings in, exit code out.

/// Many threads allocate small things on one and free them on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    wharfinger::cli::main()
}
