//! Giving up root: to the configured user, after the sockets are bound.

use std::path::Path;

use nix::unistd::{Group, Uid, User, chown, setgid, setgroups, setuid};

/// Becomes `name` for good, when started as root; `owned` (the state directory, the control socket) is given to it
/// before. Does nothing for others: they are who they are.
pub(crate) fn become_user(name: &str, owned: &[&Path]) -> Result<(), String> {
    if !Uid::effective().is_root() {
        return Ok(());
    }
    let text = |error: nix::errno::Errno| error.to_string();
    let user = User::from_name(name).map_err(text)?.ok_or_else(|| format!("no user `{name}`"))?;
    let group = Group::from_gid(user.gid).map_err(text)?.map_or(user.gid, |group| group.gid);
    for path in owned.iter().filter(|path| path.exists()) {
        give(path, user.uid, group).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    setgroups(&[group]).map_err(text)?;
    setgid(group).map_err(text)?;
    setuid(user.uid).map_err(text)
}

/// The path, and if it is a folder what lies in it. Links are not followed.
fn give(path: &Path, user: Uid, group: nix::unistd::Gid) -> std::io::Result<()> {
    if path.is_symlink() {
        return Ok(());
    }
    chown(path, Some(user), Some(group))?;
    if path.is_dir() {
        for entry in std::fs::read_dir(path)? {
            give(&entry?.path(), user, group)?;
        }
    }
    Ok(())
}
