//! The `secondo` binary: the command line of the library.

/// That of the C library keeps what was freed for as long as something that came later lives; see ARCHITECTURE.md, "Memory".
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    secondo_daemon::cli::main()
}
