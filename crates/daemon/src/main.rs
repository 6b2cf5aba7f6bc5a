//! The `secondo` binary: the command line of the library.

fn main() -> std::process::ExitCode {
    secondo_daemon::cli::main()
}
