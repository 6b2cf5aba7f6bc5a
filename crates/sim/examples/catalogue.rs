//! Prints the catalogue of misbehaving primaries as a table.

use std::io::Write;

fn main() -> std::io::Result<()> {
    std::io::stdout().write_all(secondo_sim::catalogue::table().as_bytes())
}
