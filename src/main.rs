//! Settings in, exit code out.

fn main() {}
