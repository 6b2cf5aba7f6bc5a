//! Giving up root: to the configured user, after the sockets are bound.

use std::os::unix::fs::{MetadataExt, lchown};
use std::path::Path;

use nix::unistd::{Gid, Group, Uid, User, setgid, setgroups, setuid};

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
fn give(path: &Path, user: Uid, group: Gid) -> std::io::Result<()> {
    let found = std::fs::symlink_metadata(path)?;
    // What is its own already may be changed under our hands; we are root, and must not go where it leads us.
    if found.is_symlink() || found.uid() == user.as_raw() {
        return Ok(());
    }
    lchown(path, Some(user.as_raw()), Some(group.as_raw()))?;
    if found.is_dir() {
        for entry in std::fs::read_dir(path)? {
            give(&entry?.path(), user, group)?;
        }
    }
    Ok(())
}
