//! Settings in, exit code out.

fn main() -> std::process::ExitCode {
    wharfinger::cli::main()
}
