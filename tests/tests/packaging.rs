//! The Debian package from its birth to its last trace: what is in it, whether systemd finds its unit sound, and, where
//! the tests run as root, its whole life on this machine: installed, run as its unit says, purged.
//!
//! No service of this machine is started or stopped: a `policy-rc.d` that forbids it is put in place if there is none.

use interop::wait::{self, SOON};
use interop::{Folder, Port, peers, process, process::Process};
use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::net::UdpSocket;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const CONFIGURATION: &str = "/etc/secondo/secondo.yaml";
const UNIT: &str = "usr/lib/systemd/system/secondo.service";
/// The highest exposure that `systemd-analyze security` may find, in tenths; a unit without any protection has 96.
const EXPOSURE: &str = "20";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ has a parent")
}

fn utf8(path: &Path) -> &str {
    path.to_str().expect("our paths are UTF-8")
}

/// Builds the package around a program that exists already, and says where it is.
fn build(program: &Path, output: &Path) -> PathBuf {
    let script = root().join("packaging/build-deb");
    let said = process::run(&script, &["--binary", utf8(program), "--output", utf8(output)]);
    let package = PathBuf::from(said.lines().last().expect("the script names the package"));
    assert!(package.is_file(), "{said}");
    package
}

/// Asks `dpkg-deb`, or says loudly that this is no Debian.
fn is_debian() -> bool {
    let found = peers::find("dpkg-deb").is_some();
    if !found {
        peers::skip("this machine has no dpkg-deb");
    }
    found
}

fn dpkg_deb(arguments: &[&str]) -> String {
    process::run(&peers::program("dpkg-deb"), arguments)
}

/// The value of a key of a unit that is set once.
fn unit_value(unit: &str, key: &str) -> String {
    let values: Vec<&str> = unit
        .lines()
        .filter_map(|line| line.split_once('=').filter(|(found, _)| *found == key))
        .map(|(_, v)| v)
        .collect();
    assert_eq!(values.len(), 1, "{key} in\n{unit}");
    values[0].to_owned()
}

/// Lets systemd check a unit; what it would only warn about (a key that it does not know) counts too.
fn verify(analyze: &Path, unit: &Path) {
    process::run(analyze, &["verify", "--man=no", "--recursive-errors=no", utf8(unit)]);
}

#[test]
fn the_package_holds_the_program_its_unit_and_a_configuration() {
    if !is_debian() {
        return;
    }
    let folder = Folder::fresh();
    let package = build(interop::secondo::binary(), folder.path());
    let field = |name: &str| dpkg_deb(&["--field", utf8(&package), name]).trim().to_owned();
    assert_eq!(field("Package"), "secondo");
    assert_eq!(field("Version"), env!("CARGO_PKG_VERSION").replacen('-', "~", 1));
    assert_eq!(
        field("Architecture"),
        process::run(&peers::program("dpkg"), &["--print-architecture"]).trim()
    );
    let depends = field("Depends");
    assert!(depends.contains("libc6 (>= 2.") && depends.contains("libgcc-s1"), "{depends}");
    assert_eq!(dpkg_deb(&["--info", utf8(&package), "conffiles"]).trim(), CONFIGURATION);

    let listing = dpkg_deb(&["--contents", utf8(&package)]);
    for (mode, path) in [
        ("-rwxr-xr-x root/root", "./usr/sbin/secondo"),
        ("-rw-r--r-- root/root", &format!("./{UNIT}")),
        ("-rw-r--r-- root/root", "./usr/lib/sysusers.d/secondo.conf"),
        ("drwxr-x--- root/root", "./etc/secondo/"),
        ("-rw-r----- root/root", "./etc/secondo/secondo.yaml"),
        ("-rw-r--r-- root/root", "./usr/share/doc/secondo/changelog.Debian.gz"),
        ("-rw-r--r-- root/root", "./usr/share/doc/secondo/changelog.gz"),
        ("-rw-r--r-- root/root", "./usr/share/doc/secondo/copyright"),
        ("-rw-r--r-- root/root", "./usr/share/doc/secondo/third-party.txt"),
        ("-rw-r--r-- root/root", "./usr/share/doc/secondo/README.md"),
        ("-rw-r--r-- root/root", "./usr/share/doc/secondo/examples/secondo.yaml"),
        ("-rw-r--r-- root/root", "./usr/share/doc/secondo/examples/zones.d/example.yaml"),
    ] {
        let found = listing.lines().any(|line| line.starts_with(mode) && line.ends_with(&format!(" {path}")));
        assert!(found, "{mode} {path} is not in\n{listing}");
    }

    let tree = folder.inner("tree");
    dpkg_deb(&["--raw-extract", utf8(&package), utf8(&tree)]);
    for script in ["postinst", "prerm", "postrm"] {
        process::run(Path::new("/bin/sh"), &["-n", utf8(&tree.join("DEBIAN").join(script))]);
    }
    let licences = fs::read_to_string(tree.join("usr/share/doc/secondo/third-party.txt")).unwrap();
    assert!(licences.lines().any(|line| line.starts_with("tokio ") && line.ends_with(": MIT")), "{licences}");
    assert!(!licences.contains("proptest"), "what only tests need is not linked in");
}

#[test]
fn the_same_sources_make_the_same_package() {
    if !is_debian() {
        return;
    }
    let folder = Folder::fresh();
    let program = Path::new("/bin/true");
    let (one, two) = (build(program, &folder.inner("one")), build(program, &folder.inner("two")));
    assert!(fs::read(one).unwrap() == fs::read(two).unwrap(), "two builds differ");
}

#[test]
fn the_configurations_that_we_hand_out_are_accepted() {
    let folder = Folder::fresh();
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let block =
        readme.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap_or_default();
    assert!(
        block.contains("zones:") && block.contains("secret-file: transfer-key"),
        "README.md starts with {block:?}"
    );
    let from_readme = folder.path().join("secondo.yaml");
    fs::write(&from_readme, block).unwrap();
    let secret = folder.path().join("transfer-key");
    fs::write(&secret, "c2VjcmV0IGtleSBtYXRlcmlhbCBvZiAzMiBieXRlcyE=\n").unwrap();
    fs::set_permissions(&secret, Permissions::from_mode(0o640)).unwrap();

    let ours = ["packaging/debian/secondo.yaml", "etc/secondo.yaml", "etc/secondo-minimal.yaml"];
    for configuration in ours.map(|name| root().join(name)).iter().chain([&from_readme]) {
        process::run(interop::secondo::binary(), &["check", "--config", utf8(configuration)]);
    }
}

#[test]
fn systemd_finds_the_unit_sound_and_tightly_closed() {
    let Some(analyze) = peers::find("systemd-analyze") else {
        return peers::skip("this machine has no systemd-analyze");
    };
    let folder = Folder::fresh();
    let unit = fs::read_to_string(root().join("packaging/secondo.service")).unwrap();
    // The check wants the program to be there, which it is not before the package is installed.
    let copy = folder.path().join("secondo.service");
    fs::write(&copy, unit.replace("/usr/sbin/secondo", "/bin/true")).unwrap();
    verify(&analyze, &copy);
    process::run(&analyze, &["security", "--offline=yes", "--threshold", EXPOSURE, utf8(&copy)]);

    assert_eq!(unit_value(&unit, "Type"), "notify");
    assert_eq!(unit_value(&unit, "User"), "secondo");
    assert_eq!(unit_value(&unit, "CapabilityBoundingSet"), "CAP_NET_BIND_SERVICE");
}

#[test]
fn installed_it_runs_as_its_unit_says_and_purged_it_leaves_no_trace() {
    if !is_debian() {
        return;
    }
    if !nix::unistd::geteuid().is_root() {
        return peers::skip("only root may install a package");
    }
    if std::env::var("SECONDO_TESTS_INSTALL").as_deref() == Ok("0") {
        return peers::skip("SECONDO_TESTS_INSTALL=0 forbids to install anything");
    }
    let Some(analyze) = peers::find("systemd-analyze") else {
        return peers::skip("this machine has no systemd-analyze");
    };
    let folder = Folder::fresh();
    let package = build(interop::secondo::binary(), folder.path());
    let before = Installed::remains_of_an_earlier_run_removed();
    if !before.is_empty() {
        return peers::skip(&format!("this machine has a secondo of its own: {before:?}"));
    }

    let installed = Installed::new(&package);
    let unit_file = Path::new("/").join(UNIT);
    verify(&analyze, &unit_file);
    let unit = fs::read_to_string(&unit_file).unwrap();
    let user = unit_value(&unit, "User");
    let enabled = Path::new("/etc/systemd/system/multi-user.target.wants/secondo.service");
    assert!(enabled.is_symlink(), "the service is not enabled");

    // The configuration as installed is one that the daemon's user can read and that the daemon accepts.
    let conffile = fs::metadata(CONFIGURATION).unwrap();
    assert_eq!((conffile.mode() & 0o777, conffile.uid()), (0o640, 0), "only root may write it");
    process::run(
        &peers::program("setpriv"),
        &as_user(&user, &["/usr/sbin/secondo", "check", "--config", CONFIGURATION]),
    );

    runs_as_its_unit_says(&folder, &unit, &user);

    installed.purge();
    assert_eq!(traces(), before, "purging left something behind");
}

/// Runs the unit's `ExecStart` and `ExecReload` as its user, in folders that stand for those that systemd would make.
fn runs_as_its_unit_says(folder: &Folder, unit: &str, user: &str) {
    let uid = nix::unistd::User::from_name(user)
        .expect("the accounts can be read")
        .expect("the package has made its user")
        .uid;
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("our own folder is writable");
    let (state, runtime) = (folder.inner("state"), folder.inner("run"));
    for own in [&state, &runtime] {
        chown(own, Some(uid.as_raw()), None).expect("our own folder is writable");
    }
    let port = Port::free();
    let configuration = folder.path().join("secondo.yaml");
    let packaged = fs::read_to_string(CONFIGURATION).expect("the package is installed");
    assert!(
        packaged.contains("\"127.0.0.1:53\""),
        "a fresh installation listens on loopback only:\n{packaged}"
    );
    let ours = format!(
        "{}\nstate-dir: {}\ncontrol: {}\n",
        packaged.replace("\"127.0.0.1:53\"", &format!("\"{}\"", port.at_loopback())),
        state.display(),
        runtime.join("control.sock").display(),
    );
    fs::write(&configuration, ours).expect("our own folder is writable");

    let notify = folder.path().join("notify");
    let socket = UnixDatagram::bind(&notify).expect("our own folder is writable");
    fs::set_permissions(&notify, Permissions::from_mode(0o777)).expect("our own folder is writable");
    socket.set_read_timeout(Some(SOON)).expect("a limit that is not zero");

    let start = unit_value(unit, "ExecStart").replace(CONFIGURATION, utf8(&configuration));
    assert!(start.starts_with("/usr/sbin/secondo run "), "{start}");
    let variable = format!("NOTIFY_SOCKET={}", notify.display());
    let mut command = vec!["/usr/bin/env", variable.as_str()];
    command.extend(start.split_whitespace());
    let log = folder.path().join("secondo.log");
    let mut daemon = Process::start("secondo", &peers::program("setpriv"), &as_user(user, &command), &log);

    until_ready(&socket, &daemon);
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.id())).expect("it runs");
    assert!(
        status.contains(&format!("\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n")),
        "not run as {user}:\n{status}"
    );
    assert!(answers(&port), "ready, and no answer\n{}", daemon.tail());

    let reload = unit_value(unit, "ExecReload").replace("$MAINPID", &daemon.id().to_string());
    let reload: Vec<&str> = reload.split_whitespace().collect();
    process::run(Path::new(reload[0]), &reload[1..]);
    wait::until(
        "the reload in the log",
        SOON,
        || daemon.tail(),
        || fs::read_to_string(&log).unwrap_or_default().contains("daemon.reloaded").then_some(()),
    );
    assert!(daemon.runs() && answers(&port), "a reload ended it\n{}", daemon.tail());

    let status = daemon.stop();
    assert!(status.success(), "SIGTERM ended it with {status}\n{}", process::tail(&log));
}

/// Waits for the datagram that tells systemd that the service is up.
fn until_ready(socket: &UnixDatagram, daemon: &Process) {
    let mut said = String::new();
    let mut datagram = [0; 4096];
    while !said.lines().any(|line| line == "READY=1") {
        let length = socket
            .recv(&mut datagram)
            .unwrap_or_else(|error| panic!("no READY=1, only {said:?}: {error}\n{}", daemon.tail()));
        said.push_str(&String::from_utf8_lossy(&datagram[..length]));
        said.push('\n');
    }
}

/// Whether a question about a zone that nobody has configured is answered with REFUSED (RFC 1035 §4.1.1).
fn answers(port: &Port) -> bool {
    let question = b"\x12\x34\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x00\x00\x06\x00\x01";
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has free ports");
    socket.set_read_timeout(Some(Duration::from_secs(2))).expect("a limit that is not zero");
    let mut answer = [0; 512];
    // A lost datagram is asked again.
    (0..10).any(|_| {
        socket.send_to(question, port.at_loopback()).expect("loopback takes datagrams");
        socket
            .recv(&mut answer)
            .is_ok_and(|length| length >= 12 && answer[..2] == question[..2] && answer[3] & 15 == 5)
    })
}

/// The arguments that make `setpriv` run a command as systemd runs the unit: another user, and no capability. (The one
/// that the unit has is for port 53, which tests do not take.)
fn as_user<'a>(user: &'a str, command: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["--reuid", user, "--regid", user, "--clear-groups", "--no-new-privs"];
    arguments.extend(["--bounding-set=-all", "--inh-caps=-all", "--"]);
    arguments.extend(command);
    arguments
}

/// The package on this machine. Dropping it purges it, whatever happened.
struct Installed {
    /// The `policy-rc.d` that we had to put there.
    policy: Option<PathBuf>,
}

impl Installed {
    fn new(package: &Path) -> Self {
        let policy = Path::new("/usr/sbin/policy-rc.d");
        let ours = !policy.exists();
        if ours {
            fs::write(
                policy,
                "#!/bin/sh\n# Services are not started while secondo's tests install it.\nexit 101\n",
            )
            .expect("root may write there");
            fs::set_permissions(policy, Permissions::from_mode(0o755)).expect("root may write there");
        }
        let installed = Self { policy: ours.then(|| policy.to_owned()) };
        fs::write(Self::marker(), "").expect("the temporary folder is writable");
        process::run(&peers::program("dpkg"), &["--install", utf8(package)]);
        installed
    }

    /// Says that the package on this machine is ours, also to a later run when this one is killed.
    fn marker() -> PathBuf {
        std::env::temp_dir().join("secondo-tests-installed")
    }

    /// What this machine has of a secondo, after that of an earlier run which was killed is removed.
    fn remains_of_an_earlier_run_removed() -> BTreeSet<String> {
        if Self::marker().exists() {
            drop(Self { policy: None });
        }
        traces()
    }

    fn purge(self) {
        let (purged, said) = process::attempt(&peers::program("dpkg"), &["--purge", "secondo"]);
        assert!(purged, "{said}");
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        // After `purge` there is nothing left, and dpkg only warns.
        let _ = Command::new("dpkg").args(["--purge", "secondo"]).output();
        let _ = fs::remove_file(Self::marker());
        if let Some(policy) = self.policy.take() {
            let _ = fs::remove_file(policy);
        }
    }
}

/// Everything on this machine that is called secondo where packages and services put their things.
fn traces() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let places =
        ["/etc", "/usr/bin", "/usr/sbin", "/usr/lib/systemd", "/usr/lib/sysusers.d", "/usr/share/doc"];
    let mut folders: Vec<PathBuf> =
        places.into_iter().chain(["/usr/share/man", "/var/lib", "/run"]).map(PathBuf::from).collect();
    while let Some(folder) = folders.pop() {
        // What vanishes while we look was not the package's.
        for path in fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
            if path.file_name().is_some_and(|name| name.to_string_lossy().contains("secondo")) {
                found.insert(path.display().to_string());
            } else if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            }
        }
    }
    for accounts in ["/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow"] {
        let accounts_text = fs::read_to_string(accounts).unwrap_or_default();
        let ours = accounts_text.lines().filter(|line| line.starts_with("secondo:"));
        found.extend(ours.map(|line| format!("{accounts}: {line}")));
    }
    found
}
